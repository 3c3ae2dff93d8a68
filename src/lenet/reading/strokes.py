"""Separates the strokes of a pen from printed patterns, ruled lines, frames and shadows.

Security patterns and ruled lines are ink too, but weaker, or longer and thinner than strokes of a digit.
Works on contrast planes (h, w): 0 is paper, 1 is full ink.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import Mask, Plane
from lenet.phrases import Phrase
from lenet.reading.page import MIN_CONTRAST, take_ring
from lenet.reading.ruled_lines import MIN_SIDE, find_ruled_lines, leave_out_crossings, measure_stroke_width

LEVELS = 256  # bins of the histogram of contrast, 0..1
WEAK_INK, STRONG_INK = 0.25, 0.4  # of the ink's contrast: hysteresis thresholds of strokes
MIN_WRITING = 1 / 40  # of the longer side: without a larger component nothing is written
HALF_INK = 0.5  # of the ink's contrast: the edge of an antialiased stroke on any paper
EDGE_DEPTH = 0.03  # of the shorter side: the depth of the strips along the edges
MAX_SIDE_THICKNESS = 0.1  # of the shorter side: thicker pieces along an edge are tables and shadows
MAX_BAR_WIDTH = 0.75  # of the stroke width: bars along the edge are thinner
MIN_NOTABLE = 1 / 12  # of the longer side: smaller components are ignored when frames and shadows are found
MIN_SHARPNESS = 0.5  # of the sharpest outline: strokes are sharper


def find_strokes(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """The mask (h, w) of pen strokes, and the reason. `grain` is the standard deviation of the paper."""
    ink, reason = split_ink(contrast, grain)
    ruled = find_ruled_lines(ink)
    ink = ink & ~ruled
    frame = find_frame(contrast, ink)
    if frame.any():
        # A black frame is darker than any ink, so the level of ink is estimated again without it.
        excluded = cv2.dilate(frame.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
        inside, inner_reason = split_ink(np.where(excluded | ruled, np.float32(0), contrast), grain)
        if inside.any():
            return inside, Phrase("{reason}; left out what lies along the edge", reason=inner_reason)
    return ink, reason


def split_ink(contrast: Plane, grain: float) -> tuple[Mask, str]:
    """Threshold with hysteresis: the mask (h, w) of weak ink connected to strong ink, and the reason.

    The weak threshold is above nearly all of the background print.
    """
    nothing: Mask = np.zeros(contrast.shape, dtype=np.bool_)
    floor = max(MIN_CONTRAST, 4 * grain)
    levels = cv2.multiply(contrast, LEVELS - 1, dtype=cv2.CV_8U)  # saturates: grain lighter than paper is 0
    counts = cv2.calcHist([levels], [0], None, [LEVELS], [0, LEVELS]).ravel().astype(np.float64)
    first = math.ceil(floor * (LEVELS - 1))
    if not counts[first:].any():
        return nothing, Phrase("no ink: nothing rises above the paper's noise of {grain:.1%}", grain=grain)
    darker = first + find_otsu_threshold(counts[first:])
    level = (darker + find_median(counts[darker:])) / (LEVELS - 1)
    paper = counts[: find_otsu_threshold(counts)]
    bins = np.arange(paper.size) / (LEVELS - 1)
    printed = np.average(bins, weights=paper)
    printed += 2 * np.sqrt(np.average(np.square(bins - printed), weights=paper))
    weak = max(floor, float(np.clip(printed, WEAK_INK * level, HALF_INK * level)))
    strong = max(STRONG_INK * level, 1.3 * weak)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((contrast > weak).view(np.uint8))
    kept = np.zeros(count, dtype=np.bool_)
    kept[labels.take(np.flatnonzero(contrast > strong))] = True
    longest = stats[kept, cv2.CC_STAT_WIDTH : cv2.CC_STAT_AREA].max(initial=0)
    if longest < max(3.0, MIN_WRITING * max(contrast.shape)):
        return nothing, Phrase("no ink: nothing but specks")
    reason = Phrase("ink is {level:.2f} darker than paper, and ends at {weak:.2f}", level=level, weak=weak)
    return kept.take(labels), reason


def find_otsu_threshold(counts: NDArray[np.float64]) -> int:
    """The first bin of the upper class, with the maximum variance between both classes (Otsu, 1979)."""
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(counts.size))
    above = below[-1] - below
    means = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    return int(np.argmax(below * above * np.square(means[0] - means[1]))) + (counts.size > 1)


def find_median(counts: NDArray[np.float64]) -> int:
    """The bin at which half of a histogram is reached."""
    reached = np.cumsum(counts)
    return int(np.searchsorted(reached, reached[-1] / 2))


def measure_grain(contrast: Plane) -> float:
    """The standard deviation of the paper's grain, from differences of pixels 1/64 of the picture apart.

    The lower quartile of the differences is used, since a tight crop holds mostly ink.
    """
    apart = max(1, max(contrast.shape) // 64)
    every = max(1, max(contrast.shape) // 80)  # this subsample is as precise as all pixels
    thinned = contrast[::every], contrast.T[::every]
    both = np.concatenate([np.abs(along[:, apart:] - along[:, :-apart]).ravel() for along in thinned])
    quartile = np.partition(both, both.size // 4)[both.size // 4] if both.size else 0.0
    return float(quartile / (0.3186 * np.sqrt(2)))


def find_frame(contrast: Plane, ink: Mask) -> Mask:
    """What lies along the edge of a picture and is no writing (h, w).

    That is what runs along most of an edge, bars thinner than the pen, and shadows, whose outlines are soft.
    Strokes across a thin frame are kept. In a tight crop, digits lie along an edge too; nothing is removed
    if no other component has the size of a digit.
    """
    frame: Mask = np.zeros_like(ink)
    if min(ink.shape) < MIN_SIDE or not take_ring(ink).any():
        return frame
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8))
    corner, size, area = stats[:, :2], stats[:, 2:4], stats[:, 4]  # (left, top), (width, height)
    reaching = ((corner == 0) | (corner + size == ink.shape[::-1])).any(axis=1)
    notable = size.max(axis=1) > MIN_NOTABLE * max(ink.shape)
    inside = np.flatnonzero(notable & ~reaching)
    inside = inside[inside > 0]  # 0 is paper
    if not inside.size:
        return frame
    pen = measure_stroke_width(np.isin(labels, inside))
    steep = np.hypot(cv2.Sobel(contrast, -1, 1, 0, scale=1 / 8), cv2.Sobel(contrast, -1, 0, 1, scale=1 / 8))
    sharp = [measure_sharpness(contrast, steep, labels == number) for number in inside]
    deep = max(1, round(EDGE_DEPTH * min(ink.shape)))
    for number in np.flatnonzero(reaching[1:]) + 1:
        piece = labels == number
        along = [
            strip.any(axis=0).mean() > 0.5
            for side in (piece, piece.T)
            for strip in (side[:deep], side[-deep:])
        ]
        is_bar = size[number].min() <= 2 * deep and area[number] < MAX_BAR_WIDTH * pen * size[number].max()
        for turned in (False, True):
            if any(along[2 * turned : 2 * turned + 2]):
                level = piece.T if turned else piece
                thin, thickness = leave_out_crossings(level, level)
                bar = thin if thickness <= MAX_SIDE_THICKNESS * min(ink.shape) else level
                frame |= bar.T if turned else bar
        if any(along):
            continue
        if is_bar or (
            notable[number] and measure_sharpness(contrast, steep, piece) < MIN_SHARPNESS * max(sharp)
        ):
            frame |= piece
    return frame


def measure_sharpness(contrast: Plane, steep: Plane, piece: Mask) -> float:
    """The median of the gradient `steep` (h, w) along the outline of a component, per its mean contrast."""
    whole = piece.view(np.uint8)
    outline = whole > cv2.erode(whole, np.ones((3, 3), np.uint8))
    return float(np.median(steep[outline]) / contrast[piece].mean()) if outline.any() else 0.0
