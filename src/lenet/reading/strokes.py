"""Separates the strokes of a pen from printed patterns, ruled lines, frames and shadows.

Security patterns and ruled lines are ink too, but weaker, or longer and thinner than strokes of a digit.
Works on contrast planes (h, w): 0 is paper, 1 is full ink.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import EIGHT_CONNECTED, Mask, Plane
from lenet.reading.page import MIN_CONTRAST
from lenet.reading.ruled_lines import (
    MAX_SIDE_THICKNESS,
    MIN_BOX_SIDE,
    find_ruled_lines,
    measure_runs,
    measure_stroke_width,
    measure_thickness,
)

WEAK_INK, STRONG_INK = 0.25, 0.4  # of the ink's contrast: hysteresis thresholds of strokes
MIN_WRITING = 1 / 40  # of the longer side: without a larger component nothing is written
HALF_INK = 0.5  # of the ink's contrast: the edge of an antialiased stroke on any paper
EDGE_DEPTH = 0.03  # of the shorter side: the depth of the strips along the edges
MAX_BAR_WIDTH = 0.75  # of the stroke width: bars along the edge are thinner
MIN_NOTABLE = 1 / 12  # of the longer side: smaller components are ignored when frames and shadows are found
MIN_SHARPNESS = 0.5  # of the sharpest outline: strokes are sharper


def find_strokes(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """The mask (h, w) of pen strokes, and the reason. `grain` is the standard deviation of the paper."""
    ink, reason = split_ink(contrast, grain)
    ruled = find_ruled_lines(ink)
    ink = ink & ~ruled
    frame = find_frame(ink)
    frame |= find_shadows(contrast, ink & ~frame)
    if frame.any():
        # A black frame is darker than any ink, so the level of ink is estimated again without it.
        excluded = ndimage.binary_dilation(frame, EIGHT_CONNECTED, iterations=2) | ruled
        inside, inner_reason = split_ink(np.where(excluded, np.float32(0), contrast), grain)
        if inside.any():
            return inside, f"{inner_reason}; left out what lies along the edge"
    return ink, reason


def split_ink(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """Threshold with hysteresis: the mask (h, w) of weak ink connected to strong ink, and the reason.

    The weak threshold is above nearly all of the background print.
    """
    nothing: Mask = np.zeros(contrast.shape, dtype=np.bool_)
    floor = max(MIN_CONTRAST, 4 * grain)
    candidates = contrast[contrast > floor]
    if candidates.size == 0:
        return nothing, f"no ink: nothing rises above the paper's noise of {grain:.1%}"
    level = float(np.median(candidates[candidates >= find_otsu_threshold(candidates)]))
    paper = np.clip(contrast, 0, 1)
    paper = paper[paper < find_otsu_threshold(paper.ravel())]
    printed = float(paper.mean() + 2 * paper.std()) if paper.size else 0.0
    weak = max(floor, float(np.clip(printed, WEAK_INK * level, HALF_INK * level)))
    strong = max(STRONG_INK * level, 1.3 * weak)
    labels, count = ndimage.label(contrast > weak, EIGHT_CONNECTED)
    kept = np.zeros(count + 1, dtype=np.bool_)
    kept[labels[contrast > strong]] = True
    kept[0] = False
    sides = (
        side.stop - side.start
        for piece in ndimage.find_objects(kept[labels] * labels)
        if piece
        for side in piece
    )
    if max(sides, default=0) < max(3.0, MIN_WRITING * max(contrast.shape)):
        return nothing, "no ink: nothing but specks"
    return kept[labels], f"ink is {level:.2f} darker than paper, and ends at {weak:.2f}"


def measure_grain(contrast: Plane) -> float:
    """The standard deviation of the paper's grain, from differences of pixels 1/64 of the picture apart.

    The lower quartile of the differences is used, since a tight crop holds mostly ink.
    """
    apart = max(1, max(contrast.shape) // 64)
    every = max(1, max(contrast.shape) // 80)  # this subsample is as precise as all pixels
    thinned = contrast[::every], contrast.T[::every]
    both = np.concatenate([np.abs(along[:, apart:] - along[:, :-apart]).ravel() for along in thinned])
    return float(np.quantile(both, 0.25) / (0.3186 * np.sqrt(2))) if both.size else 0.0


def find_frame(ink: Mask) -> Mask:
    """The components along most of an edge of the picture, and bars at an edge thinner than strokes (h, w).

    Strokes across a thin frame are kept. A digit in a tight crop lies along an edge too, but then there is no
    other component of a digit's size, and nothing is removed.
    """
    frame: Mask = np.zeros_like(ink)
    if min(ink.shape) < MIN_BOX_SIDE:
        return frame
    deep = max(1, round(EDGE_DEPTH * min(ink.shape)))
    edges: list[Any] = [np.s_[:deep], np.s_[-deep:], np.s_[:, :deep], np.s_[:, -deep:]]
    if not any(ink[strip].any() for strip in edges):
        return frame
    labels, count = ndimage.label(ink, EIGHT_CONNECTED)
    boxes = ndimage.find_objects(labels)
    along = np.zeros((4, count + 1), dtype=np.bool_)
    for edge, strip in enumerate(edges):
        rows = labels[strip] if edge < 2 else labels[strip].T
        along[edge] = count_columns(rows, count) > 0.5 * rows.shape[1]
    thickness = measure_bars(labels, boxes, 2 * deep)
    others = ~along.any(axis=0) & (thickness == 0)
    longest = np.array([0, *(max(s.stop - s.start for s in box) for box in boxes)])
    if not (longest[others] > MIN_NOTABLE * max(ink.shape)).any():
        return frame
    for edge, number in zip(*np.nonzero(along), strict=True):
        piece, strip = labels == number, edges[edge]
        runs = measure_runs(piece) if edge < 2 else measure_runs(piece.T).T
        thick = measure_thickness(piece[strip], runs[strip], int(edge // 2))
        frame |= piece & (runs <= 2 * thick) if thick <= MAX_SIDE_THICKNESS * min(ink.shape) else piece
    if thickness.any():
        bars = (thickness > 0) & (thickness < MAX_BAR_WIDTH * measure_stroke_width(others[labels] & ink))
        frame |= bars[labels]
    return frame


def measure_bars(labels: NDArray[np.int32], boxes: list[Any], deep: int) -> NDArray[np.float64]:
    """The thickness of components within `deep` pixels of an edge, in pixels: (count + 1,), 0 for others."""
    thickness = np.zeros(len(boxes) + 1)
    for number, box in enumerate(boxes, start=1):
        for side, along, length in zip(box, box[::-1], labels.shape, strict=True):
            wide, long = side.stop - side.start, along.stop - along.start
            if (side.start == 0 or side.stop == length) and wide <= deep and wide < long:
                thickness[number] = (labels[box] == number).sum() / long
    return thickness


def find_shadows(contrast: Plane, ink: Mask) -> Mask:
    """The components (h, w) that touch the edge and have much softer outlines than those inside.

    The corner of a shadow can be as narrow as strokes; `flatten_light` does not remove it.
    """
    shadows: Mask = np.zeros_like(ink)
    if min(ink.shape) < MIN_BOX_SIDE or not any(
        side.any() for side in (ink[0], ink[-1], ink.T[0], ink.T[-1])
    ):
        return shadows
    labels, _ = ndimage.label(ink, EIGHT_CONNECTED)
    reaching, sharpest = [], 0.0
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if max(side.stop - side.start for side in box) <= MIN_NOTABLE * max(ink.shape):
            continue
        around = tuple(slice(max(0, side.start - 2), side.stop + 2) for side in box)
        piece = labels[around] == label
        sharpness = measure_sharpness(contrast[around], piece)
        if any(s.start == 0 or s.stop == length for s, length in zip(box, ink.shape, strict=True)):
            reaching.append((around, piece, sharpness))
        else:
            sharpest = max(sharpest, sharpness)
    for around, piece, sharpness in reaching:
        shadows[around] |= piece & (sharpness < MIN_SHARPNESS * sharpest)
    return shadows


def measure_sharpness(contrast: Plane, piece: Mask) -> float:
    """The median gradient per pixel along the outline of a component, relative to its mean contrast."""
    outline = piece & ~ndimage.binary_erosion(piece, EIGHT_CONNECTED, border_value=1)
    steep = ndimage.gaussian_gradient_magnitude(contrast, 1)[outline]
    return float(np.median(steep) / contrast[piece].mean()) if steep.size else 0.0


def count_columns(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """The number of columns of `labels` (h, w) with each component: (count + 1,), 0 for paper."""
    columns = np.arange(labels.shape[1])
    found = np.unique(labels * labels.shape[1] + columns)
    counts = np.bincount(found // labels.shape[1], minlength=count + 1)
    counts[0] = 0  # paper
    return counts


def find_otsu_threshold(values: Plane) -> float:
    """The threshold that maximises the variance between two classes of `values` (Otsu, 1979)."""
    counts, edges = np.histogram(values[:: max(1, values.size // 30_000)], bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)
    above = counts.sum() - below
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)])
