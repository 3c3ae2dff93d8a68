"""Thresholds keep what they promise."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from torch import Tensor

from lenet.errors import CheckpointError
from lenet.uncertainty.rejection import find_threshold, interval, upper_bound
from lenet.uncertainty.risk import MOST_POINTS, compute_risk, summarise_risk


def make_readings(count: int, sharpness: float, seed: int) -> tuple[Tensor, Tensor]:
    """Probabilities (count, 3) and labels that are drawn from them: calibrated by construction."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = (sharpness * torch.randn(count, 3, generator=generator)).softmax(dim=1)
    return probabilities, torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def measure(probabilities: Tensor, labels: Tensor, threshold: float) -> tuple[int, int]:
    """Accepted and wrong among them, counted one by one."""
    accepted = wrong = 0
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        if max(row) >= threshold:
            accepted += 1
            wrong += row.index(max(row)) != label
    return accepted, wrong


readings = st.builds(
    make_readings,
    count=st.integers(1, 400),
    sharpness=st.floats(0.5, 30),
    seed=st.integers(0, 1000),
)


@given(readings)
def test_the_curve_is_what_counting_gives(made: tuple[Tensor, Tensor]):
    curve = compute_risk(*made)
    assert curve.count == len(made[1])
    for place in {0, len(curve.thresholds) // 2, len(curve.thresholds) - 1}:
        counted = measure(*made, curve.thresholds[place].item())
        assert counted == (curve.accepted[place], curve.wrong[place])


@given(readings)
def test_the_area_is_the_mean_of_the_risk_over_all_ranks(made: tuple[Tensor, Tensor]):
    probabilities, labels = made
    confidence, predicted = probabilities.double().max(dim=1)
    if len(confidence.unique()) < len(confidence):
        return  # ranks of equals are not defined
    order = confidence.argsort(descending=True)
    errors = (predicted != labels)[order].double()
    risks = errors.cumsum(0) / torch.arange(1, len(errors) + 1)
    assert compute_risk(probabilities, labels).area == pytest.approx(risks.mean().item())


def test_equals_are_accepted_or_rejected_together():
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    curve = compute_risk(probabilities, torch.tensor([0, 1, 0, 0]))
    assert curve.accepted.tolist() == [4, 2]
    assert curve.wrong.tolist() == [1, 1]
    assert curve.reject_rate(0.25) == 0
    assert curve.reject_rate(0.2) == 1  # only who rejects all is never wrong
    assert curve.area == pytest.approx((2 * 0.5 + 2 * 0.25) / 4)


@given(readings, st.floats(0.001, 0.9))
def test_a_promise_is_kept_on_the_images_it_was_figured_on(made: tuple[Tensor, Tensor], max_error: float):
    try:
        threshold = find_threshold(summarise_risk(*made), max_error)
    except CheckpointError:
        return
    accepted, wrong = measure(*made, threshold)
    assert accepted
    assert binom.cdf(wrong, accepted, max_error) <= 0.05 + 1e-9  # so few, were the share as large, are rare
    assert wrong <= max_error * accepted


@given(readings, st.floats(0.001, 0.9), st.floats(0.001, 0.9))
def test_who_allows_more_errors_has_less_rejected(made: tuple[Tensor, Tensor], one: float, other: float):
    rejection = summarise_risk(*made)
    thresholds = []
    for max_error in sorted((one, other)):
        try:
            thresholds.append(find_threshold(rejection, max_error))
        except CheckpointError:
            thresholds.append(2.0)
    assert thresholds[0] >= thresholds[1]


@pytest.mark.parametrize(("count", "max_error"), [(1000, 0.01), (3000, 0.01), (3000, 0.03)])
def test_a_promise_is_kept_on_other_images(count: int, max_error: float):
    """Figured on a few images drawn again and again, it is broken on all of them 5 times in 100 at most."""
    population, labels = make_readings(100_000, 8.0, seed=1)
    curve = compute_risk(population, labels)
    thresholds = []
    for seed in range(300):
        drawn = torch.randint(100_000, (count,), generator=torch.Generator().manual_seed(seed))
        try:
            thresholds.append(find_threshold(summarise_risk(population[drawn], labels[drawn]), max_error))
        except CheckpointError:
            continue
    assert len(thresholds) > 200
    places = torch.searchsorted(curve.thresholds, torch.tensor(thresholds, dtype=torch.float64))
    broken = (curve.errors[places] > max_error).double().mean()
    assert broken < 0.09  # 0.05 and three standard errors


@given(st.integers(1, 6000), st.floats(0, 1))
def test_the_bound_is_that_of_the_binomial_distribution(count: int, share: float):
    wrong = round(share * count)
    bound = float(upper_bound(np.array([wrong]), np.array([count]))[0])
    assert wrong / count <= bound <= 1
    if wrong < count:
        assert binom.cdf(wrong, count, bound) == pytest.approx(0.05, rel=1e-4)


@given(st.integers(1, 6000), st.floats(0, 1))
def test_the_interval_is_the_exact_one_of_scipy(count: int, share: float):
    right = round(share * count)
    expected = binomtest(right, count).proportion_ci(0.95, "exact")
    assert np.stack(interval(np.array([right]), np.array([count])))[:, 0] == pytest.approx(expected, abs=1e-9)


@given(readings)
@settings(max_examples=50)
def test_the_card_is_small_and_plain(made: tuple[Tensor, Tensor]):
    rejection = summarise_risk(*made)
    assert json.loads(json.dumps(rejection)) == rejection
    assert rejection["validation_count"] == len(made[1])
    assert len(rejection["curve"]) <= MOST_POINTS
    assert rejection["curve"][0][:2] == [0.0, 0.0]
    for threshold, rejected, error in rejection["curve"]:
        accepted, wrong = measure(*made, threshold)
        assert rejected == pytest.approx(1 - accepted / len(made[1]))
        assert error == pytest.approx(wrong / accepted)
    thresholds = [row[0] for row in rejection["curve"]]
    assert thresholds == sorted(set(thresholds))


def test_a_background_makes_rows_that_lack_something():
    probabilities = torch.tensor([[0.02, 0.01], [0.2, 0.7], [0.1, 0.9]])
    rejection = summarise_risk(probabilities, torch.tensor([1, 1, 1]))
    assert rejection["curve"][1][0] == pytest.approx(0.7)
    assert rejection["curve"][1][2] == 0


def test_a_faultless_network_still_needs_enough_images():
    sure = torch.eye(2)[torch.zeros(299, dtype=torch.int64)]
    rejection = summarise_risk(sure, torch.zeros(299, dtype=torch.int64))
    assert find_threshold(rejection, 0.01) == 0.0  # 0.99 ** 299 < 5 %
    with pytest.raises(CheckpointError, match=r"0\.500% cannot be promised: 299 held-out images"):
        find_threshold(rejection, 0.005)


@pytest.mark.parametrize("max_error", [0, 1, -0.1, float("nan"), 50])
def test_what_is_no_share_is_refused(max_error: float):
    with pytest.raises(CheckpointError, match="between 0 % and 100 %"):
        find_threshold({"validation_count": 1, "curve": [[0, 0, 0]]}, max_error)


def test_a_card_without_a_curve_says_so():
    with pytest.raises(CheckpointError, match="no rejection curve"):
        find_threshold(None, 0.01)


GOOD = {"validation_count": 1000, "curve": [[0.0, 0.0, 0.01], [0.5, 0.1, 0.0]]}


@pytest.mark.parametrize(
    "damage",
    [
        {"validation_count": 0},
        {"validation_count": "1000"},
        {"validation_count": True},
        {"curve": []},
        {"curve": [[0.5, 0.1]]},
        {"curve": [[0.5, 0.1, 0.0], [0.5, 0.1]]},
        {"curve": [[0.5, 1.5, 0.0]]},
        {"curve": [[float("nan"), 0.1, 0.0]]},
        {"curve": [[10**400, 0.1, 0.0]]},
        {"curve": [["a", "b", "c"]]},
        {"curve": {"a": 1}},
        {"curve": None},
    ],
)
def test_a_damaged_curve_is_refused_in_one_line(damage: dict[str, Any]):
    assert find_threshold(GOOD, 0.01) == 0.5
    with pytest.raises(CheckpointError, match="damaged"):
        find_threshold({**GOOD, **damage}, 0.01)
    with pytest.raises(CheckpointError, match="damaged"):
        find_threshold([1, 2], 0.01)
