"""One digit -> a crop as MNIST made its images.

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
FINE_SIDE = 120  # pixels: the longest side of a digit while its strokes are measured and mended
UNIT = FINE_SIDE / DIGIT_SIDE
THINNEST, THICKEST = 2.0, 4.0  # crop pixels; nine in ten MNIST digits have their mean stroke between
EDGE = 0.45  # of the ink's contrast around: there a stroke ends


def normalise(contrast: Plane, digit: Mask) -> tuple[NDArray[np.uint8], str]:
    """The crop (28, 28) uint8, white on black, of the strokes `digit` (h, w) in `contrast` (h, w)."""
    if is_normal(contrast, digit):
        return np.rint(contrast * 255).astype(np.uint8), "already as MNIST: untouched"
    fine = even_ink(enlarge(contrast, digit))
    mask = fine > EDGE
    if not mask.any():
        return np.zeros((CROP_SIDE, CROP_SIDE), dtype=np.uint8), "nothing left"
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    stroke = (4 * inside[mask].mean() - 1) / UNIT  # a bar of width w is w / 4 from its edge on average
    wanted = float(np.clip(stroke, THINNEST, THICKEST))
    reason = f"strokes {stroke:.1f} pixels wide"
    if wanted != stroke:
        moved = np.clip(inside - outside + (wanted - stroke) / 2 * UNIT + 0.5, 0, 1)
        fine = moved.astype(np.float32)
        reason += f", made {wanted:.1f}"
    return place(fine), reason


def is_normal(contrast: Plane, digit: Mask) -> bool:
    """Whether the plane is a normalised 28 × 28 image already: full ink, its size, its margin, its centre."""
    if contrast.shape != (CROP_SIDE, CROP_SIDE) or contrast.max() < 0.9 or contrast[~digit].max() > EDGE:
        return False
    rows, columns = np.nonzero(contrast > 0)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    middle = np.array(ndimage.center_of_mass(contrast)) + 0.5
    return bool(abs(longest - DIGIT_SIDE) <= 1 and np.abs(middle - CENTRE).max() <= 1)


def enlarge(contrast: Plane, digit: Mask) -> Plane:
    """The digit alone, its longest side FINE_SIDE pixels, with a margin for strokes to grow into."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    scale = FINE_SIDE / (max(np.ptp(rows), np.ptp(columns)) + 1)
    around = int(np.ceil(4 * UNIT / scale))
    strokes = np.pad(np.where(ndimage.binary_dilation(digit), contrast, np.float32(0)), around)
    cut = strokes[rows[0] : rows[-1] + 1 + 2 * around, columns[0] : columns[-1] + 1 + 2 * around]
    height, width = cut.shape
    return resize(cut, (round(width * scale), round(height * scale)))


def even_ink(fine: Plane) -> Plane:
    """Divide by the ink's contrast around each place, so that a light stroke counts like a heavy one."""
    reach = FINE_SIDE // 4
    around = ndimage.gaussian_filter(ndimage.maximum_filter(fine, reach), reach / 4)
    heavy = np.percentile(fine[fine > EDGE * fine.max()], 75)
    even: Plane = np.clip(fine / np.clip(around, heavy / 3, heavy), 0, 1)
    return even


def place(fine: Plane) -> NDArray[np.uint8]:
    """Longest side to 20 pixels, centre of mass to pixel 14, in one antialiased resampling."""
    rows, columns = np.flatnonzero((fine > EDGE).any(axis=1)), np.flatnonzero((fine > EDGE).any(axis=0))
    unit = (max(np.ptp(rows), np.ptp(columns)) + 1) / DIGIT_SIDE
    y, x = ndimage.center_of_mass(fine)
    margin = int(np.ceil(CROP_SIDE * unit))
    left, top = (margin + 0.5 + centre - CENTRE * unit for centre in (x, y))
    side = CROP_SIDE * unit
    page = Image.fromarray(np.pad(fine, margin))
    crop = page.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BOX, (left, top, left + side, top + side))
    return np.rint(np.asarray(crop, dtype=np.float32) * 255).astype(np.uint8)


def resize(plane: Plane, size: tuple[int, int]) -> Plane:
    """Resize to (width, height): averaged where it shrinks, smooth where it grows."""
    width, height = size
    resized = Image.fromarray(plane).resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float32)
