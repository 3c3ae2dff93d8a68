"""Any picture -> the recognition graph of what is written on it: small steps, each with its reason.

    decode -> page -> grey -> polarity -> flatten -> strokes -> lines -> segments -> arcs

Up to the strokes a picture is a float32 plane (h, w) in 0..1. From `flatten_light` on it is contrast: 0 is
paper, 1 is ink as dark as can be. Sizes are fractions of the picture or of the writing, so that the same
drawing is read alike at every size.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lenet.images.decoding import DecodedPicture
from lenet.images.framing import Mask, Plane, frame_full_image, is_framed
from lenet.reading.lattice import Arc, Lattice, build_lattice
from lenet.reading.page import Rectangle, find_page, flatten_light, to_dark_ink, to_grey
from lenet.reading.segments import Labels
from lenet.reading.strokes import find_strokes, grain_of

PAPER = (255, 255, 255)
COLOURS = np.array([(31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189)])


@dataclass(frozen=True, eq=False)
class ReadingStep:
    """One step as a person may look at it: image (h, w) or (h, w, 3) uint8, and why it came out so."""

    name: str
    image: NDArray[np.uint8]
    reason: str


def find_lattice(decoded: DecodedPicture) -> Lattice:
    """The graph of a picture; without arcs when it holds no ink."""
    return follow_lattice(decoded)[0]


def follow_lattice(decoded: DecodedPicture) -> tuple[Lattice, list[tuple[str, Plane | Mask, str]]]:
    """The graph of a picture, and of each step on the way its name, its plane (h, w) and its reason."""
    page, page_reason = find_page(decoded.pixels)
    grey, grey_reason = to_grey(decoded.pixels[page])
    dark, dark_reason = to_dark_ink(grey)
    contrast, contrast_reason = flatten_light(dark)
    strokes, reason = find_strokes(contrast, grain_of(contrast))
    contrast = np.clip(contrast, 0, 1)
    lattice = build_lattice(contrast, strokes)
    if strokes.any() and is_framed(contrast, strokes):
        # An image as MNIST has them comes to the network as it is, however many strokes it has.
        image = np.rint(contrast * 255).astype(np.uint8)
        last = len(lattice.heights) - 1
        kept = [arc for arc in lattice.arcs if (arc.first, arc.last) != (0, last)]
        lattice = replace(lattice, arcs=(*kept, Arc(0, last, image)))
    return replace(lattice, boxes=move_boxes(lattice.boxes, page, decoded)), [
        ("grey", grey, f"{page_reason}; {grey_reason}"),
        ("polarity", dark, dark_reason),
        ("flattened", contrast, contrast_reason),
        ("ink", strokes, reason),
    ]


def move_boxes(boxes: NDArray[np.int64], page: Rectangle, decoded: DecodedPicture) -> NDArray[np.int64]:
    """Boxes (count, 4) within the page as boxes in the upright original: left, top, right, bottom."""
    height, width = decoded.pixels.shape[:2]
    corner = np.array([page[1].start, page[0].start] * 2)
    finer = np.array([decoded.width / width, decoded.height / height] * 2)
    moved = (boxes + corner) * finer
    moved[:, :2] = np.floor(moved[:, :2])
    moved[:, 2:] = np.maximum(np.rint(moved[:, 2:]), moved[:, :2] + 1)
    whole: NDArray[np.int64] = moved.astype(np.int64)
    return whole


def full_image_lattice(decoded: DecodedPicture) -> Lattice:
    """The graph that takes all of a picture for one digit; without arcs when it is blank."""
    image = frame_full_image(decoded)
    arcs = (Arc(0, 0, image),) if image.any() else ()
    box = np.array([[0, 0, decoded.width, decoded.height]])
    return Lattice(arcs, np.ones(1), np.zeros(1, np.int64), box, np.ones((1, 1), np.int32))


def colour_strokes(numbers: Labels) -> NDArray[np.uint8]:
    """Numbered strokes (h, w) in colours, neighbours in different ones, on white: (h, w, 3)."""
    colours = np.concatenate([[PAPER], COLOURS[np.arange(numbers.max()) % len(COLOURS)]])
    return colours[numbers].astype(np.uint8)


def show_digits(lattice: Lattice, taken: list[int]) -> list[ReadingStep]:
    """The segments, and the digits that they were put together to, each in its colour."""
    segments, digits = lattice.strokes, np.zeros_like(lattice.strokes)
    for number, arc in enumerate(lattice.arcs[index] for index in taken):
        digits[(segments > arc.first) & (segments <= arc.last + 1)] = number + 1
    count = len(lattice.heights)
    arcs, left = len(lattice.arcs), count - len(np.unique(segments[digits > 0]))
    return [
        ReadingStep(
            "segments", colour_strokes(segments), f"pieces of strokes: {count}; runs of them tried: {arcs}"
        ),
        ReadingStep("digits", colour_strokes(digits), f"digits: {len(taken)}; pieces left out: {left}"),
    ]
