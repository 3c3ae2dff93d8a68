"""Strokes -> lines of writing: pieces side by side at one height, from top to bottom."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from lenet.images.framing import Mask

BODY = 0.35  # of the text's height, either way: what is smaller decides no line
DOT = 0.3  # of the text's height: what is smaller either way is a dot or dirt
BESIDE = 0.4  # of the lower one's height: two pieces that share so many rows are of one line
FAR = 4.0  # text heights: numbers farther apart are lines of their own
BROKEN = 0.2  # text heights: parts of a digit one above the other stand no farther apart; lines do
SMALL_PRINT = 0.35  # of the tallest line's height: lower lines are dirt or print
MOST_PIECES = 1500  # more is no handwriting; the largest are looked at
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)
Boxes = NDArray[np.int64]  # (count, 4): left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Writing:
    """One line: its `strokes` (h, w), where they stand, and how tall its digits are, in pixels."""

    strokes: Mask
    rows: slice
    columns: slice
    height: float


def find_lines(strokes: Mask) -> list[Writing]:
    """The lines in `strokes` (h, w), from top to bottom, and those at one height from left to right."""
    labels, count = ndimage.label(strokes, NEIGHBOURS)
    if not count:
        return []
    areas = np.bincount(labels.ravel())[1:]
    boxes = np.array([(c.start, r.start, c.stop, r.stop) for r, c in ndimage.find_objects(labels)])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    bodies = np.flatnonzero(np.maximum(wide, high) >= BODY * weighted_median(high, areas))
    bodies = np.sort(bodies[np.argsort(-areas[bodies], kind="stable")[:MOST_PIECES]])
    _, groups = connected_components(are_together(boxes[bodies]), directed=False)
    members = [bodies[groups == group] for group in range(groups.max() + 1)]
    heights = [weighted_median(high[member], areas[member]) for member in members]
    lines = []
    for member, height in zip(members, heights, strict=True):
        if height < SMALL_PRINT * max(heights):
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
        lines.append(Writing(written, rows, columns, height))
    return in_reading_order(lines)


def are_together(boxes: Boxes) -> NDArray[np.bool_]:
    """Which pieces are of one line, (count, count): side by side, or parts of one broken stroke."""
    left, top, right, bottom = boxes.T
    high, wide = bottom - top, right - left
    taller = np.maximum(high[:, None], high)
    rows = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)  # shared; negative: apart
    columns = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    beside = (rows >= BESIDE * np.minimum(high[:, None], high)) & (columns >= -FAR * taller)
    broken = (columns >= BESIDE * np.minimum(wide[:, None], wide)) & (rows >= -BROKEN * taller)
    together: NDArray[np.bool_] = beside | broken
    return together


def in_reading_order(lines: list[Writing]) -> list[Writing]:
    """From top to bottom; those whose middle lies within the rows of the one before, from left to right."""
    rows: list[list[Writing]] = []
    for line in sorted(lines, key=lambda line: line.rows.start + line.rows.stop):
        middle = (line.rows.start + line.rows.stop) / 2
        if rows and rows[-1][0].rows.start <= middle < rows[-1][0].rows.stop:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.columns.start)]


def weighted_median(values: NDArray[np.int64], weights: NDArray[np.int64]) -> float:
    """The value at which half the weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
