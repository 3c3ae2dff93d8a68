"""What is told about trust is what counting gives."""

import json
from dataclasses import replace

import pytest
import torch

from lenet.data.corrupted import corrupt_all
from lenet.data.imageset import ImageSet
from lenet.errors import DataError
from lenet.images.corruptions import CORRUPTIONS
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.training.evaluation import evaluate, measure_reliability, measure_robustness


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint("mnist")


def test_reject_rates_are_what_counting_gives(checkpoint: Checkpoint, digits_test: ImageSet):
    reliability = measure_reliability(checkpoint, digits_test)
    values = json.loads(json.dumps(reliability.to_dict()))
    with torch.no_grad():
        confidence, predicted = checkpoint.model.probabilities(digits_test.images).max(dim=1)
    wrong = (predicted != digits_test.labels)[confidence.argsort()]
    assert values["calibration_error"] == evaluate(checkpoint, digits_test).calibration_error
    assert [row["max_error"] for row in values["reject_rates"]] == [0.01, 0.005, 0.001]
    for row in values["reject_rates"]:
        rejected = next(n for n in range(361) if wrong[n:].sum() <= row["max_error"] * (360 - n))
        assert row["rejected"] == pytest.approx(rejected / 360)
    risks = [wrong[n:].double().mean().item() for n in range(360)]
    assert values["risk_coverage_area"] == pytest.approx(sum(risks) / 360)


def test_each_corruption_is_measured_by_itself(checkpoint: Checkpoint, digits_test: ImageSet):
    corrupted = corrupt_all(digits_test)
    robustness = measure_robustness(checkpoint, corrupted)
    values = json.loads(json.dumps(robustness.to_dict()))
    assert list(values["corruptions"]) == ["identity", *CORRUPTIONS]
    for name in ("identity", "fog", "rotate"):
        assert values["corruptions"][name] == evaluate(checkpoint, corrupted[name]).accuracy
    without = [accuracy for name, accuracy in values["corruptions"].items() if name != "identity"]
    assert values["corruptions_mean"] == pytest.approx(sum(without) / 15)
    assert values["corruptions"]["identity"] > values["corruptions_mean"] > 0.3


def test_classes_are_matched_by_name(checkpoint: Checkpoint, digits_test: ImageSet):
    turned = replace(digits_test, labels=9 - digits_test.labels, classes=tuple("9876543210"))
    assert measure_reliability(checkpoint, turned).to_dict() == (
        measure_reliability(checkpoint, digits_test).to_dict()
    )
    letters = replace(digits_test, classes=tuple("abcdefghij"))
    for measure in (measure_reliability, lambda *given: measure_robustness(given[0], {"fog": given[1]})):
        with pytest.raises(DataError, match="'a'"):
            measure(checkpoint, letters)
