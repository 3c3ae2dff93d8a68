"""Cuts connected strokes along seams, paths from top to bottom that cross little ink.

Minimum-cost paths by dynamic programming, as in seam carving (Avidan and Shamir 2007). Costs are in stroke
widths: to cross one stroke costs 1.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import find_peaks

from lenet.images.framing import Mask, Plane

Columns = NDArray[np.int64]  # (h,): the column of a seam in each row
Seam = tuple[float, Columns]  # with its cost
ENTRY_COST = 0.6  # to enter ink; the rest of the cost of a stroke is per pixel
STEP_COST = 0.02  # of a diagonal step, so that seams are straight where there is no ink
LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # of a component's height: the rows in which necks are searched
MAX_NECK = 5.0  # stroke widths: the maximum length of the wall that two touching digits share
MIN_NECK_PROMINENCE = 0.25  # stroke widths
MAX_WIDTH, MAX_FORCED = 0.65, 16  # of a component's height: wider parts are cut without a neck; cuts
MIN_PART = 3.0  # squared stroke widths of ink: seams that separate less are duplicates
STEPS = np.array([0, -1, 1], np.int8)


def find_seams(masks: list[Mask], stroke: float) -> list[list[Columns]]:
    """The seams of each component (h, w), from left to right; `stroke` is the stroke width in pixels.

    Seams go through necks, where the component with filled holes is thin, and through holes, which may lie
    between two digits or inside one. All components are placed on one canvas, so that one pass serves all.
    """
    spacing = 4
    height = max(mask.shape[0] for mask in masks) + 2
    width = sum(mask.shape[1] + spacing for mask in masks) + spacing
    drawn = np.zeros((height, width), np.bool_)
    corners = []
    left = spacing
    for mask in masks:
        top = (height - mask.shape[0]) // 2
        corners.append((top, left))
        drawn[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        left += mask.shape[1] + spacing
    filled = ndimage.binary_fill_holes(drawn)
    necks, holes = find_seam_costs([filled, drawn], [0, ENTRY_COST], [1 / stroke, (1 - ENTRY_COST) / stroke])
    labels, count = ndimage.label(filled & ~drawn)
    areas = np.bincount(labels.ravel())[1:]
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, np.arange(1, count + 1))).reshape(-1, 2)
    middles = centres[areas >= stroke**2].astype(np.int64).tolist()
    found = []
    for mask, (top, left) in zip(masks, corners, strict=True):
        rows, columns = mask.shape
        seams: list[Seam] = []
        for row in (top + int(level * rows) for level in LEVELS):
            profile = necks.cost[row, left - 1 : left + columns + 1]
            valleys, _ = find_peaks(-profile, prominence=MIN_NECK_PROMINENCE)
            for valley in valleys[profile[valleys] <= MAX_NECK].tolist():
                seams.append((float(profile[valley]), necks.trace(row, left - 1 + valley)))
        for row, column in middles:
            if left <= column < left + columns:
                seams.append((float(holes.cost[row, column]), holes.trace(row, column)))
        middle = top + rows // 2
        for column in find_wide(holes.cost[middle, left : left + columns], seams, middle, left, rows):
            seams.append((float(holes.cost[middle, column]), holes.trace(middle, column)))
        within = [(cost, path[top : top + rows] - left) for cost, path in seams]
        found.append(sort_seams(within, mask, MIN_PART * stroke**2))
    return found


def find_wide(cost: Plane, seams: list[Seam], row: int, left: int, height: int) -> list[int]:
    """The columns that cut parts too wide for one digit: the cheapest in the middle half of each part."""
    ends = sorted({left, left + cost.size, *(int(path[row]) for _, path in seams)})
    columns: list[int] = []
    for _ in range(MAX_FORCED):
        wide = [(end - start, start) for start, end in pairwise(ends) if end - start > MAX_WIDTH * height]
        if not wide:
            break
        width, start = max(wide)
        inner = start + width // 4
        column = inner + int(np.argmin(cost[inner - left : inner - left + width // 2]))
        columns.append(column)
        ends = sorted({*ends, column})
    return columns


def sort_seams(seams: list[Seam], mask: Mask, smallest: float) -> list[Columns]:
    """Sort seams from left to right, without crossings and without duplicates of cheaper seams."""
    left_of = np.concatenate([np.zeros((mask.shape[0], 1), np.int64), np.cumsum(mask, axis=1)], axis=1)
    rows = np.arange(mask.shape[0])

    def measure_left(seam: Columns) -> int:
        return int(left_of[rows, np.clip(seam, 0, mask.shape[1])].sum())

    total = int(mask.sum())
    kept: list[tuple[int, Columns]] = []
    for _, seam in sorted(seams, key=lambda one: one[0]):
        area = measure_left(seam)
        if all(abs(area - other) >= smallest for other in (0, total, *(other for other, _ in kept))):
            kept.append((area, seam))
    ordered = [seam for _, seam in sorted(kept, key=lambda one: one[0])]
    for before, seam in pairwise(ordered):
        np.maximum(seam, before, out=seam)
    return ordered


@dataclass(frozen=True, eq=False)
class SeamCosts:
    """The minimum cost (h, w) of a seam from top to bottom through each pixel.

    `up` and `down` (h, w) are the horizontal steps of that seam from each pixel to the rows above and below.
    """

    cost: Plane
    up: NDArray[np.int8]
    down: NDArray[np.int8]

    def trace(self, row: int, column: int) -> Columns:
        """The columns (h,) of the cheapest seam through a pixel."""
        above, below = trace_path(self.up[: row + 1], column), trace_path(self.down[row:][::-1], column)
        return np.concatenate([above, below[::-1][1:]])


def find_seam_costs(inks: list[Mask], entries: list[float], pixels: list[float]) -> list[SeamCosts]:
    """The seam costs of each of `inks` (h, w), with its cost to enter ink and its cost per pixel of ink."""
    count = len(inks)
    stacked = np.stack([*inks, *(ink[::-1] for ink in inks)], axis=1)  # (h, 2 * count, w)
    entry, pixel = (np.array([*values, *values], np.float32)[:, None] for values in (entries, pixels))
    totals, steps = accumulate_costs(stacked, entry, pixel)
    own = stacked * (entry + pixel)  # counted in both directions
    return [
        SeamCosts(
            totals[:, number] + totals[::-1, count + number] - own[:, number],
            steps[:, number],
            steps[::-1, count + number],
        )
        for number in range(count)
    ]


def accumulate_costs(ink: Mask, entry: Plane, pixel: Plane) -> tuple[Plane, NDArray[np.int8]]:
    """The minimum cost of a path from the first row to each pixel (h, count, w), and its last step.

    `ink` is (h, count, w); `entry` and `pixel` are the costs of each plane, (count, 1).
    """
    total = (ink * pixel).astype(np.float32)
    total[0] += ink[0] * entry
    steps = np.zeros(ink.shape, np.int8)
    # Costs to reach paper or ink; straight, from the left, from the right.
    moves = np.full((2, 3, *ink.shape[1:]), np.inf, np.float32)
    for row in range(1, ink.shape[0]):
        entering = total[row - 1] + np.where(ink[row - 1], np.float32(0), entry)
        for move, before in zip(moves, (total[row - 1], entering), strict=True):
            move[0] = before
            move[1, :, 1:], move[2, :, :-1] = before[:, :-1] + STEP_COST, before[:, 1:] + STEP_COST
        here = np.where(ink[row], moves[1], moves[0])
        best = here.argmin(axis=0)
        steps[row] = STEPS[best]
        total[row] += np.take_along_axis(here, best[None], axis=0)[0]
    return total, steps


def trace_path(steps: NDArray[np.int8], column: int) -> Columns:
    """The columns (h,) of the cheapest path that ends at `column` in the last row."""
    path = np.empty(steps.shape[0], np.int64)
    for row in range(steps.shape[0] - 1, -1, -1):
        path[row] = column
        column += int(steps[row, column])
    return path
