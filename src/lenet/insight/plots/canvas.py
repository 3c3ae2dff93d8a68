"""What all figures share: how one is made and saved, and the rule for the colours of maps."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNED, UNSIGNED = "RdBu_r", "magma"
NOTHING = (0.62, 0.68, 0.76)  # blue-grey, where no pixel is
Array = NDArray[np.floating]
Colours = tuple[str, float, float]  # the map's name, and the values at its ends


def choose_colours(values: Array, signed: bool = False) -> Colours:
    """Red above zero and blue below where there is anything below zero, else from dark to bright."""
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    if signed or least < 0:
        most = max(abs(least), abs(most)) or 1.0
        return SIGNED, -most, most
    return UNSIGNED, least, most if most > least else least + 1


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all. Names in it are taken as they are, never as formulas."""
    write_bytes(path, render_figure(figure))


def render_figure(figure: "Figure") -> bytes:
    """A figure as the bytes of a PNG. Names in it are taken as they are, never as formulas."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # what the font lacks is drawn as a box
        figure.savefig(content, format="png")
    return content.getvalue()
