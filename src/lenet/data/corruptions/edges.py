"""Outlines in place of strokes: the edge detector of Canny 1986."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
