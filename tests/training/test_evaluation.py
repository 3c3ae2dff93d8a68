"""Figures are those of scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics

from lenet.data.imageset import ImageSet
from lenet.errors import DataError
from lenet.models.checkpoint import Checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.training.evaluation import compute_logits, evaluate


@pytest.fixture(scope="module")
def model() -> LeNet:
    network = LeNet(LeNetConfig())
    initialise(network, "default", torch.Generator().manual_seed(3))
    return network


def test_figures_are_those_of_scikit_learn(model: LeNet, digits: ImageSet):
    evaluation = evaluate(model, digits)
    with torch.no_grad():
        probabilities = model.eval()(digits.images).double().softmax(1).numpy()
    labels, predicted = digits.labels.numpy(), probabilities.argmax(1)
    bins = np.array_split(np.argsort(probabilities.max(1), kind="stable"), 15)
    gaps = [abs((predicted == labels)[part].mean() - probabilities.max(1)[part].mean()) for part in bins]
    assert evaluation.calibration_error == pytest.approx(
        np.average(gaps, weights=[len(part) for part in bins]), abs=2e-3
    )
    assert evaluation.count == len(digits)
    assert evaluation.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert evaluation.loss == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)
    np.testing.assert_array_equal(evaluation.confusion, metrics.confusion_matrix(labels, predicted))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, zero_division=0
    )
    assert [row.name for row in evaluation.per_class] == list("0123456789")
    np.testing.assert_allclose([row.precision for row in evaluation.per_class], precision)
    np.testing.assert_allclose([row.recall for row in evaluation.per_class], recall)
    np.testing.assert_allclose([row.f1 for row in evaluation.per_class], f1)
    assert [row.count for row in evaluation.per_class] == support.tolist()


def test_the_hardest_examples_come_first(model: LeNet, digits: ImageSet):
    evaluation = evaluate(model, digits, hardest=len(digits))
    losses = [hard.loss for hard in evaluation.hardest]
    assert losses == sorted(losses, reverse=True)
    assert sorted(hard.index for hard in evaluation.hardest) == list(range(len(digits)))
    assert np.mean(losses) == pytest.approx(evaluation.loss, rel=1e-5)
    with torch.no_grad():
        probabilities = model.eval().probabilities(digits.images)
    for hard in evaluation.hardest[:20]:
        assert hard.label == str(digits.labels[hard.index].item())
        assert hard.predicted == str(probabilities[hard.index].argmax().item())
        assert hard.probability == pytest.approx(probabilities[hard.index].max().item(), rel=1e-4)
    assert len(evaluate(model, digits, hardest=7).hardest) == 7


def test_plain_values(model: LeNet, digits_test: ImageSet):
    values = json.loads(json.dumps(evaluate(model, digits_test, hardest=3).to_dict()))
    assert list(values) == [
        "count", "accuracy", "loss", "calibration_error", "per_class", "confusion", "hardest",
    ]  # fmt: skip
    assert sum(map(sum, values["confusion"])) == 360


def test_measuring_changes_nothing(digits_test: ImageSet):
    model = LeNet(LeNetConfig(dropout=0.5)).train()
    state = torch.random.get_rng_state()
    first, second = compute_logits(model, digits_test.images), compute_logits(model, digits_test.images)
    assert torch.equal(first, second)  # dropout is off
    assert model.training
    assert not first.requires_grad
    assert torch.equal(state, torch.random.get_rng_state())


def test_classes_are_told_apart_by_name(model: LeNet, digits_test: ImageSet):
    loaded = Checkpoint(model, {"classes": list("0123456789")})
    assert evaluate(loaded, digits_test) == evaluate(model, digits_test)
    letters = replace(digits_test, classes=tuple("abcdefghij"))
    with pytest.raises(DataError, match="digits"):
        evaluate(loaded, letters)


def test_another_number_of_classes_is_refused(model: LeNet, bars: ImageSet):
    with pytest.raises(DataError, match="bars has 3 classes, the network was made for 10"):
        evaluate(model, bars)


def test_a_set_without_one_class_has_zeros_for_it(model: LeNet, digits_test: ImageSet):
    some = digits_test.subset(torch.nonzero(digits_test.labels != 4).flatten())
    four = evaluate(model, some).per_class[4]
    assert (four.count, four.recall, four.f1) == (0, 0.0, 0.0)
