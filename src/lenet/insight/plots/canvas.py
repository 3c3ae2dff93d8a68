"""What all figures share: making and saving one, its colours, axes, images and captions."""

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from lenet.errors import LeNetError
from lenet.files import write_bytes
from lenet.insight.language import translate_text
from lenet.insight.plots.fonts import choose_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Array = NDArray[np.floating]
Colours = tuple[str, float, float]  # the colour map's name, and the values at its ends

DPI = 110
FORMATS: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Suffixes of figures, with the metadata that is left out so that equal figures are equal files."""
COLOURS = {"train": "#4269d0", "validation": "#ff725c", "test": "#3ca951", "loss": "#a463f2", "ideal": "0.6"}
"""Of a series, by its kind."""
SIGNED, UNSIGNED = "RdBu_r", "magma"
WORDS = re.compile(r"\s*[（《]*(?:[\u2e80-\uffef]|[^\s\u2e80-\uffef]+)[、。，：；？！）》]*")
"""Parts of a text that stay on one line: a word or an East Asian character, and the marks beside it."""
PADDING = (0.62, 0.68, 0.76)  # blue-grey, for what lies beyond the image


def make_figure(width: float, height: float, title: str = "", spacing: float = 0.02) -> "Figure":
    """An empty figure, sizes in inches; `spacing` lies between axes, as a share of their size.

    A title that is a phrase is translated; one that is wider than the figure is wrapped.
    """
    from matplotlib.figure import Figure  # a second to import, needed only here
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(wspace=spacing, hspace=spacing)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    figure.suptitle("\n".join(wrap(line, int(10 * width - 5)) for line in translate_text(title).splitlines()))
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure atomically, as PNG, SVG or PDF by its suffix. Raises LeNetError for another suffix."""
    check_figure_path(path)
    suffix = path.suffix.lower()
    write_bytes(path, render_figure(figure, suffix if suffix in FORMATS else ".png"))  # fails for a folder


def check_figure_path(path: Path) -> None:
    """Raise LeNetError unless `path` has the suffix of a format of figures; a folder passes."""
    if path.suffix.lower() not in FORMATS and not path.is_dir():
        raise LeNetError(f"{path}: plots are written as {', '.join(FORMATS)}; choose such a name")


def render_figure(figure: "Figure", suffix: str = ".png") -> bytes:
    """A figure as the bytes of a PNG, SVG or PDF file. Names in it are never read as formulas."""
    import matplotlib
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    families = choose_fonts(figure)
    content = io.BytesIO()
    # The family is that of ticks that are made while drawing.
    with matplotlib.rc_context({"svg.hashsalt": "lenet", "font.family": families}):
        figure.savefig(content, format=suffix[1:], metadata=FORMATS.get(suffix))
    return content.getvalue()


def choose_colours(values: Array, signed: bool = False) -> Colours:
    """Red above zero and blue below where a value is negative, otherwise from dark to bright."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if signed or low < 0:
        high = max(abs(low), abs(high)) or 1.0
        return SIGNED, -high, high
    return UNSIGNED, low, high if high > low else low + 1


def colour_values(values: Array, colours: Colours) -> NDArray[np.uint8]:
    """The pixels (h, w, 3) of a map (h, w)."""
    import matplotlib

    name, low, high = colours
    pixels = matplotlib.colormaps[name]((values - low) / (high - low), bytes=True)
    return np.ascontiguousarray(pixels[..., :3])


def colour_patch(patch: Array) -> Array:
    """A patch (h, w) of 0..1 as grey RGB (h, w, 3), 0..1; NaN, beyond the image, becomes blue-grey."""
    pixels = np.repeat(patch.clip(0, 1)[..., None], 3, axis=2)
    pixels[np.isnan(patch)] = PADDING
    return pixels


def show_values(axes: "Axes", values: Array, colours: Colours) -> "AxesImage":
    """Draw a map (h, w), without ticks."""
    name, low, high = colours
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_linewidth(0.4)
    return axes.imshow(values, cmap=name, vmin=low, vmax=high, interpolation="nearest")


def show_image(axes: "Axes", image: NDArray[np.uint8]) -> None:
    """Draw an image (h, w) or (h, w, 3), without ticks; small ones with sharp pixels."""
    is_small = min(image.shape[:2]) < 64
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if is_small else None)
    axes.set(xticks=[], yticks=[])


def name_row(axes: "Axes", text: str) -> None:
    """Write the name of a row to the left of its first axes."""
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9)


def choose_rotation(names: Sequence[str]) -> int:
    """Degrees by which names of narrow columns are turned: 0 up to two letters or three Chinese ones."""
    return 90 if any(len(name) > (2 if name.isascii() else 3) for name in names) else 0


def trim_axes(axes: "Axes") -> None:
    """A pale grid, and no frame above and to the right."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def wrap(text: str, width: int) -> str:
    """Text in lines of at most `width` columns. East Asian characters take two; a line may end after one."""
    if measure_columns(text) == len(text):
        return "\n".join(textwrap.wrap(text, width))
    lines = [""]
    for word in WORDS.findall(text):
        if measure_columns(lines[-1] + word) > width and lines[-1]:
            lines.append("")
            word = word.lstrip()
        lines[-1] += word
    return "\n".join(lines)


def measure_columns(text: str) -> int:
    """The width of a text, in columns of a terminal."""
    return sum(1 + (east_asian_width(sign) in "WF") for sign in text)
