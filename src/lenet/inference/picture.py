"""Any picture -> digit crops as MNIST has them: a chain of small steps, each with its reason.

    decode -> page -> grey -> polarity -> flatten -> ink -> digits -> crops

Between the steps a picture is a float32 plane (h, w) in 0..1. From `flatten_light` on it is contrast: 0 is
paper, 1 is ink as dark as can be. Sizes are fractions of the picture or of the digit, so that the same
drawing is read alike at every size.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.decode import DecodedPicture, Picture, decode
from lenet.inference.crop import Mask, Plane, normalise, resize
from lenet.inference.page import find_page
from lenet.whole import frame_whole

Box = tuple[int, int, int, int]  # left, top, width, height

DARKEST_PAPER = 0.3  # below that, dividing by the paper would lift its noise more than its ink
FAINTEST_INK = 0.02  # contrast; paper and compression are louder than anything below
WEAK_INK, STRONG_INK = 0.25, 0.4  # of the ink's own contrast: a stroke holds a strong pixel and ends at weak
SMALLEST_DIGIT = 1 / 40  # of the picture's longest side; what is smaller is dust
LARGEST_DUST = 1 / 50  # of the area of the largest piece
BELONGS = 1 / 2  # of the largest piece's longest side: a stroke that stands off farther is not of the digit
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)  # strokes hold together over corners too


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
    reason: str


def read_crops(picture: Picture) -> tuple[Crop, ...]:
    """The digits in `picture`; none when it holds no ink. Raises PictureError."""
    return find_crops(decode(picture))[0]


def read_whole(picture: Picture) -> tuple[Crop, ...]:
    """All of `picture` as one crop, for networks that learnt from whole pictures; none when it is blank.

    Raises PictureError.
    """
    decoded = decode(picture)
    image = frame_whole(decoded)
    box = (0, 0, decoded.width, decoded.height)
    return (Crop(image, box, "the whole picture, as it was learnt from"),) if image.any() else ()


def read_steps(picture: Picture, whole: bool = False) -> list[Step]:
    """Every step from the picture to its crops, or to all of it, for looking at. Raises PictureError."""
    decoded = decode(picture)
    crops, planes = (read_whole(picture), []) if whole else find_crops(decoded)
    steps = [Step("decoded", decoded.pixels, decoded.reason)]
    for name, plane, reason in planes:
        steps.append(Step(name, np.rint(plane * np.float32(255)).astype(np.uint8), reason))
    return steps + [Step("crop", crop.image, crop.reason) for crop in crops]


def find_crops(decoded: DecodedPicture) -> tuple[tuple[Crop, ...], list[tuple[str, Plane | Mask, str]]]:
    """Run the chain; return its crops, and of each step before them its name, its plane and its reason."""
    page, page_reason = find_page(decoded.pixels)
    grey, grey_reason = to_grey(decoded.pixels[page])
    dark, dark_reason = to_dark_ink(grey)
    contrast, contrast_reason = flatten_light(dark)
    ink, ink_reason = find_ink(contrast)
    contrast = np.clip(contrast, 0, 1)
    digits, digits_reason = find_digits(ink)
    crops = []
    for digit in digits:
        image, reason = normalise(contrast, digit)
        crops.append(Crop(image, _box_in_original(digit, page, decoded), reason))
    return tuple(crops), [
        ("grey", grey, f"{page_reason}; {grey_reason}"),
        ("polarity", dark, dark_reason),
        ("flattened", contrast, contrast_reason),
        ("ink", ink, ink_reason),
        ("digits", np.any(digits, axis=0) if digits else np.zeros_like(ink), digits_reason),
    ]


def to_grey(pixels: NDArray[np.uint8]) -> tuple[Plane, str]:
    """Mix the channels (h, w, 3) along the colour direction in which the picture's edges are strongest.

    That direction is the first axis of the colour structure tensor (Di Zenzo, 1986). Red ink on green paper
    of equal brightness has its edges there, where brightness has none.
    """
    planes = pixels.astype(np.float32) / 255
    down, right = np.diff(planes, axis=0).reshape(-1, 3), np.diff(planes, axis=1).reshape(-1, 3)
    tensor = (down.T @ down + right.T @ right).astype(np.float64)
    axis = np.linalg.eigh(tensor)[1][:, -1] if tensor.any() else np.ones(3)
    axis *= np.sign(axis[np.argmax(np.abs(axis))]) / np.abs(axis).sum()
    # Shifted so that an inverted picture gives exactly the inverted plane, whatever the signs in the mix.
    grey = planes @ axis.astype(np.float32) - np.float32(np.minimum(axis, 0).sum())
    red, green, blue = (round(100 * share) for share in axis)
    return np.clip(grey, 0, 1), f"most telling mix: red {red} %, green {green} %, blue {blue} %"


def to_dark_ink(grey: Plane) -> tuple[Plane, str]:
    """Invert light ink on dark paper. Paper is the median around each place; ink is what strays from it."""
    height, width = grey.shape
    shrink = min(1.0, 40 / max(height, width))
    small = resize(grey, (round(width * shrink), round(height * shrink)))
    level = small - fit_slope(small)
    strays = level - ndimage.median_filter(level, max(1, max(small.shape) // 2), mode="reflect")
    darker, lighter = (float(np.square(np.clip(sign * strays, 0, 1)).sum()) for sign in (-1, 1))
    share = max(darker, lighter) / max(darker + lighter, 1e-9)
    if lighter > darker:
        return 1 - grey, f"light ink, inverted: {share:.0%} of what strays from the paper is lighter"
    return grey, f"dark ink: {share:.0%} of what strays from the paper is darker"


def flatten_light(dark: Plane) -> tuple[Plane, str]:
    """Divide by the paper's own brightness, so that shadows and lamps fade; the result is contrast.

    Paper comes out around 0, its grain to both sides of it; ink is 1 at most.
    """
    low, high = np.percentile(border_of(dark), (5, 95))
    if high - low < FAINTEST_INK:
        paper = np.full_like(dark, np.median(border_of(dark)))
        reason = f"even light: paper is {paper[0, 0]:.2f} all along the border"
    else:
        paper = paper_under(dark)
        reason = f"uneven light: paper goes from {paper.min():.2f} to {paper.max():.2f}"
    return np.minimum((paper - dark) / np.maximum(paper, np.float32(DARKEST_PAPER)), 1), reason


def paper_under(dark: Plane) -> Plane:
    """The paper's brightness (h, w) with the strokes filled in: a grey closing wider than any stroke.

    Closing never falls below the picture, but along the edge it fills the dark end of a slope as if that were
    a stroke; with the slope taken out first it does so at the foot of a hard shadow. The lower one is right.
    """
    height, width = dark.shape
    shrink = min(1.0, 256 / max(height, width))
    small = ndimage.gaussian_filter(resize(dark, (round(width * shrink), round(height * shrink))), 1)
    reach = max(1, max(small.shape) // 3)
    slope = fit_slope(small)
    flat, level = (
        ndimage.grey_closing(plane, size=(reach, reach), mode="nearest") for plane in (small, small - slope)
    )
    return resize(ndimage.gaussian_filter(np.minimum(flat, level + slope), 2), (width, height))


def fit_slope(plane: Plane) -> Plane:
    """The flat slope (h, w) nearest to `plane`: light that falls off from one side to the other."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, side) for side in plane.shape), indexing="ij")
    # Over a whole grid the three terms are at right angles, so each weight is a projection of its own.
    terms = (np.ones_like(down), down, across)
    slope: Plane = sum(term * (plane * term).sum() / max(np.square(term).sum(), 1) for term in terms)
    return slope.astype(np.float32)


