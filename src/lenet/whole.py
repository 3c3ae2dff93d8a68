"""A whole picture as one image: how your own pictures are learnt from, and read by what learnt from them."""

import numpy as np
from PIL import Image

from lenet.decode import DecodedPicture

SIDE = 28


def frame_whole(decoded: DecodedPicture) -> np.ndarray:
    """Bring a decoded picture to (28, 28) uint8, white ink on black.

    The upright, opaque picture is padded to a square and resized. Which of light and dark is ink is decided
    for each picture by itself, so that the answer does not depend on what else is in the set: the background
    is the median of the border, and the ink is on the other side of it. The background becomes 0 and the
    furthest possible ink 255, so an image in the form of MNIST, and its negative, come out unchanged.
    """
    return shrink(remove_background(np.asarray(Image.fromarray(decoded.pixels).convert("L"))))


def remove_background(grey: np.ndarray) -> np.ndarray:
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
    stretched: np.ndarray = np.rint(np.clip(ink, 0, 1) * 255).astype(np.uint8)
    return stretched


def shrink(ink: np.ndarray) -> np.ndarray:
    """Pad (H, W) uint8 with background to a square, and resize it to (28, 28)."""
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    # Shrinking by averages keeps thin strokes in proportion; enlarging wants smooth edges.
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BICUBIC
    small: np.ndarray = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), filter_))
    return small
