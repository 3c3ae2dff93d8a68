"""Strips: lines of writing as the line network sees them, 32 rows high, for reading and synthesis.

A strip is grey: faint strokes, dots and what lies behind the writing stay visible. The network learns what
belongs to a digit.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import Mask, Plane

ROWS = 32  # as the line network has them; images know no network
TEXT_HEIGHT = 20.0  # rows: the usual height of a component
MAX_EXTENT = 27.0  # rows: the height of the whole line
MARGIN = 8  # columns on both sides
MAX_COLUMNS = 2048  # bounds the memory of a line
LEVEL = 0.7  # quantile of the ink that becomes full ink
COVERED = 0.4  # of the largest share of ink in a pixel: pixels of the strip that count as ink


@dataclass(frozen=True, eq=False)
class Strip:
    """One line: `image` uint8 (ROWS, w), white on black.

    `matrix` (2, 3) maps a point (x, y, 1) of the strip to the plane that it was cut from, in pixels.
    """

    image: NDArray[np.uint8]
    matrix: NDArray[np.float64]


def cut_strip(
    contrast: Plane, strokes: Mask, rows: slice, columns: slice, height: float, slope: float = 0.0
) -> Strip:
    """Cut one line from a plane of contrast (h, w), 0 on paper.

    Args:
        contrast: the plane; it is divided by the level of this line's ink.
        strokes: the ink of the line, bool, of the shape of `rows` and `columns`.
        rows, columns: the box of the line in the plane.
        height: the usual height of its components, in pixels.
        slope: rows that the base line falls for each column; the strip is turned by that angle.
    """
    lean = math.atan(slope)
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    centre = np.array([columns.start + columns.stop, rows.start + rows.stop]) / 2
    wide, high = columns.stop - columns.start, rows.stop - rows.start
    if slope:
        y, x = np.nonzero(strokes)
        points = (np.column_stack([x + columns.start + 0.5, y + rows.start + 0.5]) - centre) @ turn
        low, top = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
        centre = centre + turn @ ((low + top) / 2)
        wide, high = top - low
    scale = min(TEXT_HEIGHT / height, MAX_EXTENT / high, (MAX_COLUMNS - 2 * MARGIN) / wide)
    width = min(MAX_COLUMNS, math.ceil(wide * scale) + 2 * MARGIN)
    matrix = np.column_stack([turn / scale, centre - turn @ np.array([width, ROWS]) / 2 / scale])
    covered = np.zeros(contrast.shape, np.float32)
    covered[rows, columns] = strokes
    grey, cover = (resample(plane, matrix, width) for plane in (contrast, covered))
    ink = grey[cover > COVERED * cover.max()]
    level = max(float(np.quantile(ink, LEVEL)), 1e-3) if ink.size else 1.0
    return Strip(np.rint(np.clip(grey / level, 0, 1) * 255).astype(np.uint8), matrix)


def resample(plane: Plane, matrix: NDArray[np.float64], width: int) -> Plane:
    """The part of a plane that `matrix` maps to, (ROWS, width): each pixel is the mean over its area."""
    finer = max(1, math.ceil(math.hypot(*matrix[:, 0]) - 0.01))  # samples across a pixel of the strip
    shrunk = np.column_stack([matrix[:, :2] / finer, matrix[:, 2]])
    shrunk[:, 2] += shrunk[:, :2].sum(axis=1) / 2 - 0.5  # OpenCV counts from the centres of pixels
    size = (width * finer, ROWS * finer)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine: Plane = cv2.warpAffine(plane, shrunk, size, flags=flags, borderValue=0.0)
    if finer > 1:
        fine = cv2.resize(fine, (width, ROWS), interpolation=cv2.INTER_AREA)
    return fine


def stack_strips(strips: list[NDArray[np.uint8]], columns: int | None = None) -> NDArray[np.uint8]:
    """Strips of different lengths as one batch (N, 1, ROWS, w), padded with paper on the right."""
    width = columns or max(strip.shape[1] for strip in strips)
    batch = np.zeros((len(strips), 1, ROWS, width), np.uint8)
    for row, strip in zip(batch, strips, strict=True):
        row[0, :, : strip.shape[1]] = strip
    return batch


def weighted_median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """The value at which half of the total weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
