"""Groups connected components of strokes into lines of writing, in reading order."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.errors import PictureError
from lenet.images.framing import Mask
from lenet.images.strips import weighted_median

MIN_BODY = 0.35  # text heights: smaller components do not define lines
DOT = 0.3  # text heights: smaller components are dots or dirt
MIN_OVERLAP = 0.4  # of the smaller component: with this overlap in rows, two are on one line
MAX_DISTANCE = 4.0  # text heights: components farther apart are on separate lines
MAX_BREAK = 0.2  # text heights: the maximum vertical gap within a broken digit
MAX_SLOPE = 0.7  # rows per column: steeper than any line of a picture turned by 30°, with jumping digits
MAX_STEP = 1.5  # text heights: the maximum gap between neighbours that show how steep a line is
MIN_RISE = 0.25  # text heights, from end to end: level writing rises or falls as much
MIN_LINE_HEIGHT = 0.35  # of the tallest line: smaller lines are dirt or print
MAX_PIECES = 1500  # components; of more only the largest are used
MAX_LINES = 60
MAX_WORK = 1100  # areas of all lines, in squared text heights: a page of a thousand digits
Boxes = NDArray[np.int64]  # (count, 4): left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Writing:
    """One line: its `strokes` (h, w), their rows and columns in the picture, its text height in pixels.

    `slope` is that of the base line: rows down per column to the right, 0 for a single component.
    """

    strokes: Mask
    rows: slice
    columns: slice
    height: float
    slope: float = 0.0


def find_lines(strokes: Mask) -> list[Writing]:
    """The lines in `strokes` (h, w), from top to bottom, and lines at the same height from left to right.

    Lines may be turned by up to 30°.
    Raises PictureError when there are so many small marks that reading would take more than a few seconds.
    """
    if not strokes.any():
        return []
    x, y, width, height = cv2.boundingRect(strokes.view(np.uint8))
    inked = strokes[y : y + height, x : x + width]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inked.view(np.uint8))
    left, top, wide, high, areas = stats[1:].astype(np.int64).T
    boxes = np.stack([left, top, left + wide, top + high], axis=1)
    bodies = np.flatnonzero(np.maximum(wide, high) >= MIN_BODY * weighted_median(high, areas))
    bodies = np.sort(bodies[np.argsort(-areas[bodies], kind="stable")[:MAX_PIECES]])
    members = [bodies[group] for group in group_lines(boxes[bodies])]
    heights = [weighted_median(high[member], areas[member]) for member in members]
    lines = []
    for member, height in zip(members, heights, strict=True):
        if height < MIN_LINE_HEIGHT * max(heights):
            continue
        first, last = boxes[member, :2].min(axis=0), boxes[member, 2:].max(axis=0)
        within = (boxes[:, :2] >= first - height / 2).all(axis=1) & (boxes[:, 2:] <= last + height / 2).all(
            axis=1
        )
        within &= np.maximum(wide, high) >= DOT * height
        within[bodies] = False
        within[member] = True
        chosen = boxes[within]
        (left, top), (right, bottom) = chosen[:, :2].min(axis=0).tolist(), chosen[:, 2:].max(axis=0).tolist()
        written: Mask = np.concatenate([[False], within]).take(labels[top:bottom, left:right])
        rows, columns = slice(y + top, y + bottom), slice(x + left, x + right)
        lines.append(Writing(written, rows, columns, height, fit_base_line(boxes[member])))
    work = sum(line.strokes.size / line.height**2 for line in lines)
    if len(lines) > MAX_LINES or work > MAX_WORK:
        raise PictureError(
            f"{len(lines)} lines of marks of {min(line.height for line in lines):g} pixels are too much to "
            "read; crop the picture to the writing"
        )
    return sort_lines(lines)


def group_lines(boxes: Boxes) -> list[NDArray[np.int64]]:
    """The numbers of the components of each line; components are levelled by the slope of all lines first."""
    if len(boxes) == 1:
        return [np.zeros(1, np.int64)]
    middles = (boxes[:, 0] + boxes[:, 2]) / 2
    level = boxes.copy()
    level[:, 1::2] -= np.rint(fit_base_line(boxes) * middles).astype(np.int64)[:, None]
    same, groups = find_same_line(level), np.arange(len(boxes))
    while (lowest := np.where(same, groups, len(boxes)).min(axis=1)).tolist() != groups.tolist():
        groups = lowest[lowest]
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]


def fit_base_line(boxes: Boxes) -> float:
    """The slope of base lines, rows down per column: the median slope of all pairs of neighbours, weighted by
    their distance and height (Theil–Sen).

    It is 0 if the ends of the line rise by less than MIN_RISE, as those of level handwriting do.
    """
    left, top, right, bottom = boxes.T
    x, y, high = (left + right) / 2, (top + bottom) / 2, bottom - top
    order = np.argsort(x)
    one, other = np.triu_indices(len(boxes), 1)
    one, other = order[one], order[other]
    across, down = x[other] - x[one], y[other] - y[one]
    near = left[other] - right[one] <= MAX_STEP * np.maximum(high[one], high[other])
    near &= (np.abs(down) <= MAX_SLOPE * across) & (across > 0)
    if not near.any():
        return 0.0
    weights = across * np.minimum(high[one], high[other])
    slope = weighted_median((down[near] / across[near]), weights[near])
    return slope if abs(slope) * np.ptp(x) >= MIN_RISE * np.median(high) else 0.0


def find_same_line(boxes: Boxes) -> NDArray[np.bool_]:
    """Which components are on one line, bool (count, count): side by side, or parts of a broken stroke."""
    left, top, right, bottom = boxes.T
    high, wide = bottom - top, right - left
    taller = np.maximum(high[:, None], high)
    # Overlaps in pixels; negative ones are distances.
    rows = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    columns = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    beside = (rows >= MIN_OVERLAP * np.minimum(high[:, None], high)) & (columns >= -MAX_DISTANCE * taller)
    broken = (columns >= MIN_OVERLAP * np.minimum(wide[:, None], wide)) & (rows >= -MAX_BREAK * taller)
    same: NDArray[np.bool_] = beside | broken
    return same


def sort_lines(lines: list[Writing]) -> list[Writing]:
    """Sort lines from top to bottom; a line whose centre is within the rows of another is at its height, and
    such lines are sorted from left to right."""
    rows: list[list[Writing]] = []
    for line in sorted(lines, key=lambda line: line.rows.start + line.rows.stop):
        middle = (line.rows.start + line.rows.stop) / 2
        if rows and rows[-1][0].rows.start <= middle < rows[-1][0].rows.stop:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.columns.start)]
