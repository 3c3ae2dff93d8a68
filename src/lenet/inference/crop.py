"""Crops: what an image of one digit is like, as MNIST made its images.

MNIST fitted each digit into 20 × 20 pixels, antialiased, and put its centre of mass at pixel (14, 14) of
28 × 28 (LeCun et al. 1998, section III-A). Pens differ from its writers': strokes are brought to its widths.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

CROP_SIDE = 28  # pixels, as MNIST
DIGIT_SIDE = 20  # pixels: the longest side of a digit within its crop
CENTRE = 14.5  # pixels: the middle of pixel 14
THINNEST, THICKEST = 2.0, 4.0  # crop pixels; nine in ten MNIST digits have their mean stroke between
EDGE = 0.45  # of the ink's contrast around: there a stroke ends


def is_normal(contrast: Plane, digit: Mask) -> bool:
    """Whether the plane is a normalised 28 × 28 image already: full ink, its size, its margin, its centre."""
    if contrast.shape != (CROP_SIDE, CROP_SIDE) or contrast.max() < 0.9 or contrast[~digit].max() > EDGE:
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
