"""Where connected strokes can be cut: seams from top to bottom with little ink in their way.

Minimal paths by dynamic programming, as in seam carving (Avidan and Shamir 2007).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import find_peaks

from lenet.images.framing import Mask, Plane

Columns = NDArray[np.int64]  # (h,): where a seam stands in each row
Seam = tuple[float, Columns]  # with its toll
ENTRY = 0.6  # what a seam pays to enter ink, in strokes; to cross one costs 1
LEAN = 0.02  # strokes: what a step aside costs a seam, so that it goes around ink, not jitter
LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # of a piece's height: where necks are looked for
LONGEST_NECK = 5.0  # strokes: digits lean against each other along so much of a wall
CLEAREST_NECK = 0.25  # strokes more on both sides
WIDE, MOST_FORCED = 0.65, 16  # of a piece's height: what is wider is cut without a neck; so often at most
SMALLEST_PART = 3.0  # strokes squared, of ink: seams that part less are one
STEPS = np.array([0, -1, 1], np.int8)


def find_seams(masks: list[Mask], stroke: float) -> list[list[Columns]]:
    """For each piece the columns (height,) at which seams cut its rows, from left to right.

    Seams go through necks, where the piece with its holes filled is thin, and through holes, which may lie
    between two digits as well as in one. All pieces stand on one canvas, so that one sweep serves them all.
    """
    apart = 4
    height = max(mask.shape[0] for mask in masks) + 2
    width = sum(mask.shape[1] + apart for mask in masks) + apart
    drawn = np.zeros((height, width), np.bool_)
    corners = []
    left = apart
    for mask in masks:
        top = (height - mask.shape[0]) // 2
        corners.append((top, left))
        drawn[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        left += mask.shape[1] + apart
    filled = ndimage.binary_fill_holes(drawn)
    necks, holes = find_ways([filled, drawn], [0, ENTRY], [1 / stroke, (1 - ENTRY) / stroke])
    labels, count = ndimage.label(filled & ~drawn)
    areas = np.bincount(labels.ravel())[1:]
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, np.arange(1, count + 1))).reshape(-1, 2)
    middles = centres[areas >= stroke**2].astype(np.int64).tolist()
    found = []
    for mask, (top, left) in zip(masks, corners, strict=True):
        rows, columns = mask.shape
        seams: list[Seam] = []
        for row in (top + int(level * rows) for level in LEVELS):
            profile = necks.toll[row, left - 1 : left + columns + 1]
            valleys, _ = find_peaks(-profile, prominence=CLEAREST_NECK)
            for valley in valleys[profile[valleys] <= LONGEST_NECK].tolist():
                seams.append((float(profile[valley]), necks.trace(row, left - 1 + valley)))
        for row, column in middles:
            if left <= column < left + columns:
                seams.append((float(holes.toll[row, column]), holes.trace(row, column)))
        middle = top + rows // 2
        for column in find_wide(holes.toll[middle, left : left + columns], seams, middle, left, rows):
            seams.append((float(holes.toll[middle, column]), holes.trace(middle, column)))
        within = [(toll, path[top : top + rows] - left) for toll, path in seams]
        found.append(sort_seams(within, mask, SMALLEST_PART * stroke**2))
    return found


def find_wide(toll: Plane, seams: list[Seam], row: int, left: int, height: int) -> list[int]:
    """Columns that part what is too wide for one digit: the cheapest in the middle half of each part."""
    ends = sorted({left, left + toll.size, *(int(path[row]) for _, path in seams)})
    columns: list[int] = []
    for _ in range(MOST_FORCED):
        wide = [(end - start, start) for start, end in pairwise(ends) if end - start > WIDE * height]
        if not wide:
            break
        width, start = max(wide)
        inner = start + width // 4
        column = inner + int(np.argmin(toll[inner - left : inner - left + width // 2]))
        columns.append(column)
        ends = sorted({*ends, column})
    return columns


def sort_seams(seams: list[Seam], mask: Mask, smallest: float) -> list[Columns]:
    """From left to right, never crossing, without those that part too little from a cheaper one."""
    left_of = np.concatenate([np.zeros((mask.shape[0], 1), np.int64), np.cumsum(mask, axis=1)], axis=1)
    rows = np.arange(mask.shape[0])

    def parted(seam: Columns) -> int:
        return int(left_of[rows, np.clip(seam, 0, mask.shape[1])].sum())

    whole = int(mask.sum())
    kept: list[tuple[int, Columns]] = []
    for _, seam in sorted(seams, key=lambda one: one[0]):
        area = parted(seam)
        if all(abs(area - other) >= smallest for other in (0, whole, *(other for other, _ in kept))):
            kept.append((area, seam))
    ordered = [seam for _, seam in sorted(kept, key=lambda one: one[0])]
    for before, seam in pairwise(ordered):
        np.maximum(seam, before, out=seam)
    return ordered


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways from the top of ink to its bottom, through any place, at the least toll: `toll` (h, w).

    `up` and `down` (h, w) are the steps aside from each place to the row above, and to the row below.
    """

    toll: Plane
    up: NDArray[np.int8]
    down: NDArray[np.int8]

    def trace(self, row: int, column: int) -> Columns:
        """The columns (h,) of the best way through a place."""
        above, below = trace_seam(self.up[: row + 1], column), trace_seam(self.down[row:][::-1], column)
        return np.concatenate([above, below[::-1][1:]])


def find_ways(inks: list[Mask], entries: list[float], pixels: list[float]) -> list[Ways]:
    """The ways through each of `inks` (h, w): an entry is paid into ink, and for every pixel of it."""
    count = len(inks)
    stacked = np.stack([*inks, *(ink[::-1] for ink in inks)], axis=1)  # (h, 2 * count, w)
    entry, pixel = (np.array([*values, *values], np.float32)[:, None] for values in (entries, pixels))
    totals, steps = sweep(stacked, entry, pixel)
    own = stacked * (entry + pixel)  # paid in both directions
    return [
        Ways(
            totals[:, number] + totals[::-1, count + number] - own[:, number],
            steps[:, number],
            steps[::-1, count + number],
        )
        for number in range(count)
    ]


def sweep(ink: Mask, entry: Plane, pixel: Plane) -> tuple[Plane, NDArray[np.int8]]:
    """The least toll on a way from the first row to each place (h, count, w), and the steps to it.

    All of `ink` (h, count, w) is swept at once, each plane with its own tolls (count, 1).
    """
    total = (ink * pixel).astype(np.float32)
    total[0] += ink[0] * entry
    steps = np.zeros(ink.shape, np.int8)
    # To paper or ink; straight, from left, from right.
    ways = np.full((2, 3, *ink.shape[1:]), np.inf, np.float32)
    for row in range(1, ink.shape[0]):
        entering = total[row - 1] + np.where(ink[row - 1], np.float32(0), entry)
        for way, before in zip(ways, (total[row - 1], entering), strict=True):
            way[0], way[1, :, 1:], way[2, :, :-1] = before, before[:, :-1] + LEAN, before[:, 1:] + LEAN
        here = np.where(ink[row], ways[1], ways[0])
        best = here.argmin(axis=0)
        steps[row] = STEPS[best]
        total[row] += np.take_along_axis(here, best[None], axis=0)[0]
    return total, steps


def trace_seam(steps: NDArray[np.int8], column: int) -> Columns:
    """The columns (h,) of the best way that ends at `column` in the last row."""
    path = np.empty(steps.shape[0], np.int64)
    for row in range(steps.shape[0] - 1, -1, -1):
        path[row] = column
        column += int(steps[row, column])
    return path
