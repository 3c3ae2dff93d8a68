"""Corruptions of strokes and shape: lines across the digit, outlines, affine changes."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from lenet.images.geometry import pixel_centres, sampling_matrices

REACH = 2.3  # pixels from the middle of a stroke to where its ink would have no end below 0
DASH = 2  # pixels on, as many off
FIRST, LAST = 2, 25  # columns that the zigzag spans
TOOTH = 2  # pixels up or down; a quarter of a wave is as long
MOST_RISE = 5  # rows, from the left end of the zigzag to the right one


def draw_dotted_line(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A dotted line from the left edge to the right one; neither end lies in a corner."""
    count, height, width = ink.shape
    starts, ends = generator.integers(3, height - 3, (2, count, 1))
    columns = np.arange(width)
    line = _stroke(starts + (ends - starts) * columns / (width - 1), height)
    return ink + line * (columns // DASH % 2).astype(np.float32)


def draw_zigzag(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A zigzag from the left to the right, rising or falling a little."""
    count, height, width = ink.shape
    margin = MOST_RISE + TOOTH
    starts = generator.integers(margin, height - margin, (count, 1))
    rises = generator.integers(-MOST_RISE, MOST_RISE + 1, (count, 1))
    columns = np.arange(width)
    along = columns - FIRST
    wave = along / TOOTH  # in quarters of a wave
    teeth = TOOTH * (np.abs((wave - 1) % 4 - 2) - 1)  # 0, up, 0, down, 0 at 0, 1, 2, 3, 4 quarters
    zigzag = _stroke(starts + rises * along / (LAST - FIRST) + teeth, height)
    return ink + zigzag * ((columns >= FIRST) & (columns <= LAST))


def _stroke(rows: NDArray[np.float64], height: int) -> NDArray[np.float32]:
    """Ink of a stroke that lies at `rows` (N, W): full in the middle, then logarithmically less."""
    distances = np.abs(np.arange(height)[:, None] - rows[:, None, :])  # (N, H, W)
    remainder = np.clip(1 - distances / REACH, 1e-6, None)
    return np.asarray(np.clip(1 + np.log(remainder), 0, None), np.float32)


SHEAR = 0.4  # tangent of the slant
SIZE = 0.7
DEGREES = math.degrees(0.4)  # 22.9
SHIFT = 3  # pixels, down or up as well as right or left


def shear(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Lean to the right or to the left, by 0.4 pixels a row."""
    return _move(ink, shear=SHEAR * _draw_sides(len(ink), 1, generator)[:, 0])


def scale(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Seven tenths of the size."""
    return _move(ink, size=np.full(len(ink), SIZE))


def rotate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A turn by 23° either way."""
    return _move(ink, degrees=DEGREES * _draw_sides(len(ink), 1, generator)[:, 0])


def translate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A shift by 3 pixels across and 3 down or up."""
    return _move(ink, shift=SHIFT / ink.shape[2] * _draw_sides(len(ink), 2, generator))


def _draw_sides(count: int, each: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.choice([-1.0, 1.0], (count, each))


def _move(
    ink: NDArray[np.float32],
    degrees: NDArray[np.float64] | float = 0.0,
    size: NDArray[np.float64] | float = 1.0,
    shear: NDArray[np.float64] | float = 0.0,
    shift: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float32]:
    """Interpolate between the four nearest pixels; what comes from outside is black."""
    count, height, width = ink.shape

    def spread(value: NDArray[np.float64] | float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.broadcast_to(value, (count, *shape)).astype(np.float32))

    matrices = sampling_matrices(
        degrees=spread(degrees),
        size=spread(size),
        shear=spread(shear),
        shift=spread(shift, 2),
        mirrored=torch.zeros(count, dtype=torch.bool),
    )
    grid = (matrices @ pixel_centres(height, width)).view(count, 2, height, width).permute(0, 2, 3, 1)
    moved = functional.grid_sample(torch.from_numpy(ink).unsqueeze(1), grid, align_corners=False)
    return moved[:, 0].numpy()


DEVIATION = 1.0  # pixels of the Gaussian before the slopes are taken
FAINT, CLEAR = 0.1, 0.2  # slopes, in the units of the Sobel operator
WHOLE = np.zeros((3, 3, 3), bool)
WHOLE[1] = True  # neighbours within an image, diagonal ones too


def find_edges(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """White outlines, one pixel wide, on black.

    Smooth, take the slope, keep what is steepest across the edge, and of that every clear part with the faint
    ones that hang together with it.
    """
    smooth = ndimage.gaussian_filter(ink.astype(np.float64), (0, DEVIATION, DEVIATION), mode="constant")
    down, right = (ndimage.correlate1d(smooth, [-1, 0, 1], axis) for axis in (1, 2))
    down, right = (ndimage.correlate1d(slopes, [1, 2, 1], axis) for slopes, axis in ((down, 2), (right, 1)))
    slope = np.hypot(down, right)
    ridge = _is_steepest(slope, down, right)
    faint, clear = ridge & (slope >= FAINT), ridge & (slope >= CLEAR)
    edges = ndimage.binary_propagation(clear, structure=WHOLE, mask=faint)
    return np.asarray(edges, dtype=np.float32)


def _is_steepest(
    slope: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where no neighbour across the edge, uphill or downhill, is steeper; neighbours are interpolated.

    Of two that are equally steep, one is kept.
    """
    count, height, width = slope.shape
    larger = np.maximum(np.abs(down), np.abs(right))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.stack([down, right]) / larger  # to the ring of neighbours; one of the two is ±1
    step = np.where(larger > 0, step, 0)
    places = np.mgrid[0:count, 0:height, 0:width].astype(np.float64)
    uphill, downhill = (
        ndimage.map_coordinates(
            slope, places + np.stack([np.zeros_like(slope), *(sign * step)]), order=1, mode="constant"
        )
        for sign in (1, -1)
    )
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    steepest: NDArray[np.bool_] = (slope >= uphill) & (slope > downhill) & inside
    return steepest
