"""Characters drawn from handwriting fonts, in any size, pen, slant and width."""

import io
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont
from scipy.ndimage import distance_transform_edt

from lenet.data.fonts import read_font
from lenet.errors import DataError

_DIGIT_HEIGHT = 96  # pixels: the height in which a font's characters are rendered, once
_MARGIN = 16  # pixels around the rendered ink, for thicker pens
_FIRST_SIZE = 100  # pixels an em: the size in which the height of the digits is measured
_ABSENT = "\ufffe"  # never a character, so a font draws what it draws for the characters that it lacks
_MAX_THINNING = 0.2  # of the stroke, at either edge: hairlines beside thick strokes must not vanish
_MAX_GROWTH = 0.08  # digit heights, at either edge: the loops of an 8 stay open in most fonts
_FAINT = 0.1  # ink that is not seen
_MAX_SIDE = 8  # digit heights: no character of a handwriting font is larger


@dataclass(frozen=True)
class Pen:
    """How one writer, or one line of writing, differs from the font."""

    width: float = 0.0
    """Pen width as a share of the height of digits, as far as the font's strokes allow; 0 is its own."""
    slant: float = 0.0
    """Shift of the top to the right, as a share of the height; added to the font's own slant."""
    stretch: float = 1.0
    """Factor of the characters' widths."""


def choose_pen(rng: np.random.Generator) -> Pen:
    """A random pen: 4 to 18 % of the digits' height wide, slant up to ±0.25, stretched by 0.8 to 1.25."""
    width = np.exp(rng.uniform(np.log(0.04), np.log(0.18)))
    return Pen(float(width), float(rng.uniform(-0.25, 0.25)), float(np.exp(rng.uniform(-0.22, 0.22))))


@dataclass(frozen=True)
class Shape:
    """A rendered character as signed distances, from which any pen width is drawn."""

    distances: Image.Image
    """Mode F: pixels to the edge of the ink, at `_DIGIT_HEIGHT`; positive in the ink; with a margin."""
    rise: float
    """The lower edge of the ink above the base line, in digit heights; negative where it descends."""


class Typeface:
    """A font that draws characters. Each character is rendered once and kept."""

    def __init__(self, content: bytes, name: str = "font") -> None:
        """`content` is a font file that FreeType reads; raises DataError, with `name`, for another."""
        self.name = name
        try:
            font = ImageFont.truetype(io.BytesIO(content), _FIRST_SIZE, layout_engine=ImageFont.Layout.BASIC)
            boxes = [font.getbbox(digit) for digit in "0123456789"]
        except (OSError, ValueError) as error:
            raise DataError(f"{name}: not a font that can be drawn ({error})") from error
        # The median, because old-style figures such as a small 0 or a 9 below the line are written, too.
        height = float(np.median([bottom - top for _, top, _, bottom in boxes]))
        if height < 1:
            raise DataError(f"{name}: a font without digits")
        self._font = font.font_variant(size=_FIRST_SIZE * _DIGIT_HEIGHT / height)
        self._absent, _ = self._draw(_ABSENT)
        self._shapes: dict[str, Shape | None] = {}

    def find_shape(self, character: str) -> Shape:
        """The rendered `character`. Raises DataError when the font lacks it or draws no ink."""
        if character not in self._shapes:
            self._shapes[character] = self._render(character)
        shape = self._shapes[character]
        if shape is None:
            raise DataError(f"{self.name}: the font has no {character!r}")
        return shape

    @cached_property
    def stroke(self) -> float:
        """The width of the strokes, in digit heights: the median of the digits' mean widths."""
        widths = []
        for digit in "0123456789":
            distances = np.asarray(self.find_shape(digit).distances)
            # Pixels of a stroke of the width w are at most w / 2, on average w / 4, from its edge.
            widths.append(4 * float(distances[distances > 0].mean()) / _DIGIT_HEIGHT)
        return float(np.median(widths))

    def _render(self, character: str) -> Shape | None:
        ink, top = self._draw(character)
        if ink.max() < 128 or np.array_equal(ink, self._absent):
            return None
        inside = np.pad(ink, _MARGIN) >= 128
        # Half a pixel less, because the edge lies between two pixels.
        distances = np.where(
            inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside)
        )
        lowest = int(np.flatnonzero(inside.any(axis=1))[-1]) + 1 - _MARGIN
        return Shape(Image.fromarray(distances.astype(np.float32)), -(top + lowest) / _DIGIT_HEIGHT)

    def _draw(self, character: str) -> tuple[NDArray[np.uint8], int]:
        """Grey values (h, w) of the box, one pixel if it is empty; the row of its top below the base line."""
        left, top, right, bottom = self._font.getbbox(character, anchor="ls")
        if min(right - left, bottom - top) < 1 or max(right - left, bottom - top) > _MAX_SIDE * _DIGIT_HEIGHT:
            return np.zeros((1, 1), np.uint8), 0
        mask, (_, first) = self._font.getmask2(character, "L", anchor="ls")
        width, height = mask.size
        return np.array(mask, np.uint8).reshape(height, width), first


def draw_character(
    typeface: Typeface, character: str, height: float, rng: np.random.Generator, pen: Pen | None = None
) -> NDArray[np.float32]:
    """Draw one character: float32 (h, w), 0 on paper to 1 in ink, cut to its ink.

    `height` is that of the font's digits in pixels, so a full stop is small and a 9 with a long tail is
    higher; `typeface.find_shape(character).rise` tells how far above the base line the lowest row stands.
    `rng` chooses the pen if none is given, and varies a given one a little, as no one writes a digit twice
    alike. Raises DataError when the font lacks the character.
    """
    shape = typeface.find_shape(character)
    pen = _vary_pen(pen, rng) if pen else choose_pen(rng)
    scale = height / _DIGIT_HEIGHT
    source = shape.distances
    rows = ceil(source.height * scale)
    lean = abs(pen.slant) * rows
    size = (ceil(source.width * scale * pen.stretch + lean), rows)
    across = 1 / (scale * pen.stretch)
    start = -rows * max(pen.slant, 0.0)  # the foot stays where it is if the top leans right, else the top
    matrix = (across, across * pen.slant, across * start, 0.0, 1 / scale, 0.0)
    far = -2.0 * _DIGIT_HEIGHT
    distances = np.asarray(
        source.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=far)
    )
    growth = (pen.width - typeface.stroke) / 2 if pen.width else 0.0
    growth = min(max(growth, -_MAX_THINNING * typeface.stroke), _MAX_GROWTH) * _DIGIT_HEIGHT
    ink = np.clip(0.5 + scale * (distances + growth), 0, 1).astype(np.float32)
    return _cut(ink)


def _vary_pen(pen: Pen, rng: np.random.Generator) -> Pen:
    width, slant, stretch = rng.normal(0, (0.06, 0.03, 0.05))
    return Pen(
        pen.width * float(np.exp(width)), pen.slant + float(slant), pen.stretch * float(np.exp(stretch))
    )


def _cut(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """The box of the ink that can be seen; of the darkest pixel, if none can."""
    seen = ink >= min(_FAINT, float(ink.max()))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def open_typeface(name: str) -> Typeface:
    """The font of this name in the table, kept for the life of the process; raises as `read_font`."""
    return Typeface(read_font(name), name)
