"""Readings that are rather a guess come back as one."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenet.data.datasets import load
from lenet.errors import CheckpointError
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet.models.network import LeNet
from lenet.reading.calibration import measure_readings, summarise_accepted
from lenet.reading.reader import Reader
from lenet.synthesis.hands import gather_material
from lenet.synthesis.lines import compose_pictures
from lenet.synthesis.strings import write_string
from lenet.uncertainty.rejection import explain_rejection

PICTURES = sorted((Path(__file__).parents[2] / "examples" / "pictures").glob("*.png"))
CONFIDENCES = sorted(reading.confidence for reading in Reader("mnist").read_many(PICTURES))
THRESHOLD = sum(CONFIDENCES[1:3]) / 2
CURVE = {"validation_count": 5000, "curve": [[0.0, 0.0, 0.004], [THRESHOLD, 0.1, 0.0]]}


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The shipped weights, with a curve of which the example pictures reach both sides."""
    shipped = load_checkpoint("mnist")
    return replace(shipped, card={**shipped.card, "reading_rejection": {"1": CURVE}})


def test_what_is_sure_enough_is_accepted():
    assert explain_rejection([[0.9, 0.1]], 0.9, 0.9) == ""
    assert explain_rejection([[0.9, 0.1]], 0.9) == ""
    assert explain_rejection([[0.9, 0.05]], 0.9, 0.97) == "not sure enough: 0.90 < 0.97"
    assert explain_rejection([[1.0, 0.0], [0.2, 0.1]], 0.2) == "rather no digit than a digit: 0.70"
    assert explain_rejection([[0.3, 0.3]], 0.3) == ""  # which digit is open, that it is one is not


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_two_numbers_of_a_reason_differ(confidence: float, threshold: float):
    reason = explain_rejection([[confidence, 1 - confidence]], confidence, threshold)
    assert bool(reason) == (confidence < threshold)
    if reason:
        less, more = reason.removeprefix("not sure enough: ").split(" < ")
        assert less != more
        assert float(less) <= float(more)


def test_a_promise_rejects_and_still_reads(checkpoint: Checkpoint):
    free, held = Reader(checkpoint).read_many(PICTURES), Reader(checkpoint, 0.001).read_many(PICTURES)
    assert not any(reading.rejected for reading in free)
    assert {reading.rejected for reading in held} == {True, False}
    for one, other in zip(free, held, strict=True):
        assert (one.text, one.confidence, one.digits) == (other.text, other.confidence, other.digits)
        assert other.rejected == (other.confidence < THRESHOLD) == other.reason.startswith("not sure enough")


def test_what_is_rather_no_digit_is_rejected_without_a_promise(checkpoint: Checkpoint):
    model = LeNet(replace(checkpoint.model.config, reject_class=True))
    model.load_state_dict(checkpoint.model.state_dict())
    with torch.no_grad():
        model.output.bias -= 18  # nothing is a digit to this network
    (reading,) = Reader(replace(checkpoint, model=model)).read_many(PICTURES[:1])
    assert reading.rejected
    assert reading.reason == "rather no digit than a digit: 1.00"
    assert reading.text


def test_a_promise_that_cannot_be_kept_is_refused_at_once(checkpoint: Checkpoint):
    with pytest.raises(
        CheckpointError, match=r"cannot be promised: the held-out readings show no less than 0\.0"
    ):
        Reader(checkpoint, 0.0001)
    with pytest.raises(CheckpointError, match="no reading curves; `lenet calibrate CHECKPOINT` makes them"):
        Reader("mnist", 0.01)


@pytest.mark.parametrize("error", ["0.1%", "0.001", ".1%"])
def test_the_command_line_rejects(
    lenet: Callable[..., Any], checkpoint: Checkpoint, workplace: Path, error: str
):
    save_checkpoint(workplace / "a.safetensors", checkpoint.model, checkpoint.card)
    arguments = ["predict", *PICTURES, "--checkpoint", "a.safetensors", "--max-error", error]
    done = lenet(*arguments)
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == len(PICTURES)
    assert 0 < sum("; rejected: not sure enough: 0." in line for line in lines) < len(lines)
    assert '"rejected": true, "reason": "not sure enough' in lenet(*arguments, "--json").out


