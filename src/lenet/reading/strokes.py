"""Ink on printed paper: strokes stay; patterns, rulings and frames go.

Security patterns and guide lines are ink too, only weaker, or longer and thinner than anything a pen writes
in a digit. Works on contrast planes (h, w): 0 is paper, 1 is ink as dark as can be.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import Mask, Plane
from lenet.reading.ruled_lines import (
    SMALLEST_BOX,
    THICKEST_SIDE,
    find_ruled_lines,
    run_lengths,
    side_thickness,
    typical_width,
)

FAINTEST_INK = 0.02  # contrast; paper and compression are louder than anything below
WEAK_INK, STRONG_INK = 0.25, 0.4  # of the ink's own contrast: a stroke holds a strong pixel and ends at weak
SMALLEST_WRITING = 1 / 40  # of the picture's longer side: where no piece is larger, nothing is written
HALF_INK = 0.5  # of the ink's contrast: an antialiased stroke ends there, whatever the paper
EDGE_DEPTH = 0.03  # of the picture's shorter side: what lies so near lies along the edge
THINNER = 0.75  # of the pen: bars along the edge are
LEAST_SEEN = 1 / 12  # of the picture's longer side: what is smaller says nothing about frames and shadows
SOFT = 0.5  # of the sharpest outline: no pen's is so soft beside it
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)


def find_strokes(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """What a pen wrote (h, w). `grain` is the standard deviation of the paper's own noise."""
    ink, reason = split_ink(contrast, grain)
    rulings = find_ruled_lines(ink)
    ink = ink & ~rulings
    frame = find_frame(ink)
    frame |= find_shadows(contrast, ink & ~frame)
    if frame.any():
        # A black frame is darker than any ink; what ink is can be said only without it.
        without = ndimage.binary_dilation(frame, NEIGHBOURS, iterations=2) | rulings
        inside, inner_reason = split_ink(np.where(without, np.float32(0), contrast), grain)
        if inside.any():
            return inside, f"{inner_reason}; left out what lies along the edge"
    return ink, reason


