"""Groups connected components of strokes into lines of writing, in reading order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from lenet.errors import PictureError
from lenet.images.framing import EIGHT_CONNECTED, FINE_SIDE, Mask

MIN_BODY = 0.35  # text heights: smaller components do not define lines
DOT = 0.3  # text heights: smaller components are dots or dirt
MIN_OVERLAP = 0.4  # of the smaller component: with this overlap in rows, two are on one line
MAX_DISTANCE = 4.0  # text heights: components farther apart are on separate lines
MAX_BREAK = 0.2  # text heights: the maximum vertical gap within a broken digit
MIN_LINE_HEIGHT = 0.35  # of the tallest line: smaller lines are dirt or print
MAX_PIECES = 1500  # components; of more only the largest are used
MAX_LINES = 60
MAX_WORK = 3_500_000  # pixels of all lines, after each is resized to the height FINE_SIDE: about two seconds
Boxes = NDArray[np.int64]  # (count, 4): left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Writing:
    """One line: its `strokes` (h, w), their rows and columns in the picture, its text height in pixels.

    `area` is that of the line, or of its components side by side, on which seams are found (`find_seams`), if
    that is larger, in pixels.
    """

    strokes: Mask
    rows: slice
    columns: slice
    height: float
    area: int


def find_lines(strokes: Mask) -> list[Writing]:
    """The lines in `strokes` (h, w), from top to bottom, and lines at the same height from left to right.

    Raises PictureError when there are so many small marks that reading would take more than a few seconds.
    """
    labels, count = ndimage.label(strokes, EIGHT_CONNECTED)
    if not count:
        return []
    areas = np.bincount(labels.ravel())[1:]
    boxes = np.array([(c.start, r.start, c.stop, r.stop) for r, c in ndimage.find_objects(labels)])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    bodies = np.flatnonzero(np.maximum(wide, high) >= MIN_BODY * weighted_median(high, areas))
    bodies = np.sort(bodies[np.argsort(-areas[bodies], kind="stable")[:MAX_PIECES]])
    _, groups = connected_components(find_same_line(boxes[bodies]), directed=False)
    members = [bodies[groups == group] for group in range(groups.max() + 1)]
    heights = [weighted_median(high[member], areas[member]) for member in members]
    lines = []
    for member, height in zip(members, heights, strict=True):
        if height < MIN_LINE_HEIGHT * max(heights):
            continue
        (left, top), (right, bottom) = boxes[member, :2].min(axis=0), boxes[member, 2:].max(axis=0)
        margin = np.array([-1, -1, 1, 1]) * height / 2
        field = np.array([left, top, right, bottom]) + margin
        within: NDArray[np.bool_] = np.all((boxes[:, :2] >= field[:2]) & (boxes[:, 2:] <= field[2:]), axis=1)
        within &= np.maximum(wide, high) >= DOT * height
        within[bodies] = False
        within[member] = True
        chosen = boxes[within]
        rows = slice(int(chosen[:, 1].min()), int(chosen[:, 3].max()))
        columns = slice(int(chosen[:, 0].min()), int(chosen[:, 2].max()))
        written: Mask = np.concatenate([[False], within])[labels[rows, columns]]
        area = max(written.size, int(high[within].max() * wide[within].sum()))
        lines.append(Writing(written, rows, columns, height, area))
    work = sum(line.area * (FINE_SIDE / line.height) ** 2 for line in lines)
    if len(lines) > MAX_LINES or work > MAX_WORK:
        raise PictureError(
            f"{len(lines)} lines of marks of {min(line.height for line in lines):g} pixels are too much to "
            "read; crop the picture to the writing"
        )
    return sort_lines(lines)


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


def weighted_median(values: NDArray[np.int64], weights: NDArray[np.int64]) -> float:
    """The value at which half of the total weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
