"""MNIST's framing of a digit, for what is read and for what is synthesised; and full-image preprocessing.

MNIST fitted each digit into 20 × 20 pixels, antialiased, and put its centre of mass at pixel (14, 14) of
28 × 28 (LeCun et al. 1998, section III-A). Pens differ from its writers': strokes are brought to its widths.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from lenet.images.decoding import DecodedPicture

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
SIDE = 28  # pixels of an image
DIGIT_SIDE = 20  # pixels: the longest side of a digit within its image
CENTRE = 14.5  # pixels: the middle of pixel 14
THINNEST, THICKEST = 2.0, 4.0  # image pixels; nine in ten MNIST digits have their mean stroke between
EDGE = 0.45  # of the ink's contrast around: there a stroke ends
FINE_SIDE = 96  # pixels: how large a digit is made before its strokes are measured


def frame_digits(drawings: Tensor, size: Sequence[int] = (SIDE, SIDE)) -> Tensor:
    """Each drawing (N, 1, H, W), 0 to 1, as an image uint8 (N, 1, *size); blank ones stay blank."""
    height, width = size
    images = np.zeros((len(drawings), 1, height, width), np.uint8)
    for image, drawing in zip(images, drawings.numpy(), strict=True):
        framed = Image.fromarray(frame_digit(drawing[0]))
        image[0] = np.asarray(framed if framed.size == (width, height) else framed.resize((width, height)))
    return torch.from_numpy(images)


def frame_digit(drawing: Plane) -> NDArray[np.uint8]:
    """One drawing (h, w), 0 to 1, as MNIST made its images: (28, 28) uint8."""
    rows, columns = (np.flatnonzero((drawing > EDGE).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    inked = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale, unit = FINE_SIDE / max(inked.shape), FINE_SIDE / DIGIT_SIDE
    inked = np.pad(inked, 1 + math.ceil(THINNEST * unit / scale))  # thin strokes get wider
    height, width = (round(side * scale) for side in inked.shape)
    fine = resize(inked, (width, height))
    depth, _ = measure_depth(fine, fine > EDGE)
    cover, deep = measure_strokes(depth)
    stroke = 4 * float(deep.sum()) / float(cover.sum())
    return place(draw_strokes(depth, stroke, unit))


def measure_depth(fine: Plane, mask: Mask) -> tuple[Plane, NDArray[np.int32]]:
    """The signed distance to the nearest edge of the mask, and the nearest pixel of it (2, h, w).

    Antialiased (Gustavson and Strand 2011): the edge runs between pixels, where `fine` crosses EDGE.
    """
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
    """How much of each pixel is ink, and that ink's depth: a stroke is 4 times as wide as its mean depth."""
    cover = np.clip(depth + np.float32(0.5), 0, 1)
    return cover, np.where(depth > 0.5, depth, np.square(cover) / 2)


def widen(stroke: float, unit: float) -> float:
    """By how many pixels each edge of a stroke moves so that it is as wide as MNIST's strokes.

    `stroke` is its width and `unit` the size of an image's pixel, both in pixels of the drawing.
    """
    return float(np.clip(stroke, THINNEST * unit, THICKEST * unit) - stroke) / 2


def draw_strokes(depth: Plane, stroke: float, unit: float) -> Plane:
    """Strokes (h, w) of MNIST's widths, 0 to 1, from the signed distances to the edges of others."""
    pen: Plane = np.clip(depth + np.float32(widen(stroke, unit) + 0.5), 0, 1)
    return pen


def place(pen: Plane) -> NDArray[np.uint8]:
    """Longest side to 20 pixels, centre of mass to pixel 14, in one antialiased resampling."""
    if not (pen > 0.5).any():
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    down, across = pen.sum(axis=1), pen.sum(axis=0)
    unit = max(_reach(pen.max(axis=1)), _reach(pen.max(axis=0))) / DIGIT_SIDE
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


def _reach(profile: Plane) -> float:
    """How far ink reaches from end to end, when so much of each pixel (n,) is inked: parts count as such."""
    inked = np.flatnonzero(profile > 0)
    return float(inked[-1] - inked[0] - 1 + profile[inked[0]] + profile[inked[-1]])


def is_framed(contrast: Plane, digit: Mask) -> bool:
    """Whether the plane is a framed 28 × 28 image already: full ink, its size, its margin, its centre."""
    if contrast.shape != (SIDE, SIDE) or contrast.max() < 0.9 or contrast[~digit].max() > EDGE:
        return False
    rows, columns = np.nonzero(contrast > 0)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    middle = np.array(ndimage.center_of_mass(contrast)) + 0.5
    return bool(abs(longest - DIGIT_SIDE) <= 1 and np.abs(middle - CENTRE).max() <= 1)


def resize(
    plane: Plane, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Plane:
    """Resize to (width, height): averaged where it shrinks, smooth where it grows.

    With a `box`, left, top, right and bottom in pixels, only what lies within it.
    """
    width, height = size
    resized = Image.fromarray(plane).resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, dtype=np.float32)


def frame_full_image(decoded: DecodedPicture) -> NDArray[np.uint8]:
    """Bring a decoded picture to (28, 28) uint8, white ink on black, without looking for a digit in it.

    The upright, opaque picture is padded to a square and resized. Which of light and dark is ink is decided
    for each picture by itself, so that the answer does not depend on what else is in the set: the background
    is the median of the border, and the ink is on the other side of it. The background becomes 0 and the
    furthest possible ink 255, so an image in the form of MNIST, and its negative, come out unchanged.
    """
    return _shrink(remove_background(np.asarray(Image.fromarray(decoded.pixels).convert("L"))))


def remove_background(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch (H, W) uint8 of any polarity so that the background is 0 and full ink 255."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    values = grey.astype(np.float32)
    if background > values.mean():  # dark ink on a light ground
        ink = (background - values) / background
    elif background < 255:
        ink = (values - background) / (255 - background)
    else:  # white all over
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
    # Shrinking by averages keeps thin strokes in proportion; enlarging wants smooth edges.
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BICUBIC
    small: NDArray[np.uint8] = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), filter_))
    return small
