"""The page within plain frames and mats: drawn boxes, black bars, a photograph pasted on white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_SPREAD = 24  # levels of 255: how uneven compression makes a plain frame
SMALLEST_PAGE = 8  # pixels a side
SMALLEST_PASTED = 24  # pixels a side: in less, a blurred digit differs from its paper as much all over
MAT_SPREAD = 2  # levels of 255: what no camera saw is of one colour, where paper has grain
MOST_UPRIGHT = 2.0  # height to width of a page; a single full stroke is a 1, and more upright

Rectangle = tuple[slice, slice]  # rows and columns


def find_page(pixels: NDArray[np.uint8]) -> tuple[Rectangle, str]:
    """Peel off plain frames and mats, as many as lie around each other, unless nothing is left inside.

    A frame is one colour all along the edge of the picture, and the rectangle inside it differs from that
    colour all along its own edge: ink never does, save for a 0 drawn as a box, which has nothing inside. A
    mat is one colour exactly, and what it surrounds differs from it nearly everywhere, be it by a little.
    """
    whole = page = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    frames, least = 0, 0
    while (found := _inside_mat(pixels[page]) or _inside_frame(pixels[page])) is not None:
        (rows, columns), least = found
        page = (
            slice(page[0].start + rows.start, page[0].start + rows.stop),
            slice(page[1].start + columns.start, page[1].start + columns.stop),
        )
        frames += 1
    if frames and np.ptp(pixels[page].astype(np.int16), axis=(0, 1)).max() > least:
        return page, f"{frames} frame{'s' * (frames > 1)} peeled off"
    return whole, "no frame"


def _inside_mat(pixels: NDArray[np.uint8]) -> tuple[Rectangle, int] | None:
    edge = _ring(pixels)
    colour = np.median(edge, axis=0).astype(np.int16)
    if (np.abs(edge - colour).max(axis=1) <= 1).mean() < 0.5:
        return None
    differs = np.abs(pixels - colour).max(axis=2) > MAT_SPREAD
    box = _box_of(differs)
    if box is None or differs[box].mean() < 0.8 or _ring(differs[box]).mean() < 0.5:
        return None
    height, width = differs[box].shape
    if min(height, width) < SMALLEST_PASTED:
        return None
    inner = _within_rim(box, pixels)
    return None if inner is None or height > MOST_UPRIGHT * width else (inner, MAT_SPREAD)


def _inside_frame(pixels: NDArray[np.uint8]) -> tuple[Rectangle, int] | None:
    edge = _ring(pixels)
    colour = np.median(edge, axis=0).astype(np.int16)
    if np.abs(edge - colour).max() > FRAME_SPREAD:
        return None
    differs = np.abs(pixels - colour).max(axis=2) > FRAME_SPREAD
    box = _box_of(differs)
    if box is None or _ring(differs[box]).mean() < 0.95:
        return None
    inner = _within_rim(box, pixels)
    return None if inner is None else (inner, FRAME_SPREAD)


def _box_of(differs: NDArray[np.bool_]) -> Rectangle | None:
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if rows.size else None


def _within_rim(inner: Rectangle, pixels: NDArray[np.uint8]) -> Rectangle | None:
    """The rectangle less its rim, where reduced pictures mix frame and page."""
    rim = 1 + max(pixels.shape) // 200
    rows, columns = (slice(side.start + rim, side.stop - rim) for side in inner)
    smallest = min(rows.stop - rows.start, columns.stop - columns.start)
    return (rows, columns) if smallest >= SMALLEST_PAGE else None


def _ring(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (h, w) or (h, w, channels), one after the other."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
