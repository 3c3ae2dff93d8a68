"""Charts as values: series and intervals, computed once, then drawn by matplotlib or as SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lenet.phrases import Phrase
from lenet.training.loop import Epoch, Step
from lenet.uncertainty.calibration import MAX_ERRORS, Reliability
from lenet.uncertainty.rejection import interval
from lenet.uncertainty.risk import RiskCurve

MEASURES = ("loss", "accuracy")
SPLITS = ("train", "validation", "test")
MAX_EPOCHS_DRAWN = 1000  # of a line; a figure has no more pixels across
MAX_MARKED = 40  # epochs; the points of longer curves are not marked one by one
MAX_POINTS = 300  # of the risk-coverage curve
MAX_REJECTED = 0.9  # of a handful that is accepted, one error is a high share
EPOCH, ACCURACY = Phrase("epoch"), Phrase("accuracy")  # names of axes
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A named line, or points; `kind` decides the colour: train, validation, test, loss, ideal."""

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


def chart_curves(history: Sequence[Epoch], steps: Sequence[Step] = ()) -> tuple[Chart, Chart]:
    """Loss and accuracy on training, validation and test images: of each epoch, and of steps within it."""
    loss, accuracy = (
        [line for split in SPLITS for line in _draw_line(history, steps, split, measure)]
        for measure in MEASURES
    )
    best = find_best(history)
    if best is not None and best.validation_accuracy is not None:
        name = Phrase("best epoch {epoch}: {share:.2%}", epoch=best.epoch, share=best.validation_accuracy)
        point = (best.epoch, best.validation_accuracy)
        accuracy.append(Series(name, "validation", [point], joined=False, marked=True))
    return (
        Chart(Phrase("Loss by epoch"), EPOCH, Phrase("loss"), loss, whole=True),
        Chart(Phrase("Accuracy by epoch"), EPOCH, ACCURACY, accuracy, percent=True, whole=True),
    )


def chart_together(history: Sequence[Epoch], steps: Sequence[Step] = ()) -> Chart:
    """Training loss, training accuracy and held-out accuracies over one axis, as d2l draws them."""
    lines = [("loss", "train"), *(("accuracy", split) for split in SPLITS)]
    series = [
        replace(
            line,
            name=Phrase("{split} {measure}", split=Phrase(split), measure=Phrase(measure)),
            kind="loss" if measure == "loss" else split,
        )
        for measure, split in lines
        for line in _draw_line(history, steps, split, measure)
    ]
    title = Phrase("Loss and accuracy over one axis")
    return Chart(title, EPOCH, Phrase("loss, accuracy"), series, whole=True)


def find_best(history: Sequence[Epoch]) -> Epoch | None:
    """The best epoch by validation; None where no images are held out."""
    best = [epoch for epoch in history if epoch.is_best and epoch.validation_accuracy is not None]
    return best[-1] if best else None


def _draw_line(history: Sequence[Epoch], steps: Sequence[Step], split: str, measure: str) -> Iterator[Series]:
    """The line of one measure on one split, with a point within an epoch for each of `steps`; or none."""
    values = list_values(history, split, measure)
    points = [(float(epoch.epoch), value) for epoch, value in zip(history, values, strict=bool(values))]
    if split == "train":
        points += [(s.epoch - 1 + s.step / s.steps, getattr(s, measure)) for s in steps]
        points.sort()
    if points:
        thinned = points[:: math.ceil(len(points) / MAX_EPOCHS_DRAWN)]
        if thinned[-1] != points[-1]:
            thinned.append(points[-1])
        last = format(points[-1][1], ".2%" if measure == "accuracy" else ".4f")
        name = Phrase("{split} {last}", split=Phrase(split), last=last)
        yield Series(name, split, thinned, marked=len(points) < MAX_MARKED)


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
        Phrase("Reliability diagram: calibration error {error:.2%}", error=reliability.calibration_error),
        Phrase("confidence"),
        ACCURACY,
        [
            Series(Phrase("perfect calibration"), "ideal", [(left, left), (1, 1)]),
            Series(
                Phrase("a fifteenth of the images each, 95 % interval"),
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
        Series(
            Phrase("{error:.1%} wrong, {rate:.2%} rejected", error=error, rate=rate),
            "validation",
            [(rate, error)],
            joined=False,
            marked=True,
        )
        for rate, error in rates
        if rate <= MAX_REJECTED
    ]
    wrong = Phrase("wrong among the accepted")
    return Chart(
        Phrase("Risk–coverage curve: area under it {area:.2e}", area=curve.area),
        Phrase("rejected"),
        wrong,
        [Series(wrong, "train", points), *reached],
        percent=True,
        limits=(0.0, 1.0, 0.0, 1.15 * max(error for _, error in points) or 0.01),
        linear_until=alone,
    )
