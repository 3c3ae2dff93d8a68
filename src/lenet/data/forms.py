"""Digits in forms that few of MNIST's writers used: 1s with long flags, barred 7s, pointed and open 4s.

Half of the world writes them, and to a network that has not seen them a 1 with a flag is a 7. They are drawn
stroke by stroke, coordinates across and down, in shares of the height.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from lenet.data.drawings import SHEET, draw_sheets, make_random
from lenet.data.frame import fit_frame

Point = tuple[float, float]
Strokes = list[list[Point]]


def draw_one(pens: np.random.Generator) -> Strokes:
    """A stem with a flag, short or as long as the stem, mostly steeper than the bar of a 7; maybe a base."""
    steepness = pens.uniform(0.4, 1.05)  # radians from the stem
    length = pens.uniform(0.15, 0.85 if steepness < 0.7 else 0.55)
    flag = (-length * np.sin(steepness), length * np.cos(steepness))
    strokes: Strokes = [[flag, (0, 0), (pens.uniform(-0.08, 0.04), 1)]]
    if pens.random() < 0.35:
        strokes.append([(-pens.uniform(0.1, 0.35), 1), (pens.uniform(0.1, 0.35), 1)])
    return strokes


def draw_seven(pens: np.random.Generator) -> Strokes:
    """A level bar and a leaning stem, mostly crossed by a second bar; maybe a tick where the pen begins."""
    width, foot = pens.uniform(0.45, 0.75), pens.uniform(0.05, 0.3)
    corner, start = (width, 0.0), (0.0, pens.uniform(-0.05, 0.08))
    middle = (pens.uniform(0.35, 0.55) * width + 0.5 * foot, 0.5)
    stroke = [start, corner, middle, (foot, 1.0)]
    if pens.random() < 0.3:
        stroke.insert(0, (pens.uniform(-0.05, 0.05), start[1] + pens.uniform(0.08, 0.2)))
    strokes: Strokes = [stroke]
    if pens.random() < 0.7:
        reach, tilt = pens.uniform(0.12, 0.28, 2), pens.uniform(-0.06, 0.06)
        strokes.append([(middle[0] - reach[0], 0.5 + tilt), (middle[0] + reach[1], 0.5 - tilt)])
    return strokes


def draw_four(pens: np.random.Generator) -> Strokes:
    """A pointed 4, whose two strokes meet above, or an open one, whose stem stands apart."""
    stem, level = pens.uniform(0.3, 0.5), pens.uniform(0.5, 0.75)
    right = (stem + pens.uniform(0.08, 0.3), level + pens.uniform(-0.05, 0.05))
    lean = pens.uniform(-0.05, 0.05)
    if pens.random() < 0.6:
        return [[(stem, 0), (0, level), right], [(stem, 0), (stem + lean, 1)]]
    left, top = pens.uniform(0.05, 0.2), pens.uniform(0, 0.4)
    return [[(left, 0), (0, level), right], [(stem, top), (stem + lean, 1)]]


FORMS: dict[int, tuple[Callable[[np.random.Generator], Strokes], float]] = {
    1: (draw_one, 0.45),
    7: (draw_seven, 0.3),
    4: (draw_four, 0.25),
}


def draw_forms(count: int, size: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Such digits as uint8 (about `count`, 1, *size), framed as MNIST's, and their labels."""
    pens = make_random(generator)
    images, labels = [], []
    for label, (form, share) in FORMS.items():

        def draw(ink: ImageDraw.ImageDraw, form: Callable[[np.random.Generator], Strokes] = form) -> None:
            height, width = pens.uniform(0.55, 0.75) * SHEET, int(pens.integers(4, 14))
            for stroke in form(pens):
                points = [(0.4 * SHEET + x * height, 0.15 * SHEET + y * height) for x, y in stroke]
                ink.line(points, fill=255, width=width, joint="curve")
                for x, y in points:  # round ends
                    radius = width / 2
                    ink.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

        sheets = draw_sheets(round(share * count), draw, pens, slant=0.2)
        images.append((fit_frame(sheets, size) * 255).round().byte())
        labels.append(torch.full((len(sheets),), label))
    return torch.cat(images), torch.cat(labels)
