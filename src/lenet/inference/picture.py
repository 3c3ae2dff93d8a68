"""Any picture -> digit crops as MNIST has them: a chain of small steps, each with its reason.

    decode -> grey -> polarity -> flatten -> ink -> pieces -> digits -> crops

Between the steps a picture is a float32 array (h, w) in 0..1. From `flatten` on it is contrast: 0 is paper,
1 is ink as dark as can be. Sizes are fractions of the picture or of the digit, so that the same drawing is
read alike at every size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lenet.inference.decode import DecodedPicture, Picture, decode

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, width, height

CROP_SIDE = 28  # pixels, as MNIST
DIGIT_SIDE = 20  # pixels: the longest side of a digit within its crop, as MNIST
FINE_SIDE = 160  # pixels: the longest side of a digit while its strokes are measured and mended

FAINTEST_INK = 0.03  # contrast; paper and compression are louder than anything below
WEAK_INK, STRONG_INK = 0.35, 0.5  # of the ink's own contrast: a stroke holds a strong pixel and ends at weak
THINNEST_STROKE, THICKEST_STROKE = 2.0, 4.0  # pixels in the crop; nine in ten MNIST digits lie between


@dataclass(frozen=True, eq=False)
class Step:
    """One step as a person may look at it: image (h, w) or (h, w, 3) uint8, and why it came out so."""

    name: str
    image: NDArray[np.uint8]
    reason: str


@dataclass(frozen=True, eq=False)
class Crop:
    """One digit: image (28, 28) uint8, white ink on black; its box in the upright original's pixels."""

    image: NDArray[np.uint8]
    box: Box


def read_crops(picture: Picture) -> tuple[Crop, ...]:
    """The digits found in `picture`; none when it holds no ink. Raises PictureError."""
    return find_crops(decode(picture))[0]


def read_steps(picture: Picture) -> list[Step]:
    """Every step from the picture to its crops, for looking at. Raises PictureError."""
    return find_crops(decode(picture))[1]


def find_crops(decoded: DecodedPicture) -> tuple[tuple[Crop, ...], list[Step]]:
    """Run the chain, and keep what each step made."""
    steps = [Step("decoded", decoded.pixels, decoded.reason)]

    def show(name: str, image: Plane | Mask, reason: str) -> None:
        steps.append(Step(name, np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8), reason))

    grey, reason = to_grey(decoded.pixels)
    show("grey", grey, reason)
    dark, reason = to_dark_ink(grey)
    show("polarity", dark, reason)
    contrast, reason = flatten_light(dark)
    show("flattened", contrast, reason)
    ink, reason = find_ink(contrast)
    show("ink", ink, reason)
    digits, reason = find_digits(ink, contrast)
    show("digits", np.logical_or.reduce(digits) if digits else np.zeros_like(ink), reason)
    crops = []
    for digit in digits:
        image, reason = normalise(contrast, digit)
        crops.append(Crop(image, _box_in_original(digit, decoded)))
        steps.append(Step("crop", image, reason))
    return tuple(crops), steps


def to_grey(pixels: NDArray[np.uint8]) -> tuple[Plane, str]:
    """Mix the channels (h, w, 3) along the colour direction in which the picture's edges are strongest.

    That direction is the first axis of the colour structure tensor (Di Zenzo, 1986): red ink on green paper
    of equal brightness has its edges there, where brightness has none.
    """
    planes = pixels.astype(np.float32) / 255
    down, right = np.diff(planes, axis=0).reshape(-1, 3), np.diff(planes, axis=1).reshape(-1, 3)
    tensor = (down.T @ down + right.T @ right).astype(np.float64)
    axis = np.linalg.eigh(tensor)[1][:, -1]
    if not tensor.any():
        axis = np.ones(3)
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    axis = axis / np.abs(axis).sum()
    grey = planes @ axis.astype(np.float32) - np.float32(np.minimum(axis, 0).sum())
    red, green, blue = (round(100 * share) for share in axis)
    return np.clip(grey, 0, 1), f"most edge in red {red} %, green {green} %, blue {blue} %"


def to_dark_ink(grey: Plane) -> tuple[Plane, str]:
    """Turn light ink on dark paper round. Paper is what the border shows; ink is what lies farthest from it."""
    border = border_of(grey)
    paper = float(np.median(border))
    smooth = ndimage.uniform_filter(grey, 3) if min(grey.shape) > 64 else grey
    darker, lighter = paper - smooth.min(), smooth.max() - paper
    if lighter > darker:
        return 1 - grey, f"light ink: it differs from the border by {lighter:.2f}, the darkest by {darker:.2f}"
    return grey, f"dark ink: it differs from the border by {darker:.2f}, the lightest by {lighter:.2f}"


def flatten_light(dark: Plane) -> tuple[Plane, str]:
    """Divide by the paper's own brightness, found by closing the strokes, so that shadows fade."""
    border = border_of(dark)
    low, high = np.percentile(border, (5, 95))
    if high - low < 0.02:
        paper: Plane | np.float32 = np.float32(np.median(border))
        reason = f"even light: the border is {paper:.2f} throughout"
    else:
        paper = paper_under(dark)
        reason = f"uneven light: the paper goes from {paper.min():.2f} to {paper.max():.2f}"
    return np.clip(1 - dark / np.maximum(paper, np.float32(0.05)), 0, 1).astype(np.float32), reason


