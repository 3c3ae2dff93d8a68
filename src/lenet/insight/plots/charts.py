"""Charts as values: series and intervals, computed once, then drawn by matplotlib or as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lenet.training.loop import Epoch
from lenet.uncertainty.calibration import MAX_ERRORS, Reliability
from lenet.uncertainty.rejection import RiskCurve, interval

MEASURES = ("loss", "accuracy")
SPLITS = ("train", "validation", "test")
MAX_MARKED = 40  # epochs; the points of longer curves are not marked one by one
MAX_POINTS = 300  # of the risk-coverage curve
MAX_REJECTED = 0.9  # of a handful that is accepted, one error is a high share
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A named line, or points; `kind` decides the colour: train, validation, test, ideal."""

    name: str
    kind: str
    points: Points
    joined: bool = True
    marked: bool = False
    """Whether a dot stands at each point."""
    intervals: Sequence[tuple[float, float, float]] = ()
    """Vertical bars: x, and the interval of y."""


@dataclass(frozen=True)
class Chart:
    """Series over common axes."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    percent: bool = False
    """True when y, and x where it counts nothing, are shares of 1."""
    whole: bool = False
    """True when x counts something."""
    limits: tuple[float, float, float, float] | None = None
    """Minimum and maximum of x, then of y; by default those of the points."""
    linear_until: float | None = None
    """The x axis is linear up to here, logarithmic beyond; by default all of it is linear."""


def list_values(history: Sequence[Epoch], split: str, measure: str) -> list[float]:
    """One curve: `measure` (loss, accuracy) on `split` (train, validation, test), a value for each epoch.

    Empty where an epoch has none.
    """
    values = [getattr(epoch, f"{split}_{measure}") for epoch in history]
    return [] if None in values else values


def chart_curves(history: Sequence[Epoch]) -> tuple[Chart, Chart]:
    """Loss and accuracy of each epoch on the training, validation and test images."""
    numbers = [epoch.epoch for epoch in history]
    loss, accuracy = (
        [
            Series(
                f"{split} {format(values[-1], style)}",
                split,
                list(zip(numbers, values, strict=True)),
                marked=len(values) < MAX_MARKED,
            )
            for split in SPLITS
            if (values := list_values(history, split, measure))
        ]
        for measure, style in zip(MEASURES, (".4f", ".2%"), strict=True)
    )
    return (
        Chart("Loss by epoch", "epoch", "loss", loss, whole=True),
        Chart("Accuracy by epoch", "epoch", "accuracy", accuracy, percent=True, whole=True),
    )


def chart_reliability(reliability: Reliability) -> Chart:
    """The reliability diagram: accuracy over confidence, with 95 % intervals of Clopper and Pearson."""
    bins = reliability.bins
    counts = np.array([part.count for part in bins])
    low, high = interval(np.rint([part.accuracy * part.count for part in bins]), counts)
    bars = [(part.confidence, *ends) for part, *ends in zip(bins, low.tolist(), high.tolist(), strict=True)]
    start = min(*(min(x, bottom) for x, bottom, _ in bars), 1 - 1e-3)
    left, right = start - 0.05 * (1 - start), 1 + 0.02 * (1 - start)
    points = [(part.confidence, part.accuracy) for part in bins]
    return Chart(
        f"Reliability diagram: calibration error {reliability.calibration_error:.2%}",
        "confidence",
        "accuracy",
        [
            Series("perfect calibration", "ideal", [(left, left), (1, 1)]),
            Series(
                "a fifteenth of the images each, 95 % interval",
                "train",
                points,
                joined=False,
                marked=True,
                intervals=bars,
            ),
        ],
        percent=True,
        limits=(left, right, left, right),
    )


def chart_risk(curve: RiskCurve) -> Chart:
    """The risk-coverage curve: the error among the accepted over the share that is rejected.

    The x axis is logarithmic from one image on, because the errors are where few are rejected. Points show
    how much has to be rejected for each of `MAX_ERRORS`.
    """
    alone = 1 / curve.count  # the share of one image
    wanted = torch.from_numpy(np.append(0, np.geomspace(alone, 1, MAX_POINTS)))
    places = (torch.searchsorted(curve.rejected, wanted, right=True) - 1).unique()
    rejected, errors = curve.rejected[places], curve.errors[places]
    few = rejected <= MAX_REJECTED
    points: list[tuple[float, float]] = []
    for share, error in zip(rejected[few].tolist(), errors[few].tolist(), strict=True):
        points += [(share, points[-1][1]), (share, error)] if points else [(share, error)]  # a step
    points.append((MAX_REJECTED, points[-1][1]))
    rates = [(curve.reject_rate(error), error) for error in MAX_ERRORS if error < points[0][1]]
    reached = [
        Series(f"{error:.1%} wrong, {rate:.2%} rejected", "validation", [(rate, error)], False, True)
        for rate, error in rates
        if rate <= MAX_REJECTED
    ]
    return Chart(
        f"Risk–coverage curve: area under it {curve.area:.2e}",
        "rejected",
        "wrong among the accepted",
        [Series("wrong among the accepted", "train", points), *reached],
        percent=True,
        limits=(0.0, 1.0, 0.0, 1.15 * max(error for _, error in points) or 0.01),
        linear_until=alone,
    )
