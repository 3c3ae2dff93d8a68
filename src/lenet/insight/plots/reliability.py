"""Drawn: the risk-coverage curve, the reliability diagram, and a sheet of corruptions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenet.data.imageset import ImageSet
from lenet.insight.plots.canvas import save_figure
from lenet.insight.plots.curves import COLOURS
from lenet.training.evaluation import Robustness
from lenet.uncertainty.calibration import MAX_ERRORS, Bin, Reliability
from lenet.uncertainty.rejection import RiskCurve, upper_bound

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 8  # of each corruption on the sheet


def draw_reliability(reliability: Reliability, path: Path, title: str = "") -> None:
    """Draw the risk-coverage curve and, beside it, the reliability diagram."""
    from matplotlib.figure import Figure  # a second to import, needed only here

    figure = Figure(figsize=(11, 4.6), dpi=110, layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _draw_risk(left, reliability.curve)
    _draw_bins(right, reliability.bins)
    right.set_title(f"expected calibration error {reliability.calibration_error:.2%}", fontsize=10)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _draw_risk(axes: "Axes", curve: RiskCurve) -> None:
    """Errors among the accepted over what is rejected; the axis is logarithmic, for few are."""
    rejected, errors = 100 * curve.rejected.numpy(), 100 * curve.errors.numpy()
    least = 100 / curve.count  # one image
    axes.step(np.append(rejected, 100), np.append(errors, 0), where="post", color=COLOURS["train"])
    for error in (error for error in MAX_ERRORS if error < curve.errors[0]):
        rate = 100 * curve.reject_rate(error)
        axes.plot(rate, 100 * error, "o", color=COLOURS["validation"], markersize=5)
        axes.annotate(
            f"{error:.1%} wrong: {rate:.2f} % rejected",
            (rate, 100 * error),
            (6, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_xscale("symlog", linthresh=least)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0, 100)
    many = curve.accepted.numpy() >= curve.count / 10  # of a handful, one error is a high share
    axes.set_ylim(0, 1.15 * errors[many].max() or 1)
    axes.set(xlabel="rejected, % of all", ylabel="wrong, % of the accepted")
    axes.set_title(f"area under the risk-coverage curve {curve.area:.2e}", fontsize=10)


def _draw_bins(axes: "Axes", bins: tuple[Bin, ...]) -> None:
    """Accuracy over confidence, with the range that the binomial distribution allows 19 of 20 times."""
    given = 100 * np.array([part.confidence for part in bins])
    found = 100 * np.array([part.accuracy for part in bins])
    counts = np.array([part.count for part in bins])
    right = np.rint(found / 100 * counts)
    # One-sided bounds of 95 % on either side hold 90 % between them.
    below = found - 100 * (1 - upper_bound(counts - right, counts))
    above = 100 * upper_bound(right, counts) - found
    least = min(given.min(), (found - below).min()) - 1
    axes.plot([least, 100], [least, 100], color="0.6", linestyle="--", linewidth=1)
    axes.errorbar(
        given, found, np.stack([below, above]).clip(0), fmt="o", color=COLOURS["train"], markersize=4
    )
    axes.set_xlim(least, 100.5)
    axes.set_ylim(least, 100.5)
    axes.set(xlabel="confidence, mean of a fifteenth of the images, %", ylabel="of these are right, %")


def draw_corruptions(
    corrupted: Mapping[str, ImageSet], robustness: Robustness, path: Path, title: str = ""
) -> None:
    """Draw a sheet of samples: a row for each corruption, with the accuracy on it."""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(0.75 * SAMPLES + 1.6, 0.75 * len(corrupted) + 0.6), dpi=110, layout="constrained"
    )
    figure.suptitle(title)
    rows = figure.subplots(len(corrupted), 1)
    for axes, (name, data) in zip(rows, corrupted.items(), strict=True):
        strip = np.concatenate([image[0].numpy() for image in data.images[:SAMPLES]], axis=1)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(
            f"{name.replace('_', ' ')}\n{robustness.accuracies[name]:.2%}",
            rotation=0,
            ha="right",
            va="center",
            fontsize=9,
        )
    save_figure(figure, path)