def split_ink(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """Weak ink that holds together with strong ink; weak is above nearly all of what is printed beneath."""
    nothing: Mask = np.zeros(contrast.shape, dtype=np.bool_)
    floor = max(FAINTEST_INK, 4 * grain)
    candidates = contrast[contrast > floor]
    if candidates.size == 0:
        return nothing, f"no ink: nothing rises above the paper's noise of {grain:.1%}"
    level = float(np.median(candidates[candidates >= otsu(candidates)]))
    paper = np.clip(contrast, 0, 1)
    paper = paper[paper < otsu(paper.ravel())]
    printed = float(paper.mean() + 2 * paper.std()) if paper.size else 0.0
    weak = max(floor, float(np.clip(printed, WEAK_INK * level, HALF_INK * level)))
    strong = max(STRONG_INK * level, 1.3 * weak)
    labels, count = ndimage.label(contrast > weak, NEIGHBOURS)
    kept = np.zeros(count + 1, dtype=np.bool_)
    kept[labels[contrast > strong]] = True
    kept[0] = False
    sides = (
        side.stop - side.start
        for piece in ndimage.find_objects(kept[labels] * labels)
        if piece
        for side in piece
    )
    if max(sides, default=0) < max(3.0, SMALLEST_WRITING * max(contrast.shape)):
        return nothing, "no ink: nothing but specks"
    return kept[labels], f"ink is {level:.2f} darker than paper, and ends at {weak:.2f}"


def grain_of(contrast: Plane) -> float:
    """The standard deviation of the paper's grain: how places a 64th of the picture apart differ.

    It is told from the quarter that differ least, for in a close crop most places are of ink.
    """
    apart = max(1, max(contrast.shape) // 64)
    every = max(1, max(contrast.shape) // 80)  # so many places tell as much as all
    thinned = contrast[::every], contrast.T[::every]
    both = np.concatenate([np.abs(along[:, apart:] - along[:, :-apart]).ravel() for along in thinned])
    return float(np.quantile(both, 0.25) / (0.3186 * np.sqrt(2))) if both.size else 0.0


def find_frame(ink: Mask) -> Mask:
    """Pieces along most of an edge of the picture, and bars along a part of it that are thinner than the pen.

    Of thin ones what is written over them stays. A digit in a close crop lies along an edge as well: then
    there is nothing else of a digit's size.
    """
    lying: Mask = np.zeros_like(ink)
    if min(ink.shape) < SMALLEST_BOX:
        return lying
    deep = max(1, round(EDGE_DEPTH * min(ink.shape)))
    edges: list[Any] = [np.s_[:deep], np.s_[-deep:], np.s_[:, :deep], np.s_[:, -deep:]]
    if not any(ink[strip].any() for strip in edges):
        return lying
    labels, count = ndimage.label(ink, NEIGHBOURS)
    boxes = ndimage.find_objects(labels)
    along = np.zeros((4, count + 1), dtype=np.bool_)
    for edge, strip in enumerate(edges):
        rows = labels[strip] if edge < 2 else labels[strip].T
        along[edge] = count_columns(rows, count) > 0.5 * rows.shape[1]
    thickness = measure_bars(labels, boxes, 2 * deep)
    others = ~along.any(axis=0) & (thickness == 0)
    longest = np.array([0, *(max(s.stop - s.start for s in box) for box in boxes)])
    if not (longest[others] > LEAST_SEEN * max(ink.shape)).any():
        return lying
    for edge, number in zip(*np.nonzero(along), strict=True):
        piece, strip = labels == number, edges[edge]
        runs = run_lengths(piece) if edge < 2 else run_lengths(piece.T).T
        thick = side_thickness(piece[strip], runs[strip], int(edge // 2))
        lying |= piece & (runs <= 2 * thick) if thick <= THICKEST_SIDE * min(ink.shape) else piece
    if thickness.any():
        bars = (thickness > 0) & (thickness < THINNER * typical_width(others[labels] & ink))
        lying |= bars[labels]
    return lying


def measure_bars(labels: NDArray[np.int32], boxes: list[Any], deep: int) -> NDArray[np.float64]:
    """How thick pieces are that lie wholly within `deep` pixels of an edge: (count + 1,), 0 for others."""
    thickness = np.zeros(len(boxes) + 1)
    for number, box in enumerate(boxes, start=1):
        for side, along, length in zip(box, box[::-1], labels.shape, strict=True):
            wide, long = side.stop - side.start, along.stop - along.start
            if (side.start == 0 or side.stop == length) and wide <= deep and wide < long:
                thickness[number] = (labels[box] == number).sum() / long
    return thickness


def find_shadows(contrast: Plane, ink: Mask) -> Mask:
    """Pieces that reach in from the edge of the picture, with much softer outlines than those within.

    Where the corner of a shadow is as narrow as strokes, no light that changes slowly explains it.
    """
    shadows: Mask = np.zeros_like(ink)
    if min(ink.shape) < SMALLEST_BOX or not any(
        side.any() for side in (ink[0], ink[-1], ink.T[0], ink.T[-1])
    ):
        return shadows
    labels, _ = ndimage.label(ink, NEIGHBOURS)
    reaching, sharpest = [], 0.0
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if max(side.stop - side.start for side in box) <= LEAST_SEEN * max(ink.shape):
            continue
        around = tuple(slice(max(0, side.start - 2), side.stop + 2) for side in box)
        piece = labels[around] == label
        sharpness = measure_sharpness(contrast[around], piece)
        if any(s.start == 0 or s.stop == length for s, length in zip(box, ink.shape, strict=True)):
            reaching.append((around, piece, sharpness))
        else:
            sharpest = max(sharpest, sharpness)
    for around, piece, sharpness in reaching:
        shadows[around] |= piece & (sharpness < SOFT * sharpest)
    return shadows


def measure_sharpness(contrast: Plane, piece: Mask) -> float:
    """How steeply contrast (h, w) falls off along the outline of a piece: the median share in a pixel."""
    outline = piece & ~ndimage.binary_erosion(piece, NEIGHBOURS, border_value=1)
    steep = ndimage.gaussian_gradient_magnitude(contrast, 1)[outline]
    return float(np.median(steep) / contrast[piece].mean()) if steep.size else 0.0


def count_columns(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """In how many columns of `labels` (h, w) each piece stands: (count + 1,), 0 for paper."""
    columns = np.arange(labels.shape[1])
    found = np.unique(labels * labels.shape[1] + columns)
    counts = np.bincount(found // labels.shape[1], minlength=count + 1)
    counts[0] = 0  # paper
    return counts


def otsu(values: Plane) -> float:
    """The threshold that parts `values` into the two most compact classes (Otsu, 1979)."""
    counts, edges = np.histogram(values[:: max(1, values.size // 30_000)], bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)
    above = counts.sum() - below
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)])
