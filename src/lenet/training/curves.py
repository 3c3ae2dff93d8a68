"""Training curves as a picture: loss on the left, accuracy on the right."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.files import replacing
from lenet.training.loop import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"train": "#4269d0", "validation": "#ff725c", "test": "#3ca951"}


def draw_curves(history: Sequence[Epoch], path: Path, title: str) -> None:
    """Draw loss and accuracy of every finished epoch to the PNG `path`, whole or not at all."""
    from matplotlib.figure import Figure  # a second to import, needed only here
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    figure.suptitle(title)
    numbers = [epoch.epoch for epoch in history]
    for place, measure in enumerate(("loss", "accuracy"), 1):
        axes = figure.add_subplot(1, 2, place)
        for split, colour in COLOURS.items():
            values = [getattr(epoch, f"{split}_{measure}") for epoch in history]
            if values and None not in values:
                label = f"{split} {values[-1]:.4f}"
                axes.plot(numbers, values, color=colour, label=label, marker="." if len(values) < 40 else "")
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if history:
            axes.legend(frameon=False, title="at the last epoch")
    save_figure(figure, path)


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all. Names in it are taken as they are, never as formulas."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # what the font lacks is drawn as a box
        figure.savefig(temporary, format="png")