@pytest.mark.parametrize("error", ["5", "0", "-0.5%", "100%", "nan", "much", "%", ""])
def test_what_is_no_share_is_refused(lenet: Callable[..., Any], error: str):
    done = lenet("predict", PICTURES[0], f"--max-error={error}")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "write it as 0.5% or 0.005" in done.err
    assert not done.out


def test_single_images_promise_nothing_about_pictures(checkpoint: Checkpoint):
    """Cards made before there were curves of readings hold one of single images."""
    card = {name: value for name, value in checkpoint.card.items() if name != "reading_rejection"}
    with pytest.raises(CheckpointError, match="no reading curves"):
        Reader(replace(checkpoint, card={**card, "rejection": CURVE}), 0.01)
    whole = replace(checkpoint, card={**card, "rejection": CURVE, "whole_pictures": True})
    assert Reader(whole, 0.001).thresholds == {"1": THRESHOLD}


def write(text: str) -> np.ndarray:
    """A picture of a text in a clear hand, dark on light."""
    digits = load("digits", "test")
    material = gather_material(digits.images[:, 0].numpy(), digits.labels.numpy())
    written = write_string(text, "number", material, np.random.default_rng(1), "apart")
    return (235 - 200 * np.pad(written.ink, 25)).astype(np.uint8)


def test_each_number_of_digits_has_its_threshold(checkpoint: Checkpoint):
    pictures = [write(text) for text in ("3", "35")]
    curves = {"1": CURVE, "2-4": {"validation_count": 5000, "curve": [[0.0, 0.0, 0.2], [1.0, 0.9, 0.0]]}}
    held = Reader(replace(checkpoint, card={**checkpoint.card, "reading_rejection": curves}), 0.01)
    assert held.thresholds == {"1": 0.0, "2-4": 1.0, "5-7": math.inf, "8+": math.inf}
    one, two = held.read_many(pictures)
    assert (len(one.digits), one.rejected) == (1, False)
    assert (len(two.digits), two.rejected) == (2, True)
    assert two.reason.startswith("not sure enough")
    del curves["2-4"]
    held = Reader(replace(checkpoint, card={**checkpoint.card, "reading_rejection": curves}), 0.01)
    assert held.read(pictures[1]).reason == "the error cannot be promised for 2 digits"


def test_readings_are_measured_as_the_reader_accepts_them(checkpoint: Checkpoint):
    pictures = [(path, path.name[0]) for path in PICTURES]
    free, held = (measure_readings(Reader(checkpoint, error), pictures) for error in (None, 0.001))
    assert all(row.right and row.accepted and row.digits == 1 for row in free)
    assert [row.accepted for row in held] == [row.confidence >= THRESHOLD for row in free]
    blank = (np.full((50, 50), 255, dtype=np.uint8), "7")
    (row,) = measure_readings(Reader(checkpoint), [blank])
    assert (row.digits, row.accepted, row.right) == (0, False, False)
    assert summarise_accepted([*free, row])["1"]["validation_count"] == len(PICTURES)


@pytest.mark.parametrize("weights", ["line", "reader"])
def test_the_shipped_weights_keep_a_promise_on_composed_pictures(weights: str):
    """Pictures of other writers than those that the thresholds were fitted to, at an error of 1 %."""
    data = load("digits", "test")
    pictures = compose_pictures(data.images[:, 0].numpy(), data.labels.numpy(), 60, 60, seed=5)
    rows = measure_readings(Reader(weights, 0.01), pictures)
    accepted = [row for row in rows if row.accepted]
    assert len(accepted) >= 20
    assert sum(not row.right for row in accepted) <= 2  # 3 of 100 would be rarer than 1 in 12


def test_blank_paper_is_rejected_as_before(checkpoint: Checkpoint):
    reading = Reader(checkpoint, 0.001).read(np.full((50, 50), 255, dtype=np.uint8))
    assert (reading.text, reading.rejected, reading.reason) == ("", True, "no ink was found")


def test_a_picture_that_is_refused_counts_as_rejected():
    specks = np.full((512, 512), 255, np.uint8)
    for top in range(1, 509, 4):
        for left in range(1, 509, 4):
            specks[top : top + 3, left : left + 3] = 0
    (row,) = measure_readings(Reader(), [(specks, "1")])
    assert (row.accepted, row.right, row.digits) == (False, False, 0)
    assert summarise_accepted([row]) == {}
