"""Any picture -> digit crops as MNIST has them: a chain of small steps, each with its reason.

    decode -> page -> grey -> polarity -> flatten -> ink -> digits -> crops

Between the steps a picture is a float32 plane (h, w) in 0..1. From `flatten_light` on it is contrast: 0 is
paper, 1 is ink as dark as can be. Sizes are fractions of the picture or of the digit, so that the same
drawing is read alike at every size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.decode import DecodedPicture, Picture, decode
from lenet.inference.crop import Mask, Plane, normalise
from lenet.inference.ink import NEIGHBOURS, extent, find_ink, label_mask
from lenet.inference.light import flatten_light, to_dark_ink, to_grey
from lenet.inference.page import find_page
from lenet.whole import frame_whole

Box = tuple[int, int, int, int]  # left, top, width, height
Page = tuple[slice, slice]  # rows and columns

LARGEST_DUST = 1 / 50  # of the area of the largest piece
BELONGS = 1 / 2  # of the largest piece's longest side: a stroke that stands off farther is not of the digit


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
    page, contrast, planes = find_contrast(decoded)
    ink, ink_reason = find_ink(contrast)
    contrast = np.clip(contrast, 0, 1)
    digits, digits_reason = find_digits(ink)
    crops = []
    for digit in digits:
        image, reason = normalise(contrast, digit)
        crops.append(Crop(image, _box_in_original(digit, page, decoded), reason))
    return tuple(crops), [
        *planes,
        ("ink", ink, ink_reason),
        ("digits", np.any(digits, axis=0) if digits else np.zeros_like(ink), digits_reason),
    ]


def find_contrast(decoded: DecodedPicture) -> tuple[Page, Plane, list[tuple[str, Plane | Mask, str]]]:
    """The part of a picture that is paper, its contrast (h, w), and each step's name, plane and reason."""
    page, page_reason = find_page(decoded.pixels)
    grey, grey_reason = to_grey(decoded.pixels[page])
    dark, dark_reason = to_dark_ink(grey)
    contrast, contrast_reason = flatten_light(dark)
    return (
        page,
        contrast,
        [
            ("grey", grey, f"{page_reason}; {grey_reason}"),
            ("polarity", dark, dark_reason),
            ("flattened", np.clip(contrast, 0, 1), contrast_reason),
        ],
    )


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


def gap(one: tuple[slice, slice], other: tuple[slice, slice]) -> int:
    """How many pixels lie between two boxes, along the axis where more do."""
    return max(int(max(a.start, b.start) - min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _box_in_original(digit: Mask, page: tuple[slice, slice], decoded: DecodedPicture) -> Box:
    height, width = decoded.pixels.shape[:2]
    rows = np.flatnonzero(digit.any(axis=1)) + page[0].start
    columns = np.flatnonzero(digit.any(axis=0)) + page[1].start
    across, down = decoded.width / width, decoded.height / height
    left, top = int(columns[0] * across), int(rows[0] * down)
    right, bottom = round((columns[-1] + 1) * across), round((rows[-1] + 1) * down)
    return left, top, max(1, right - left), max(1, bottom - top)
