"""Marks and letters beside digits: points, commas, dashes, signs of currencies, scribbles; lines of a pen."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.synthesis.font_glyphs import Pen, draw_character
from lenet.synthesis.hands import Hand, Ink

SHIFT = 4  # fractional bits of OpenCV's coordinates


def draw_mark(character: str, hand: Hand, height: float, rng: np.random.Generator) -> tuple[Ink, float]:
    """A mark or a letter: its ink, and its top below the top of the digits, in pixels."""
    thick = max(1.5, hand.pen * height)
    if character.isalpha() and hand.typeface is not None:
        pen = Pen(hand.pen, hand.slant, hand.stretch)
        ink = draw_character(hand.typeface, character, height * rng.uniform(0.7, 1.1), rng, pen)
        return ink, height - ink.shape[0] * rng.uniform(0.9, 1.1)
    base = height * rng.uniform(0.82, 1.05)
    tilt = rng.normal(0, 0.05, 3)
    match character:
        case ".":
            size = thick * rng.uniform(0.9, 1.8)
            high = base - thick if rng.random() < 0.75 else height * rng.uniform(0.5, 0.8)
            return draw_pen_lines([[(0.0, 0.0), (0.1, 0.1)]], size), high
        case "," | "'":
            length = height * rng.uniform(0.12, 0.35)
            high = base - 0.4 * length if character == "," else height * rng.uniform(-0.1, 0.15)
            return draw_pen_lines([[(0.6 * length, 0.0), (0.0, length)]], thick), high
        case "-" | "~":
            length, wave = height * rng.uniform(0.25, 1.1), 3.0 if character == "~" else 0.0
            points = [
                (0.0, tilt[0] * length),
                (length / 2, wave * tilt[1] * length),
                (length, tilt[2] * length),
            ]
            return draw_pen_lines([bend_line(points)], thick), height * rng.uniform(0.3, 0.8)
        case "=":
            length, gap = height * rng.uniform((0.25, 0.1), (0.8, 0.25))
            lines = [[(0.0, 0.0), (length, tilt[0] * length)]]
            lines += [[(0.0, gap), (length * rng.uniform(0.8, 1), gap + tilt[1] * length)]]
            return draw_pen_lines(lines, thick), height * rng.uniform(0.3, 0.65)
        case "/":
            length = height * rng.uniform(0.9, 1.4)
            lines = [[(length * rng.uniform(0.4, 0.7), 0.0), (0.0, length)]]
            return draw_pen_lines(lines, thick), (height - length) / 2
    size = height * rng.uniform(0.7, 1.1)
    scribble = rng.random((int(rng.integers(2, 5)), 6, 2))
    strokes = [bend_line(size * np.array(line)) for line in SIGNS.get(character, scribble)]
    return draw_pen_lines(strokes, thick), (height - size) * float(rng.uniform(0.3, 1))


SIGNS: dict[str, list[list[tuple[float, float]]]] = {
    "$": [
        [(0.5, 0.2), (0.05, 0.1), (0.1, 0.4), (0.5, 0.55), (0.5, 0.85), (0.0, 0.8)],
        [(0.3, 0.0), (0.25, 1.0)],
    ],
    "#": [
        [(0.25, 0.0), (0.15, 1.0)],
        [(0.55, 0.0), (0.45, 1.0)],
        [(0.0, 0.35), (0.7, 0.3)],
        [(0.0, 0.7), (0.7, 0.65)],
    ],
    "*": [[(0.3, 0.1), (0.3, 0.7)], [(0.05, 0.2), (0.55, 0.6)], [(0.55, 0.2), (0.05, 0.6)]],
}
"""Signs before amounts, as lines of points in digit heights."""


Points: TypeAlias = Sequence[tuple[float, float]] | NDArray[np.float64]
"""Points (n, 2), x and y in pixels."""


def bend_line(points: Points) -> NDArray[np.float64]:
    """A smooth line near the points: the Bézier curve that they control, (16, 2)."""
    time = np.linspace(0, 1, 16)[:, None, None]
    curve = np.repeat(np.asarray(points, np.float64)[None], len(time), axis=0)
    while curve.shape[1] > 1:  # de Casteljau's algorithm, for all times at once
        curve = (1 - time) * curve[:, :-1] + time * curve[:, 1:]
    return curve[:, 0]


def draw_pen_lines(lines: Sequence[Points], pen: float) -> Ink:
    """Lines of points (x, y) in pixels, drawn with a pen of that width and cut to their box."""
    joined = np.concatenate([np.asarray(line, np.float64) for line in lines])
    margin = pen / 2 + 1
    low, high = joined.min(axis=0) - margin, joined.max(axis=0) + margin
    width, height = np.ceil(high - low).astype(int).tolist()
    ink = np.zeros((height, width), np.float32)
    for line in lines:
        add_line(ink, np.asarray(line) - low, pen)
    return ink


def add_line(ink: Ink, points: NDArray[np.float64], pen: float, darkness: float = 1.0) -> None:
    """Draw a line through points (n, 2), x and y in pixels, onto `ink`."""
    drawn = np.zeros(ink.shape, np.uint8)
    fixed = np.rint(points * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(drawn, [fixed], False, 255, max(1, round(pen)), cv2.LINE_AA, SHIFT)
    np.maximum(ink, drawn * np.float32(darkness / 255), out=ink)
