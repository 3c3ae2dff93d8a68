"""Training curves as pictures: loss on the left, accuracy on the right; one run, or several in one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lenet.insight.plots.canvas import save_figure
from lenet.training.loop import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("loss", "accuracy")
COLOURS = {"train": "#4269d0", "validation": "#ff725c", "test": "#3ca951"}
STYLES: dict[str, Literal["-", "--", ":"]] = {"train": "-", "validation": "--", "test": ":"}
MOST_MARKED = 40  # points stand apart up to here


def list_values(history: Sequence[Epoch], split: str, measure: str) -> list[float]:
    """One curve: `measure` (loss, accuracy) on `split` (train, validation, test), a value an epoch.

    Empty where an epoch has none.
    """
    values = [getattr(epoch, f"{split}_{measure}") for epoch in history]
    return [] if None in values else values


def plot_curves(history: Sequence[Epoch], title: str) -> "Figure":
    """Loss and accuracy of every epoch, a colour each for training, validation and test."""
    figure, places = _begin(title)
    for measure, axes in places.items():
        for split, colour in COLOURS.items():
            if values := list_values(history, split, measure):
                _plot(axes, history, values, color=colour, label=f"{split} {_write(measure, values[-1])}")
        if axes.lines:
            axes.legend(frameon=False, title="at the last epoch")
    return figure


def plot_runs(histories: Mapping[str, Sequence[Epoch]], title: str) -> "Figure":
    """Several runs in one picture: a colour for each run, a kind of line for each half of the data."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    # Ten colours that are told apart easily; beyond those, shades in the order of the runs.
    palette = colormaps["tab10" if len(histories) <= 10 else "viridis"]
    colours = [
        palette(i if len(histories) <= 10 else i / (len(histories) - 1)) for i in range(len(histories))
    ]
    figure, places = _begin(title)
    drawn: set[str] = set()
    for measure, axes in places.items():
        for colour, history in zip(colours, histories.values(), strict=True):
            for split, style in STYLES.items():
                if values := list_values(history, split, measure):
                    _plot(axes, history, values, color=colour, linestyle=style)
                    drawn.add(split)
    runs = [Line2D([], [], color=colour, lw=3) for colour in colours]
    kinds = [Line2D([], [], color="black", linestyle=STYLES[split]) for split in STYLES if split in drawn]
    labels = [split for split in STYLES if split in drawn]
    figure.legend(kinds, labels, loc="outside right upper", frameon=False, title="images")
    figure.legend(runs, list(histories), loc="outside lower left", frameon=False)
    figure.set_figheight(4 + 0.22 * len(histories))
    return figure


def draw_curves(history: Sequence[Epoch], path: Path, title: str) -> None:
    """Draw loss and accuracy of every finished epoch to the PNG `path`, whole or not at all."""
    save_figure(plot_curves(history, title), path)


def _begin(title: str) -> tuple["Figure", dict[str, "Axes"]]:
    """An empty figure with a place for each measure."""
    from matplotlib.figure import Figure  # a second to import, needed only here
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    figure.suptitle(title)
    places = {measure: figure.add_subplot(1, 2, number) for number, measure in enumerate(MEASURES, 1)}
    for measure, axes in places.items():
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    places["accuracy"].yaxis.set_major_formatter(PercentFormatter(1))
    return figure, places


def _plot(axes: "Axes", history: Sequence[Epoch], values: Sequence[float], **look: Any) -> None:
    numbers = [epoch.epoch for epoch in history]
    axes.plot(numbers, values, marker="." if len(values) < MOST_MARKED else "", **look)


def _write(measure: str, value: float) -> str:
    return f"{value:.2%}" if measure == "accuracy" else f"{value:.4f}"
