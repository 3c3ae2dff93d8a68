"""Finds printed lines under and around writing: ruled lines, grids, boxes. Strokes that cross them are kept.

A printed line is straight and thin, and reaches from edge to edge of the paper or forms a box around ink. A
stroke of a digit in a tight crop can do so too; `is_printed` separates the two.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import Mask

MIN_SIDE = 32  # pixels: in smaller pictures and boxes print cannot be distinguished from strokes
RUN = 1 / 16  # of the width: straight runs of a line, which may rise by 3 pixels over each
MIN_COVERAGE = 0.6  # of the width; the rest of a line is faint
EDGE_MARGIN = 0.04  # of the width: the maximum distance of a line's ends from the edges
WIDE_ASPECT = 1.3  # width to height: in wider pictures no stroke of a digit spans the width
MAX_LINE_WIDTH = 0.4  # of the stroke width: printed lines are thinner than pens
MAX_THICKNESS_RATIO = 1.5  # of the lines of one print
MIN_GRID_LINES = 3  # lines from edge to edge: more than any digit has
SIDE_DEPTH = 0.06  # of a box: its sides are not deeper, and tilt by no more
MIN_SIDE_COVERAGE = 0.85
MIN_BOX_CONTENT = 0.3  # of a box's height; the bar of an 8 is lower


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines from edge to edge: their pixels (h, w) without crossing strokes, count, thickness in pixels."""

    pixels: Mask
    count: int
    thickness: float


def find_ruled_lines(ink: Mask) -> Mask:
    """The pixels of `ink` (h, w) that are printed lines."""
    ruled: Mask = np.zeros_like(ink)
    if min(ink.shape) < MIN_SIDE:
        return ruled
    level, upright = find_level_lines(ink), find_level_lines(ink.T)
    if level.count and is_printed(level, ink):
        ruled |= level.pixels
    if upright.count >= MIN_GRID_LINES or (upright.count and level.count >= 2 and ruled.any()):
        strokes = ink & ~ruled & ~upright.pixels.T
        # The stems of digits in a tight crop also span the height; print is thinner, or like the level lines.
        similar = ruled.any() and upright.thickness <= MAX_THICKNESS_RATIO * level.thickness
        if strokes.any() and (similar or upright.thickness <= MAX_LINE_WIDTH * measure_stroke_width(strokes)):
            ruled |= upright.pixels.T
    return ruled | find_printed_boxes(ink & ~ruled)


def find_level_lines(ink: Mask) -> Lines:
    """The nearly horizontal lines from the left to the right edge."""
    width = ink.shape[1]
    if ink.any(axis=0).mean() < MIN_COVERAGE:
        return Lines(np.zeros_like(ink), 0, 0.0)
    high = cv2.dilate(ink.astype(np.uint8), np.ones((3, 1), np.uint8))
    long = np.ones((1, max(12, round(RUN * width))), np.uint8)
    runs = cv2.morphologyEx(high, cv2.MORPH_OPEN, long)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(runs, cv2.MORPH_CLOSE, long))
    left, across = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_WIDTH]
    edge = max(2, round(EDGE_MARGIN * width))
    spans = (left <= edge) & (left + across >= width - edge)
    pixels, thicknesses = np.zeros_like(ink), []
    for label in np.flatnonzero(spans[1:]) + 1:
        line = (labels == label) & ink
        if line.any(axis=0).mean() >= MIN_COVERAGE:
            thin, thickness = leave_out_crossings(line, ink)
            pixels |= thin
            thicknesses.append(thickness)
    return Lines(pixels, len(thicknesses), float(np.median(thicknesses or 0)))


def leave_out_crossings(line: Mask, ink: Mask) -> tuple[Mask, float]:
    """The level `line` (h, w) without vertical runs of `ink` over twice its thickness; and its thickness."""
    depth = line.sum(axis=0)
    thickness = float(np.percentile(depth[depth > 0], 25))
    across = np.ones((int(2 * thickness) + 1, 1), np.uint8)
    return line & (cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_OPEN, across) == 0), thickness


def is_printed(lines: Lines, ink: Mask) -> bool:
    """True when lines from side to side are printed; in a tight crop they may be strokes of a digit."""
    strokes = ink & ~lines.pixels
    if not strokes.any():
        return False
    height, width = ink.shape
    wide = width >= WIDE_ASPECT * height or lines.count >= MIN_GRID_LINES
    return wide or lines.thickness <= MAX_LINE_WIDTH * measure_stroke_width(strokes)


def find_printed_boxes(ink: Mask) -> Mask:
    """The outlines (h, w) of upright rectangles that contain other ink; at an edge, a side may be missing."""
    outlines = np.zeros_like(ink)
    if not ink.any():
        return outlines
    x, y, across, down = cv2.boundingRect(ink.view(np.uint8))  # labelling takes longest
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink[y : y + down, x : x + across].view(np.uint8))
    for label, (left, top, width, height) in enumerate(stats[:, :4].tolist()):
        if not label or min(height, width) < MIN_SIDE:
            continue
        piece = labels[top : top + height, left : left + width] == label
        left, top = left + x, top + y
        rows, columns = slice(top, top + height), slice(left, left + width)
        inside = ink[rows, columns][height // 6 : -(height // 6), width // 6 : -(width // 6)]
        if inside.any(axis=1).sum() < MIN_BOX_CONTENT * height:
            continue
        deep, wide = max(2, round(SIDE_DEPTH * height)), max(2, round(SIDE_DEPTH * width))
        bands = np.s_[:deep], np.s_[-deep:], np.s_[:wide], np.s_[-wide:]
        at_edge = top == 0, top + height == ink.shape[0], left == 0, left + width == ink.shape[1]
        outline, sides = np.zeros_like(piece), 0
        for number, (band, is_open) in enumerate(zip(bands, at_edge, strict=True)):
            whole, drawn = (piece, outline) if number < 2 else (piece.T, outline.T)
            if whole[band].any(axis=0).mean() >= MIN_SIDE_COVERAGE:
                drawn[band] |= leave_out_crossings(whole[band], whole[band])[0]
                sides += 1
            elif not is_open:
                break
        else:
            if sides >= 3:
                outlines[rows, columns] |= outline
    return outlines


def measure_runs(ink: Mask) -> NDArray[np.int64]:
    """The length of the vertical run of ink through each pixel (h, w); 0 outside of ink."""
    height, width = ink.shape
    padded = np.zeros((height + 2, width), dtype=np.int8)
    padded[1:-1] = ink
    change = np.diff(padded, axis=0).T  # (w, h + 1): 1 where a run begins, -1 behind its end
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    runs = np.zeros((width, height), dtype=np.int64)
    runs[ink.T] = np.repeat(ends - starts, ends - starts)
    return runs.T


def measure_stroke_width(ink: Mask) -> float:
    """The median stroke width in pixels: per pixel the shorter of its vertical and horizontal runs."""
    return float(np.median(np.minimum(measure_runs(ink)[ink], measure_runs(ink.T).T[ink])))