def find_ink(contrast: Plane) -> tuple[Mask, str]:
    """The strokes (h, w), without what clings to the picture's edge: frames, shadows, the next field."""
    ink, reason = threshold_ink(contrast)
    clinging = find_clinging(ink)
    if clinging.any():
        # A black frame is darker than any ink; what ink is can be said only without it.
        cleared = np.where(ndimage.binary_dilation(clinging, NEIGHBOURS, iterations=2), 0, contrast)
        inside, inner_reason = threshold_ink(cleared.astype(np.float32))
        if inside.any():
            return inside, f"{inner_reason}; left out what clings to the edge"
    return ink, reason


def threshold_ink(contrast: Plane) -> tuple[Mask, str]:
    """Weak ink that holds together with strong ink and is larger than dust."""
    no_ink: Mask = np.zeros(contrast.shape, dtype=np.bool_)
    if contrast.max() <= FAINTEST_INK:
        return no_ink, f"no ink: nothing is {FAINTEST_INK:.0%} darker than paper"
    noise = grain_of(contrast)
    floor = max(FAINTEST_INK, 4 * noise)
    candidates = contrast[contrast > floor]
    if candidates.size == 0:
        return no_ink, f"no ink: nothing rises above the paper's noise of {noise:.1%}"
    level = float(np.median(candidates[candidates >= otsu(candidates)]))
    labels, _ = ndimage.label(contrast > max(floor, WEAK_INK * level), NEIGHBOURS)
    strong = np.zeros(labels.max() + 1, dtype=np.bool_)
    strong[labels[contrast > STRONG_INK * level]] = True
    strong[0] = False
    smallest = max(3.0, SMALLEST_DIGIT * max(contrast.shape))
    for label, piece in enumerate(ndimage.find_objects(labels), start=1):
        if strong[label]:
            strong[label] = max(extent(piece)) >= smallest
    found = int(strong.sum())
    return strong[
        labels
    ], f"{found} stroke{'s' * (found != 1)}: ink is {level:.2f} darker than paper, noise is {noise:.3f}"


