"""MNIST's framing of a digit, shared by reading and synthesis; and full-image preprocessing.

MNIST scaled each digit to 20 × 20 pixels, antialiased, and put its centre of mass at pixel (14, 14) of
28 × 28 (LeCun et al. 1998, section III-A). Stroke widths are brought into MNIST's range as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet.images.decoding import DecodedPicture

if TYPE_CHECKING:
    from torch import Tensor

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
SIDE = 28  # pixels of an image
DIGIT_SIDE = 20  # pixels: the longer side of a digit within its image
CENTRE = 14.5  # pixels: the middle of pixel 14
MIN_STROKE, MAX_STROKE = 2.0, 4.0  # image pixels: the range of mean stroke widths of 90 % of MNIST's digits
EDGE = 0.45  # threshold of ink, as a share of the local maximum contrast
FINE_SIDE = 96  # pixels: the size of a digit at which its strokes are measured


def frame_digits(drawings: Tensor, size: Sequence[int] = (SIDE, SIDE)) -> Tensor:
    """Frame drawings (N, 1, H, W), 0 to 1, as images uint8 (N, 1, *size); blank drawings stay blank."""
    import torch  # takes a second, which reading need not wait for

    height, width = size
    images = np.zeros((len(drawings), 1, height, width), np.uint8)
    for image, drawing in zip(images, drawings.numpy(), strict=True):
        framed = Image.fromarray(frame_digit(drawing[0]))
        image[0] = np.asarray(framed if framed.size == (width, height) else framed.resize((width, height)))
    return torch.from_numpy(images)


def frame_digit(drawing: Plane) -> NDArray[np.uint8]:
    """Frame a drawing (h, w), 0 to 1, as MNIST's images: uint8 (28, 28)."""
    rows, columns = (np.flatnonzero((drawing > EDGE).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    inked = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale, unit = FINE_SIDE / max(inked.shape), FINE_SIDE / DIGIT_SIDE
    inked = np.pad(inked, 1 + math.ceil(MIN_STROKE * unit / scale))  # thin strokes are widened
    height, width = (round(side * scale) for side in inked.shape)
    fine = resize(inked, (width, height))
    depth, _ = measure_depth(fine, fine > EDGE)
    cover, deep = measure_strokes(depth)
    stroke = 4 * float(deep.sum()) / float(cover.sum())
    return frame_strokes(redraw_strokes(depth, stroke, unit))


def measure_depth(fine: Plane, mask: Mask) -> tuple[Plane, NDArray[np.int32]]:
    """The signed distance (h, w) to the edge of `mask`, positive inside, and its nearest pixel (2, h, w).

    Antialiased (Gustavson and Strand 2011): the edge lies between pixels, where `fine` crosses EDGE.
    """
    from scipy import ndimage  # takes a third of a second, which a training need not wait

    down, across = np.gradient(fine)
    beyond = np.clip((fine - EDGE) / np.maximum(np.hypot(down, across), 1e-6), -1, 1)
    inside, paper = ndimage.distance_transform_edt(mask, return_indices=True)
    outside, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    depth = np.where(
        mask,
        inside + np.minimum(beyond[tuple(paper)], 0),
        np.maximum(beyond[tuple(nearest)], 0) - outside,
    )
    return depth.astype(np.float32), nearest


def measure_strokes(depth: Plane) -> tuple[Plane, Plane]:
    """The coverage of ink (h, w), 0 to 1, and its depth; a stroke's width is 4 times its mean depth."""
    cover = np.clip(depth + np.float32(0.5), 0, 1)
    return cover, np.where(depth > 0.5, depth, np.square(cover) / 2)


def widen(stroke: float, unit: float) -> float:
    """The pixels by which each edge of a stroke moves outwards to bring its width into MNIST's range.

    `stroke` is the width and `unit` the size of an image pixel, both in pixels of the drawing.
    """
    return float(np.clip(stroke, MIN_STROKE * unit, MAX_STROKE * unit) - stroke) / 2


def redraw_strokes(depth: Plane, stroke: float, unit: float) -> Plane:
    """Redraw strokes (h, w) with MNIST's widths, 0 to 1, from their signed distances `depth`."""
    pen: Plane = np.clip(depth + np.float32(widen(stroke, unit) + 0.5), 0, 1)
    return pen


def frame_strokes(pen: Plane) -> NDArray[np.uint8]:
    """Scale the longer side to 20 pixels and shift the centre of mass to pixel 14, in one resampling.

    Takes ink (h, w), 0 to 1; returns uint8 (28, 28).
    """
    if not (pen > 0.5).any():
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    down, across = pen.sum(axis=1), pen.sum(axis=0)
    unit = max(_measure_length(pen.max(axis=1)), _measure_length(pen.max(axis=0))) / DIGIT_SIDE
    y = float(down @ np.arange(down.size)) / float(down.sum())
    x = float(across @ np.arange(across.size)) / float(across.sum())
    margin = int(np.ceil(SIDE * unit / 2)) + 1
    page = np.zeros((pen.shape[0] + 2 * margin, pen.shape[1] + 2 * margin), np.float32)
    page[margin:-margin, margin:-margin] = pen
    left, top = (margin + 0.5 + centre - CENTRE * unit for centre in (x, y))
    side = SIDE * unit
    box = (max(0.0, left), max(0.0, top), min(page.shape[1], left + side), min(page.shape[0], top + side))
    crop = Image.fromarray(page).resize((SIDE, SIDE), Image.Resampling.BOX, box)
    image: NDArray[np.uint8] = np.rint(np.asarray(crop).clip(0, 1) * 255).astype(np.uint8)
    return image


def _measure_length(profile: Plane) -> float:
    """The length in pixels of the ink along a profile (n,) of coverages; the ends count by coverage."""
    inked = np.flatnonzero(profile > 0)
    return float(inked[-1] - inked[0] - 1 + profile[inked[0]] + profile[inked[-1]])


def is_framed(contrast: Plane, digit: Mask) -> bool:
    """True when a plane already has MNIST's framing: 28 × 28, full ink, digit size, margin and centre."""
    from scipy import ndimage

    if contrast.shape != (SIDE, SIDE) or contrast.max() < 0.9 or contrast[~digit].max() > EDGE:
        return False
    rows, columns = np.nonzero(contrast > 0)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    middle = np.array(ndimage.center_of_mass(contrast)) + 0.5
    return bool(abs(longest - DIGIT_SIDE) <= 1 and np.abs(middle - CENTRE).max() <= 1)


def resize(
    plane: Plane, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Plane:
    """Resize to (width, height), bicubic and antialiased; `box` is left, top, right, bottom of the part to
    resize, in pixels."""
    width, height = size
    resized = Image.fromarray(plane).resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, dtype=np.float32)


def frame_full_image(decoded: DecodedPicture) -> NDArray[np.uint8]:
    """Convert a full picture to uint8 (28, 28), white ink on black, without searching for a digit.

    The picture is padded to a square and resized. Its polarity is decided from the picture alone: the
    background is the median of the border, and the ink is lighter or darker. The background becomes 0 and the
    strongest possible ink 255, so an MNIST image and its negative both give the MNIST image.
    """
    return _shrink(remove_background(np.asarray(Image.fromarray(decoded.pixels).convert("L"))))


def remove_background(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch (H, W) uint8 of any polarity so that the background is 0 and full ink is 255."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    values = grey.astype(np.float32)
    if background > values.mean():  # dark ink on a light background
        ink = (background - values) / background
    elif background < 255:
        ink = (values - background) / (255 - background)
    else:  # all white
        ink = np.zeros_like(values)
    stretched: NDArray[np.uint8] = np.rint(np.clip(ink, 0, 1) * 255).astype(np.uint8)
    return stretched


def _shrink(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad (H, W) uint8 with background to a square, and resize it to (28, 28)."""
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    # Averages keep the weight of thin strokes when shrinking; interpolation smooths edges when enlarging.
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BICUBIC
    small: NDArray[np.uint8] = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), filter_))
    return small
