"""Cuts a line of writing into segments, so that every digit is a run of segments.

The cuts are an over-segmentation: the segmentation graph joins segments again.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import (
    EDGE,
    EIGHT_CONNECTED,
    FINE_SIDE,
    Mask,
    Plane,
    measure_depth,
    measure_strokes,
    resize,
)
from lenet.reading.lines import DOT
from lenet.reading.ruled_lines import measure_stroke_width
from lenet.reading.seams import Columns, find_seams

Labels = NDArray[np.int32]
PADDING = 2  # pixels of paper around a line
MAX_LINE_LENGTH = 4096  # pixels, after resizing: bounds the memory
TEXT_HEIGHT = FINE_SIDE  # pixels: the height to which writing is resized before it is cut
MAX_SLIVER = 0.15  # of a segment's ink: smaller fragments go to the segment on the other side of the seam
MAX_DASH_HEIGHT, MIN_DASH_WIDTH = 0.2, 0.8  # text heights


@dataclass(frozen=True, eq=False)
class SegmentedLine:
    """One line of writing, resized to TEXT_HEIGHT; segments are numbered from 0.

    `depth` (h, w) is the signed distance to the edge of the strokes in pixels, positive inside; `owner`
    (h, w) the nearest segment of each pixel. Per segment (count,): `ink` is its area in pixels, `deep` the
    sum of its depths, `pieces` the connected component that it was cut from; `boxes` (count, 4) are left,
    top, right and bottom. Before resizing: `strokes` holds 0 for paper, else the number of the segment plus
    1, and `places` (count, 4) are the boxes.
    """

    depth: Plane
    owner: Labels
    ink: NDArray[np.float64]
    deep: NDArray[np.float64]
    pieces: NDArray[np.int32]
    boxes: NDArray[np.int64]
    strokes: Labels
    places: NDArray[np.int64]


def segment_line(contrast: Plane, strokes: Mask, text_height: float) -> SegmentedLine:
    """Cut the strokes (h, w) of one line of writing, `text_height` pixels high, into segments."""
    around = ndimage.binary_dilation(strokes, EIGHT_CONNECTED)
    pen = np.pad(np.where(around, contrast, np.float32(0)), PADDING)
    scale = min(TEXT_HEIGHT / text_height, MAX_LINE_LENGTH / max(pen.shape))
    fine = even_ink(rescale(pen, scale), scale * measure_stroke_width(strokes))
    connected = drop_dust(ndimage.label(fine > EDGE, EIGHT_CONNECTED)[0])
    mask = connected > 0
    depth, nearest = measure_depth(fine, mask)
    stroke = 4 * float(depth[mask].mean()) if mask.any() else 1.0
    segments = number_left_to_right(cut_segments(connected, stroke))
    owner = segments[tuple(nearest)] - 1
    numbers = np.arange(1, segments.max() + 1)
    boxes = find_bounding_boxes(segments, numbers.size)
    cover, deep = measure_strokes(depth)
    numbered = number_strokes(strokes, depth, owner, scale)
    return SegmentedLine(
        depth,
        owner,
        ink=ndimage.sum_labels(cover, owner, numbers - 1),
        deep=ndimage.sum_labels(deep, owner, numbers - 1),
        pieces=ndimage.maximum(connected, segments, numbers).astype(np.int32) if numbers.size else numbers,
        boxes=boxes,
        strokes=numbered,
        places=find_places(numbered, boxes, scale),
    )


def rescale(plane: Plane, scale: float) -> Plane:
    """Resize a plane (h, w) by exactly `scale` in both directions; partial border pixels are padded."""
    height, width = (max(1, math.ceil(side * scale)) for side in plane.shape)
    wanted = math.ceil(height / scale), math.ceil(width / scale)
    padded = np.pad(plane, [(0, more - side) for more, side in zip(wanted, plane.shape, strict=True)])
    return resize(padded, (width, height), (0, 0, width / scale, height / scale))


def find_bounding_boxes(segments: Labels, count: int) -> NDArray[np.int64]:
    """Left, top, right and bottom of each segment: (count, 4); zeros for a segment without pixels."""
    found = ndimage.find_objects(segments, count)
    sides = [(b[1].start, b[0].start, b[1].stop, b[0].stop) if b else (0, 0, 0, 0) for b in found]
    return np.array(sides, np.int64).reshape(-1, 4)


def find_places(numbered: Labels, boxes: NDArray[np.int64], scale: float) -> NDArray[np.int64]:
    """The boxes (count, 4) of segments before resizing; one smaller than a pixel gets that pixel."""
    places = find_bounding_boxes(numbered, len(boxes))
    reduced = (boxes / scale - PADDING).astype(np.int64)
    corners = reduced[:, :2].clip(0, [numbered.shape[1] - 1, numbered.shape[0] - 1])
    reduced = np.hstack([corners, np.maximum(reduced[:, 2:], corners + 1)])
    return np.where(places[:, 2:3] > 0, places, reduced)


def number_strokes(strokes: Mask, depth: Plane, owner: Labels, scale: float) -> Labels:
    """The segment of each pixel of the strokes (h, w), counted from 1; 0 for paper and dust."""
    rows, columns = np.nonzero(strokes)
    fine = tuple(((pixels + PADDING + 0.5) * scale).astype(np.int64) for pixels in (rows, columns))
    numbers = np.zeros(strokes.shape, np.int32)
    numbers[rows, columns] = np.where(depth[fine] > -max(2.0, scale), owner[fine] + 1, 0)
    return numbers


def even_ink(fine: Plane, stroke: float) -> Plane:
    """Divide contrast (h, w) by its local maximum, so that light and heavy strokes count equally.

    The neighbourhood is small, so that a stroke is not compared with darker ones near it: `stroke` is the
    stroke width in pixels.
    """
    reach = int(np.clip(2 * stroke, TEXT_HEIGHT / 8, TEXT_HEIGHT / 4))
    around = ndimage.gaussian_filter(ndimage.maximum_filter(fine, reach), reach / 4)
    strong = fine[fine > EDGE * fine.max()]
    heavy = np.percentile(strong, 75) if strong.size else 1.0
    even: Plane = np.clip(fine / np.clip(around, max(heavy / 3, 1e-6), max(heavy, 1e-6)), 0, 1)
    return even


def drop_dust(labels: Labels) -> Labels:
    """Remove components that are never part of a digit: dots, dirt, dashes, remains of ruled lines."""
    kept = [False]
    for rows, columns in ndimage.find_objects(labels):
        high, wide = (side.stop - side.start for side in (rows, columns))
        is_dot = max(high, wide) < DOT * TEXT_HEIGHT
        is_dash = high < MAX_DASH_HEIGHT * TEXT_HEIGHT and wide > MIN_DASH_WIDTH * TEXT_HEIGHT
        kept.append(not is_dot and not is_dash)
    return np.where(np.array(kept)[labels], labels, 0)


def cut_segments(labels: Labels, stroke: float) -> Labels:
    """Cut all components into segments and number these from 1, unsorted."""
    segments = np.zeros_like(labels)
    if not labels.any():
        return segments
    boxes = ndimage.find_objects(labels)
    numbers = [number for number, box in enumerate(boxes) if box is not None]
    masks = [labels[boxes[number]] == number + 1 for number in numbers]
    count = 0
    for number, mask, seams in zip(numbers, masks, find_seams(masks, stroke), strict=True):
        parts = number_parts(mask, seams)
        found, places = np.unique(merge_slivers(parts)[mask], return_inverse=True)
        segments[boxes[number]][mask] = places + count + 1
        count += len(found)
    return segments


def number_parts(mask: Mask, seams: list[Columns]) -> Labels:
    """The part of each pixel of a component (h, w), counted from 1, from the left; 0 for paper.

    A pixel is in the part after all seams at its column or to the left of it.
    """
    begins = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    for seam in seams:
        begins[np.arange(mask.shape[0]), np.clip(seam, 0, mask.shape[1])] += 1
    return np.where(mask, 1 + np.cumsum(begins[:, :-1], axis=1, dtype=np.int32), np.int32(0))


def merge_slivers(parts: Labels) -> Labels:
    """Assign small fragments that a seam cut off to the part that they touch."""
    if parts.max() < 2:
        return parts
    merged = parts.copy()
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        if box is None:
            continue
        # Only the surroundings of each part and fragment are searched, or many would take many seconds.
        around = surround(box)
        fragments, count = ndimage.label(parts[around] == part, EIGHT_CONNECTED)
        if count < 2:
            continue
        areas = np.bincount(fragments.ravel())
        areas[0] = 0
        for fragment, place in enumerate(ndimage.find_objects(fragments), start=1):
            if areas[fragment] < MAX_SLIVER * areas.sum():
                near = surround(place)
                here, window = fragments[near] == fragment, merged[around][near]
                beside = window[ndimage.binary_dilation(here, EIGHT_CONNECTED) & ~here]
                beside = beside[(beside > 0) & (beside != part)]
                if beside.size:
                    window[here] = np.bincount(beside).argmax()
    return merged


def surround(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """The box with a margin of one pixel, where the array goes on."""
    return tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)


def number_left_to_right(segments: Labels) -> Labels:
    """Number segments from 1 by their horizontal centres, from left to right."""
    count = int(segments.max())
    boxes = ndimage.find_objects(segments)
    middles = [(box[1].start + box[1].stop) / 2 for box in boxes]
    numbers = np.zeros(count + 1, np.int32)
    numbers[1 + np.argsort(middles, kind="stable")] = np.arange(1, count + 1)
    ordered: Labels = numbers[segments]
    return ordered