def grain_of(contrast: Plane) -> float:
    """The standard deviation of the paper's grain: how places a 64th of the picture apart mostly differ."""
    apart = max(1, max(contrast.shape) // 64)
    differences = [np.abs(along[apart:] - along[:-apart]).ravel() for along in (contrast, contrast.T)]
    both = np.concatenate(differences)
    return float(1.4826 / np.sqrt(2) * np.median(both)) if both.size else 0.0


def find_clinging(ink: Mask) -> Mask:
    """Pieces that lie along the picture's edge or cross it from side to side, where others do not."""
    labels, count = ndimage.label(ink, NEIGHBOURS)
    edges = labels[0], labels[-1], labels[:, 0], labels[:, -1]
    contact = np.stack([np.bincount(edge, minlength=count + 1) for edge in edges])[:, 1:]  # (4, count)
    sides = np.array([extent(piece) for piece in ndimage.find_objects(labels)]).reshape(-1, 2)
    longest = sides.max(axis=1, initial=0)
    crosses = (contact[:2] > 0).all(axis=0) | (contact[2:] > 0).all(axis=0)
    clinging = (contact.max(axis=0) > longest / 4) | crosses
    # A digit cut close touches the edge as well: then there is nothing else of a digit's size.
    if not (longest[~clinging] > max(ink.shape) / 12).any():
        return np.zeros_like(ink)
    return label_mask(labels, clinging)


def find_digits(ink: Mask) -> tuple[list[Mask], str]:
    """Group strokes into digits, masks (h, w): so far the largest piece and what stands close to it."""
    labels, count = ndimage.label(ink, NEIGHBOURS)
    if count == 0:
        return [], "no strokes, no digit"
    pieces = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel())[1:]
    main = pieces[int(np.argmax(areas))]
    reach = BELONGS * max(extent(main))
    belongs = [
        area > LARGEST_DUST * areas.max() and gap(piece, main) <= reach
        for piece, area in zip(pieces, areas, strict=True)
    ]
    return [label_mask(labels, belongs)], f"{sum(belongs)} of {count} connected strokes taken as the digit"


def label_mask(labels: NDArray[np.int32], chosen: Iterable[bool]) -> Mask:
    """The pixels of the chosen pieces: `chosen` has one truth for each label from 1 on."""
    mask: Mask = np.array([False, *chosen])[labels]
    return mask


def border_of(plane: Plane) -> Plane:
    """The values along the four edges, a twentieth of the picture deep."""
    depth = max(1, min(plane.shape) // 20)
    edges = plane[:depth], plane[-depth:], plane[:, :depth], plane[:, -depth:]
    return np.concatenate([edge.ravel() for edge in edges])


def extent(piece: tuple[slice, slice]) -> tuple[int, int]:
    """Height and width of a piece."""
    rows, columns = piece
    return rows.stop - rows.start, columns.stop - columns.start


def gap(one: tuple[slice, slice], other: tuple[slice, slice]) -> int:
    """How many pixels lie between two boxes, along the axis where more do."""
    return max(int(max(a.start, b.start) - min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def otsu(values: Plane) -> float:
    """The threshold that parts `values` into the two most compact classes (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)
    above = counts.sum() - below
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)])


def _box_in_original(digit: Mask, page: tuple[slice, slice], decoded: DecodedPicture) -> Box:
    height, width = decoded.pixels.shape[:2]
    rows = np.flatnonzero(digit.any(axis=1)) + page[0].start
    columns = np.flatnonzero(digit.any(axis=0)) + page[1].start
    across, down = decoded.width / width, decoded.height / height
    left, top = int(columns[0] * across), int(rows[0] * down)
    right, bottom = round((columns[-1] + 1) * across), round((rows[-1] + 1) * down)
    return left, top, max(1, right - left), max(1, bottom - top)
