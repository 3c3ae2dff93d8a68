"""Thresholds for readings keep what they promise, for each number of digits."""

import json
import math
from typing import Any

import numpy as np
import pytest

from lenet.errors import CheckpointError
from lenet.uncertainty.reading_rejection import GROUPS, find_group, find_reading_thresholds
from lenet.uncertainty.rejection import explain_rejection
from lenet.uncertainty.risk import summarise_readings

PERFECT = {"validation_count": 3000, "curve": [[0.0, 0.0, 0.0]]}
WRONG = {"validation_count": 3000, "curve": [[0.0, 0.0, 0.5], [0.9, 0.5, 0.4]]}


def draw_readings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Readings that are wrong more often than their confidence says, and the more, the longer they are."""
    generator = np.random.default_rng(seed)
    digits = generator.integers(1, 11, count)
    confidences = generator.beta(6, 1, count) ** np.sqrt(digits)
    return digits, confidences, generator.random(count) > confidences ** (digits / 4 / np.sqrt(digits))


def test_each_number_of_digits_has_its_group():
    assert [find_group(number) for number in (1, 2, 4, 5, 7, 8, 64)] == [
        "1", "2-4", "2-4", "5-7", "5-7", "8+", "8+",
    ]  # fmt: skip


def test_the_card_is_small_and_plain():
    curves = summarise_readings(*draw_readings(5000, 1))
    assert json.loads(json.dumps(curves)) == curves
    assert curves.keys() == GROUPS.keys()
    assert sum(curve["validation_count"] for curve in curves.values()) == 5000
    assert all(len(curve["curve"]) <= 61 for curve in curves.values())
    assert summarise_readings([1, 3], [0.5, 0.6], [False, True]).keys() == {"1", "2-4"}


def test_a_promise_is_kept_on_other_readings_of_each_group():
    """Fitted to a few thousand readings again and again, it is broken 5 times in 100 at most."""
    digits, confidences, wrong = draw_readings(300_000, 0)
    groups = np.array([find_group(number) for number in digits.tolist()])
    broken = given = 0
    for seed in range(1, 41):
        thresholds = find_reading_thresholds(summarise_readings(*draw_readings(6000, seed)), 0.03)
        for name, threshold in thresholds.items():
            if math.isfinite(threshold):
                given += 1
                broken += wrong[(groups == name) & (confidences >= threshold)].mean() > 0.03
    assert given > 40
    assert broken / given < 0.13  # 0.05 and three standard errors of about 80 promises


def test_a_group_without_a_promise_is_rejected_and_the_others_are_not():
    thresholds = find_reading_thresholds({"1": PERFECT, "2-4": WRONG}, 0.001)
    assert thresholds == {"1": 0.0, "2-4": math.inf, "5-7": math.inf, "8+": math.inf}
    reason = "the error cannot be promised for 2 digits"
    assert explain_rejection([[1.0], [1.0]], 1.0, math.inf) == reason
    assert explain_rejection([[1.0]], 1.0, math.inf) == reason.replace("2 digits", "1 digit")
    assert explain_rejection([[0.1]], 0.1, math.inf) == "rather no digit than a digit: 0.90"


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        (None, "no reading curves; `lenet calibrate CHECKPOINT` makes them"),
        ({"1": WRONG}, "1.000% cannot be promised: the held-out readings show no less than"),
        ({}, "damaged"),
        ([1, 2], "damaged"),
        ("2-4", "damaged"),
        ({"3": PERFECT}, "damaged"),
        ({"1": PERFECT, "2-4": None}, "damaged"),
        ({"1": {"validation_count": 9, "curve": [[0.5, 2, 0]]}}, "damaged"),
    ],
)
def test_what_cannot_be_promised_is_refused_in_one_line(curves: Any, words: str):
    with pytest.raises(CheckpointError, match=words) as refused:
        find_reading_thresholds(curves, 0.01)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("max_error", [0, 1, -0.1, float("nan"), 50])
def test_what_is_no_share_is_refused(max_error: float):
    with pytest.raises(CheckpointError, match="between 0 % and 100 %"):
        find_reading_thresholds({"1": PERFECT}, max_error)
