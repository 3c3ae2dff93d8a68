"""Lines of writing with known texts, as the line network sees them: composed, photographed, cut out."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.strips import cut_strip, weighted_median
from lenet.synthesis.hands import Material, gather_material
from lenet.synthesis.paper import Picture, photograph, scan
from lenet.synthesis.strings import KINDS, choose_text, write_string

MAX_COLUMNS = 400  # of a strip: longer ones are composed anew
MIN_BRIGHTNESS = 0.3  # of paper, as in reading
INK = 0.4  # what counts as ink when the line is found
DOT = 0.3  # text heights: smaller components do not always count for the box of the line
MIN_SLOPE = 0.08  # rows per column: flatter lines are not straightened
MIN_SIDE = 3  # pixels: smaller components are dust


@dataclass(frozen=True, eq=False)
class LineStrip:
    """A strip uint8 (ROWS, w), white on black, and the digits on it."""

    image: NDArray[np.uint8]
    text: str


def compose_picture(
    material: Material, rng: np.random.Generator, kind: str | None = None, spacing: str | None = None
) -> Picture:
    """A picture of a text in a random hand on random paper; `kind` is one of KINDS."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    return photograph(
        write_string(choose_text(kind, rng), kind, material, rng, spacing), rng, material.typefaces
    )


def compose_line(material: Material, seed: int, purpose: str, number: int) -> LineStrip | None:
    """The line with this number: a pure function of its arguments. None where it came out without ink."""
    rng = np.random.default_rng([seed, int.from_bytes(purpose.encode()), number])
    return cut_line(compose_picture(material, rng), rng)


def compose_pictures(
    images: NDArray[np.uint8], labels: NDArray[np.int64], singles: int, strings: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Pictures on clean paper and their texts: of one digit, then of numbers and amounts in turn.

    Args:
        images: uint8 (N, 28, 28) of digits, white on black; some digits are drawn instead.
        labels: (N,), 0 to 9.
        singles, strings: the number of pictures of one digit, and of more.
        seed: equal seeds give equal pictures.
    """
    material = gather_material(images, labels)
    for number in range(singles + strings):
        rng = np.random.default_rng([seed, number])
        kind = "single" if number < singles else ("number", "amount")[number % 2]
        picture = scan(write_string(choose_text(kind, rng), kind, material, rng), rng)
        yield picture.image, picture.written.text


def cut_line(picture: Picture, rng: np.random.Generator) -> LineStrip | None:
    """The line of a picture, cut out as reading would: its light removed, its box a little wrong.

    The ink and the light are known, so that this takes a tenth of the time of finding them. Returns None for
    lines without ink, or too long.
    """
    dark = 255 - picture.image if picture.inverted else picture.image
    contrast = (picture.light - dark / np.float32(255)) / np.maximum(picture.light, MIN_BRIGHTNESS)
    ink = picture.written.ink > INK
    _, _, components, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    components = components[1:]
    components = components[components[:, 2:4].max(axis=1) > MIN_SIDE]
    if not len(components):
        return None
    height = weighted_median(components[:, 3], components[:, 4]) * float(np.exp(rng.normal(0, 0.06)))
    bodies = components[components[:, 2:4].max(axis=1) >= DOT * height]
    if len(bodies) and rng.random() < 0.7:
        components = bodies
    left, top = components[:, :2].min(axis=0)
    right, bottom = (components[:, :2] + components[:, 2:4]).max(axis=0)
    # A box that is too small by much would cut digits; one that is too large holds what lies beside.
    wrong = np.maximum(rng.normal(0, 0.04, 4), -0.06) * height
    if rng.random() < 0.12:
        wrong += rng.uniform(0, 0.6, 4) * height * (rng.random(4) < 0.5)
    rows = slice(max(0, int(top - wrong[0])), min(ink.shape[0], int(bottom + wrong[1])))
    columns = slice(max(0, int(left - wrong[2])), min(ink.shape[1], int(right + wrong[3])))
    if rows.stop - rows.start < MIN_SIDE or columns.stop <= columns.start:
        return None
    slope = 0.0
    if (
        len(picture.written.boxes) > 1 and abs(picture.written.slope) > MIN_SLOPE
    ):  # as reading straightens lines
        slope = picture.written.slope + float(rng.normal(0, 0.03))
    strip = cut_strip(contrast.astype(np.float32), ink[rows, columns], rows, columns, height, slope).image
    return LineStrip(strip, picture.written.text) if strip.shape[1] <= MAX_COLUMNS else None