def paper_under(dark: Plane) -> Plane:
    """The paper's brightness (h, w) with the strokes filled in: a grey closing wider than any stroke."""
    height, width = dark.shape
    shrink = min(1.0, 256 / max(height, width))
    small = resize(dark, (max(1, round(width * shrink)), max(1, round(height * shrink))))
    reach = max(small.shape) // 4
    closed = ndimage.grey_closing(ndimage.gaussian_filter(small, 1), size=(reach, reach), mode="nearest")
    return resize(ndimage.gaussian_filter(closed, 2), (width, height))


def find_ink(contrast: Plane) -> tuple[Mask, str]:
    """The pixels of all strokes: weak ink that holds together with strong ink."""
    noise = 1.4826 * float(np.median(np.abs(contrast - np.median(contrast))))
    floor = max(FAINTEST_INK, 4 * noise)
    candidates = contrast[contrast > floor]
    if candidates.size == 0:
        return np.zeros(contrast.shape, dtype=np.bool_), f"no ink: nothing rises above {floor:.2f}"
    level = float(np.median(candidates[candidates >= otsu(candidates)]))
    mask = contrast > max(floor, WEAK_INK * level)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    strongest = np.zeros(count + 1, dtype=np.float32)
    np.maximum.at(strongest, labels.ravel(), contrast.ravel())
    strongest[0] = 0
    return (strongest > STRONG_INK * level)[labels], f"ink is {level:.2f} darker than paper, noise {noise:.3f}"


def find_digits(ink: Mask, contrast: Plane) -> tuple[list[Mask], str]:
    """Group the strokes that belong to one digit; leave out dust, rulings, frames and shadows."""
    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if count == 0:
        return [], "no strokes"
    height, width = ink.shape
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-areas)
    main = order[0]
    keep = [i for i in range(count) if areas[i] > 0.02 * areas[main]]
    return [np.isin(labels, [i + 1 for i in keep])], f"{len(keep)} of {count} pieces"


def normalise(contrast: Plane, digit: Mask) -> tuple[NDArray[np.uint8], str]:
    """The digit as MNIST was made: longest side 20 pixels, its centre of mass in the middle of 28 × 28."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    top, left = max(0, rows[0] - 2), max(0, columns[0] - 2)
    here = np.s_[top : rows[-1] + 3, left : columns[-1] + 3]
    strokes = contrast[here] * ndimage.binary_dilation(digit[here], iterations=1)
    scale = FINE_SIDE / max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    level = np.median(contrast[here][digit[here]])
    size = round(strokes.shape[1] * scale), round(strokes.shape[0] * scale)
    fine = resize(np.pad(strokes, 0), (max(1, size[0]), max(1, size[1])))
    mask = np.pad(fine > 0.45 * level, FINE_SIDE // 4)
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    unit = FINE_SIDE / DIGIT_SIDE
    stroke = (4 * inside[mask].mean() - 1) / unit if mask.any() else 0
    grow = (np.clip(stroke, THINNEST_STROKE, THICKEST_STROKE) - stroke) / 2 * unit
    shape = np.clip(inside - outside + grow + (0.5 if True else 0), 0, 1).astype(np.float32)
    ys, xs = np.flatnonzero((shape > 0.5).any(1)), np.flatnonzero((shape > 0.5).any(0))
    longest = max(np.ptp(ys), np.ptp(xs)) + 1
    y, x = ndimage.center_of_mass(shape)
    side = longest * CROP_SIDE / DIGIT_SIDE
    pad = int(side)
    shape = np.pad(shape, pad)
    l, t = x + 0.5 + pad - side / 2, y + 0.5 + pad - side / 2
    im = Image.fromarray(shape).resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BOX, box=(l, t, l + side, t + side))
    return np.rint(np.asarray(im) * 255).astype(np.uint8), f"strokes {stroke:.1f} px"


def border_of(plane: Plane) -> Plane:
    """The values along the four edges, a fiftieth of the picture deep."""
    depth = max(1, min(plane.shape) // 50)
    edges = plane[:depth], plane[-depth:], plane[:, :depth], plane[:, -depth:]
    return np.concatenate([edge.ravel() for edge in edges])


def otsu(values: Plane) -> float:
    """The threshold that parts `values` into the two most compact classes (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.argmax(np.nan_to_num(between))])


def resize(plane: Plane, size: tuple[int, int]) -> Plane:
    """Resize to (width, height): averaged when smaller, smooth when larger."""
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _box_in_original(digit: Mask, decoded: DecodedPicture) -> Box:
    height, width = digit.shape
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    across, down = decoded.width / width, decoded.height / height
    left, top = int(columns[0] * across), int(rows[0] * down)
    right, bottom = round((columns[-1] + 1) * across), round((rows[-1] + 1) * down)
    return left, top, max(1, right - left), max(1, bottom - top)
