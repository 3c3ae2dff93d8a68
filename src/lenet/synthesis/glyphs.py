"""Drawn digits in all the forms that people write, most of them rare in MNIST: strokes, pens and framing."""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet.images.framing import frame_digits
from lenet.synthesis.strokes import Points, draw_strokes

HEIGHT = 60  # pixels of a digit before it is framed
PENS = (0.015, 0.16)  # digit heights: from a hairline to a felt pen
SKIPPING = 0.05  # digit heights: wider pens do not skip
BROKEN = 0.2  # of the glyphs in thinner pens are broken lines
STEP = 0.02  # digit heights between the points at which a pen's width changes
SOFT_EDGE = 1.7  # pixels that OpenCV's antialiasing adds to the width of a line
THIN = 2  # pixels: OpenCV's line of one pixel is much thinner than half of this
SHIFT = 4  # fractional bits of OpenCV's coordinates

SHARES = (0.13, 0.13, 0.08, 0.11, 0.13, 0.10, 0.06, 0.10, 0.07, 0.09)
"""The share of each digit; those with forms that MNIST lacks have more."""


def make_numpy_generator(generator: torch.Generator) -> np.random.Generator:
    """A NumPy generator, seeded by one number of torch's."""
    return np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))


def render_strokes(
    strokes: Sequence[Points],
    height: float,
    pen: float,
    rng: np.random.Generator,
    pressure: float = 0.2,
    broken: float = 0.0,
) -> NDArray[np.uint8]:
    """Draw strokes with a round pen: uint8 (h, w), 0 is paper and 255 is full ink, cut to the ink.

    Args:
        strokes: each (n, 2), x and y downwards, in units of the digit's height.
        height: the height of the digit without the pen, in pixels.
        pen: the mean width of the pen in pixels, at least 0.25; hairlines are grey.
        rng: draws how the width changes along the strokes.
        pressure: the relative standard deviation of the width.
        broken: the share of the line that is left blank.
    """
    zoom = 4 if pen < 6 else 2  # OpenCV's widths are, in effect, even
    margin = math.ceil(pen) + 2
    corner = np.min([stroke.min(axis=0) for stroke in strokes], axis=0)
    places = [zoom * (height * (stroke - corner) + margin) for stroke in strokes]
    farthest = np.max([place.max(axis=0) for place in places], axis=0) / zoom
    across, down = np.ceil(farthest + margin).astype(int).tolist()
    canvas = np.zeros((zoom * down, zoom * across), np.uint8)
    ink = 255 * min(1, zoom * pen / (THIN + SOFT_EDGE))  # what is thinner is paler
    for place in places:
        points = space_evenly(place, STEP * height * zoom)
        gap = 1 + round(pen / (STEP * height))  # points; round ends take a pen's width of it
        widths = zoom * pen * vary_pen(len(points), pressure, broken, gap, rng)
        thick = np.where(widths > 0, np.maximum(2 * np.rint((widths - SOFT_EDGE) / 2), THIN), 0).astype(int)
        fixed = np.rint(points * (1 << SHIFT)).astype(np.int32)
        changes = np.flatnonzero(np.diff(thick)) + 1
        for first, last in pairwise([0, *changes.tolist(), len(points)]):
            if thick[first]:
                line = fixed[first : last + 1]
                cv2.polylines(canvas, [line], False, ink, int(thick[first]), cv2.LINE_AA, SHIFT)
    fine = cv2.resize(canvas, (across, down), interpolation=cv2.INTER_AREA)
    left, top, width, high = cv2.boundingRect(fine)
    return np.asarray(fine[top : top + high, left : left + width], dtype=np.uint8)


def space_evenly(stroke: Points, step: float) -> Points:
    """The same line (n, 2) with points about `step` apart."""
    along = np.concatenate([[0], np.hypot(*np.diff(stroke, axis=0).T).cumsum()])
    even = np.linspace(0, along[-1], max(2, round(along[-1] / step) + 1))
    return np.column_stack([np.interp(even, along, side) for side in stroke.T])


def vary_pen(count: int, pressure: float, broken: float, gap: int, rng: np.random.Generator) -> Points:
    """The width of a pen at `count` points along a stroke, around 1; 0 in gaps of about `gap` points."""
    nodes = rng.normal(0, pressure, max(2, count // 12) + 1)
    widths = np.exp(np.interp(np.linspace(0, len(nodes) - 1, count), np.arange(len(nodes)), nodes))
    if broken:
        rough = np.convolve(rng.random(count + gap - 1), np.ones(gap), mode="valid")
        widths[rough < np.quantile(rough, broken)] = 0
    return widths


def draw_glyph(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random variant of a digit in a random pen, as `render_strokes`."""
    pen = HEIGHT * float(np.exp(rng.uniform(*np.log(PENS))))
    # The gaps of a wide pen are as wide: an 8 would be a 3.
    broken = rng.uniform(0.05, 0.25) if pen < SKIPPING * HEIGHT and rng.random() < BROKEN else 0.0
    return render_strokes(draw_strokes(label, rng), HEIGHT, pen, rng, rng.uniform(0, 0.2), broken)


def draw_glyphs(count: int, size: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw glyphs of all digits: uint8 (about `count`, 1, *size) in MNIST's framing, and their labels (N,).

    `generator` is the only source of randomness, on the CPU.
    """
    rng = make_numpy_generator(generator)
    labels = np.repeat(np.arange(10), [round(share * count) for share in SHARES])
    drawings = [torch.from_numpy(draw_glyph(label, rng)).float()[None] / 255 for label in labels.tolist()]
    images = [frame_digits(drawing[None], size) for drawing in drawings]
    return torch.cat(images), torch.from_numpy(labels)
