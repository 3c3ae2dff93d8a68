"""From a decoded picture to the segmentation graph of its writing, in steps; each step has a reason.

    decode -> page -> grey -> polarity -> flatten -> strokes -> lines -> segments -> arcs

Up to the strokes a picture is a float32 plane (h, w) in 0..1. From `flatten_light` on it is contrast: 0 is
paper and 1 is full ink. Sizes are relative to the picture or the writing, so that a drawing is read in the
same way at every size.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lenet.images.decoding import DecodedPicture
from lenet.images.framing import Mask, Plane, frame_full_image, is_framed
from lenet.reading.lattice import Arc, Lattice, build_lattice
from lenet.reading.page import Rectangle, find_page, flatten_light, to_dark_ink, to_grey
from lenet.reading.segments import Labels
from lenet.reading.strokes import find_strokes, measure_grain

PAPER = (255, 255, 255)
COLOURS = np.array([(31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189)])


@dataclass(frozen=True, eq=False)
class ReadingStep:
    """One step for people: its image uint8 (h, w) or (h, w, 3), and the reason of the result."""

    name: str
    image: NDArray[np.uint8]
    reason: str


def find_lattice(decoded: DecodedPicture) -> Lattice:
    """The graph of a picture; it has no arcs if there is no ink."""
    return trace_lattice(decoded)[0]


def trace_lattice(decoded: DecodedPicture) -> tuple[Lattice, list[tuple[str, Plane | Mask, str]]]:
    """The graph of a picture, and the name, the plane (h, w) and the reason of each step."""
    page, page_reason = find_page(decoded.pixels)
    grey, grey_reason = to_grey(decoded.pixels[page])
    dark, dark_reason = to_dark_ink(grey)
    contrast, contrast_reason = flatten_light(dark)
    strokes, reason = find_strokes(contrast, measure_grain(contrast))
    contrast = np.clip(contrast, 0, 1)
    lattice = build_lattice(contrast, strokes)
    if strokes.any() and is_framed(contrast, strokes):
        # An image in MNIST's framing is classified unchanged, even if it has several segments.
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
    """Convert boxes (count, 4) in the page to pixels of the upright original: left, top, right, bottom."""
    height, width = decoded.pixels.shape[:2]
    corner = np.array([page[1].start, page[0].start] * 2)
    finer = np.array([decoded.width / width, decoded.height / height] * 2)
    moved = (boxes + corner) * finer
    moved[:, :2] = np.floor(moved[:, :2])
    moved[:, 2:] = np.maximum(np.rint(moved[:, 2:]), moved[:, :2] + 1)
    rounded: NDArray[np.int64] = moved.astype(np.int64)
    return rounded


def build_full_image_lattice(decoded: DecodedPicture) -> Lattice:
    """The graph with one arc, the full image of a picture; it has no arc if the picture is blank."""
    image = frame_full_image(decoded)
    arcs = (Arc(0, 0, image),) if image.any() else ()
    box = np.array([[0, 0, decoded.width, decoded.height]])
    return Lattice(arcs, np.ones(1), np.zeros(1, np.int64), box, np.ones((1, 1), np.int32))


def colour_segments(numbers: Labels) -> NDArray[np.uint8]:
    """Numbered strokes (h, w) in alternating colours on white: uint8 (h, w, 3)."""
    colours = np.concatenate([[PAPER], COLOURS[np.arange(numbers.max()) % len(COLOURS)]])
    return colours[numbers].astype(np.uint8)


def show_digits(lattice: Lattice, taken: list[int]) -> list[ReadingStep]:
    """Two steps: the segments, and the digits they were joined to, each in its colour."""
    segments, digits = lattice.strokes, np.zeros_like(lattice.strokes)
    for number, arc in enumerate(lattice.arcs[index] for index in taken):
        digits[(segments > arc.first) & (segments <= arc.last + 1)] = number + 1
    count = len(lattice.heights)
    arcs, left = len(lattice.arcs), count - len(np.unique(segments[digits > 0]))
    return [
        ReadingStep(
            "segments", colour_segments(segments), f"pieces of strokes: {count}; runs of them tried: {arcs}"
        ),
        ReadingStep("digits", colour_segments(digits), f"digits: {len(taken)}; pieces left out: {left}"),
    ]
