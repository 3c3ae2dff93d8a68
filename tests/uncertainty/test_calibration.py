"""Calibration errors and temperatures are those of a second route."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

from lenet.uncertainty.calibration import bin_confidence, compute_calibration_error, fit_temperature


def draw(count: int, classes: int, temperature: float, seed: int) -> tuple[Tensor, Tensor]:
    """Logits too sharp or too flat by `temperature` for labels drawn from their softmax."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits * temperature, labels


made = st.builds(
    draw,
    count=st.integers(50, 300),
    classes=st.integers(2, 11),
    temperature=st.floats(0.2, 5),
    seed=st.integers(0, 1000),
)


def error_one_by_one(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """The definition in plain Python: bins whose sizes differ by one at most, the larger ones first."""
    rows = [
        (max(row), row.index(max(row)) == label)
        for row, label in zip(probabilities.double().tolist(), labels.tolist(), strict=True)
    ]
    rows.sort(key=lambda row: row[0])  # equals stay in their order
    total, start = 0.0, 0
    for number in range(bins):
        size = len(rows) // bins + (number < len(rows) % bins)
        part, start = rows[start : start + size], start + size
        total += abs(sum(given for given, _ in part) - sum(right for _, right in part))
    return total / len(rows)


@given(made, st.integers(1, 20))
def test_the_error_is_that_of_the_definition(readings: tuple[Tensor, Tensor], bins: int):
    probabilities = readings[0].softmax(dim=1)
    found = compute_calibration_error(bin_confidence(probabilities, readings[1], bins))
    assert found == pytest.approx(error_one_by_one(probabilities, readings[1], bins), abs=1e-12)


def test_bins_hold_every_image_once_in_order():
    logits, labels = draw(1003, 4, 1.0, seed=0)
    bins = bin_confidence(logits.softmax(dim=1), labels)
    assert len(bins) == 15
    assert sum(part.count for part in bins) == 1003
    assert {part.count for part in bins} <= {66, 67}
    assert [part.confidence for part in bins] == sorted(part.confidence for part in bins)
    assert [part.count for part in bin_confidence(logits[:2].softmax(dim=1), labels[:2])] == [1, 1]


def test_who_is_calibrated_has_no_error_and_who_boasts_has_one():
    logits, labels = draw(100_000, 5, 1.0, seed=0)
    assert compute_calibration_error(bin_confidence(logits.softmax(dim=1), labels)) < 0.006
    assert compute_calibration_error(bin_confidence((4 * logits).softmax(dim=1), labels)) > 0.05
    always = torch.tensor([[1.0, 0.0]]).expand(10, 2)
    assert compute_calibration_error(bin_confidence(always, torch.ones(10, dtype=torch.int64))) == 1


@given(made)
def test_the_temperature_is_that_of_an_optimiser(readings: tuple[Tensor, Tensor]):
    logits, labels = readings[0].double(), readings[1]

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits / math.exp(log_temperature), labels).item()

    best = minimize_scalar(loss, bounds=(math.log(0.01), math.log(100)), method="bounded")
    found = fit_temperature(*readings)
    assert loss(math.log(found)) <= best.fun + 1e-9
    if 0.02 < found < 50:
        assert found == pytest.approx(math.exp(best.x), rel=1e-2)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float):
    logits, labels = draw(50_000, 10, temperature, seed=3)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    assert compute_calibration_error(bin_confidence((logits / found).softmax(dim=1), labels)) < 0.01


def test_without_an_error_it_ends_where_it_must():
    logits = 5 * torch.eye(3)
    assert fit_temperature(logits, torch.tensor([0, 1, 2])) == pytest.approx(0.01)
    assert fit_temperature(logits, torch.tensor([1, 2, 0])) == pytest.approx(100)


def test_a_background_is_a_column_like_the_others():
    logits, labels = draw(20_000, 4, 1.0, seed=5)
    logits = logits - logits[:, 3:]  # the last is fixed at 0, and the softmax is the same
    assert torch.equal(logits[:, 3], torch.zeros(20_000))
    assert fit_temperature(2 * logits, labels) == pytest.approx(2, rel=0.05)
