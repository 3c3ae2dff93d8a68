"""The page within plain frames and mats: drawn boxes, black bars, a photograph pasted on white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_SPREAD = 24  # levels of 255: how uneven compression makes a plain frame
SMALLEST_PAGE = 8  # pixels a side


def find_page(pixels: NDArray[np.uint8]) -> tuple[tuple[slice, slice], str]:
    """Peel off plain frames and mats, as many as lie around each other, unless nothing is left inside.

    A frame is one colour all along the edge of the picture, and the rectangle inside it differs from that
    colour all along its own edge: ink never does, save for a 0 drawn as a box, which has nothing inside.
    """
    page, frames = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1])), 0
    whole = page
    while (inner := _inside_frame(pixels[page])) is not None:
        page = (
            slice(page[0].start + inner[0].start, page[0].start + inner[0].stop),
            slice(page[1].start + inner[1].start, page[1].start + inner[1].stop),
        )
        frames += 1
    if frames and np.ptp(pixels[page].astype(np.int16), axis=(0, 1)).max() > FRAME_SPREAD:
        return page, f"{frames} frame{'s' * (frames > 1)} peeled off"
    return whole, "no frame"


def _inside_frame(pixels: NDArray[np.uint8]) -> tuple[slice, slice] | None:
    edge = _ring(pixels)
    colour = np.median(edge, axis=0).astype(np.int16)
    if min(pixels.shape[:2]) < SMALLEST_PAGE or np.abs(edge - colour).max() > FRAME_SPREAD:
        return None
    differs = np.abs(pixels - colour).max(axis=2) > FRAME_SPREAD
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size or _ring(differs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).mean() < 0.95:
        return None
    blurred = 1 + max(pixels.shape) // 200  # reduced pictures mix frame and page where they meet
    inner = (
        slice(rows[0] + blurred, rows[-1] + 1 - blurred),
        slice(columns[0] + blurred, columns[-1] + 1 - blurred),
    )
    return inner if min(side.stop - side.start for side in inner) >= SMALLEST_PAGE else None


def _ring(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (h, w) or (h, w, channels), one after the other."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
