"""Printed lines under and around writing: rulings, squared paper, boxes. Strokes that cross them stay whole.

A printed line is straight and thin and goes on to the edge of the paper, or closes to a box around ink. So
may a bar of a digit in a close crop; hence every way to tell the two apart is asked (`is_printed`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import Mask

SLOPES = np.linspace(-0.06, 0.06, 49)  # of lines: photographs are not quite level
SEARCH_SIDE = 256  # pixels: at that size neighbouring slopes differ by half a pixel from end to end
COVERED = 0.6  # of the way from edge to edge; the rest is faint, or below strokes
NEAR_EDGE = 0.04  # of the way: so near its ends a line comes
SAME_LINE = 3  # times its typical thickness: rows so near belong to one line
WIDE = 1.3  # width to height: in a picture so wide no bar of a digit goes from side to side
THIN = 0.4  # of the width of strokes: printed lines are thinner than pens
MARGIN, LOOSE = 0.15, 0.7  # of the picture: what leaves so much to both sides and in height is no close crop
ALIKE = 1.5  # times as thick: lines of one print differ by no more
SQUARED = 3  # lines from edge to edge: more than any digit has
SIDE_DEPTH, THICKEST_SIDE = 0.06, 0.1  # of a box: so far may its sides lean, so thick may they be
SIDE_COVERED = 0.85
SMALLEST_BOX = 24  # pixels a side: in less, print cannot be told from the strokes of a digit
WITHIN_BOX = 0.3  # of a box's height: what stands in it is no bar of an 8
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Lines:
    """Level lines: their pixels (h, w) without crossing strokes, how many, and how thick, in pixels."""

    pixels: Mask
    count: int
    thickness: float


@dataclass(frozen=True, eq=False)
class Box:
    """A printed box: the pixels of its sides (h, w), and the rows and columns well within them."""

    sides: Mask
    within: tuple[slice, slice]


def find_ruled_lines(ink: Mask) -> Mask:
    """The pixels of `ink` (h, w) that are printed lines and not strokes."""
    level = find_level_lines(ink)
    rulings: Mask = np.zeros_like(ink)
    if level.count and is_printed(level, ink):
        rulings |= level.pixels
    upright = find_level_lines(ink.T)
    squared = level.count >= 2 and rulings.any()
    if upright.count and (squared or upright.count >= SQUARED):
        strokes = ink & ~rulings & ~upright.pixels.T
        # The stems of digits in a close crop reach as far; print is thinner, or like the level lines.
        alike = squared and upright.thickness <= ALIKE * level.thickness
        if strokes.any() and (alike or upright.thickness <= THIN * typical_width(strokes)):
            rulings |= upright.pixels.T
    rulings |= find_printed_boxes(ink & ~rulings)
    if rulings.any():
        rulings |= find_crossings(ink & ~rulings, rulings)
    return rulings


def find_crossings(rest: Mask, rulings: Mask) -> Mask:
    """What is left where lines cross or thicken: specks beside them, as small as they are thick."""
    labels: NDArray[np.int32]
    labels, count = ndimage.label(rest, NEIGHBOURS)
    thickness = typical_width(rulings)
    touching = np.bincount(labels[ndimage.binary_dilation(rulings, NEIGHBOURS)], minlength=count + 1) > 0
    specks = np.zeros(count + 1, dtype=np.bool_)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        specks[label] = max(side.stop - side.start for side in box) <= SAME_LINE * thickness
    return np.asarray((specks & touching)[labels])


def find_level_lines(ink: Mask) -> Lines:
    """Nearly level lines from the left edge to the right, all of one slope."""
    height, width = ink.shape
    nothing = Lines(np.zeros_like(ink), 0, 0.0)
    if min(ink.shape) < SMALLEST_BOX or ink.any(axis=0).mean() <= COVERED:
        return nothing
    slope, covered = find_slope(ink)
    if covered < COVERED:
        return nothing
    shift = shift_of(width, slope)
    rows = np.arange(height)[:, None] + shift  # (h, w): the level row that each pixel is of
    level = np.zeros((height + int(shift.max()), width), dtype=np.bool_)
    np.put_along_axis(level, rows, ndimage.binary_dilation(ink, np.ones((3, 1), dtype=np.bool_)), axis=0)
    edge = max(2, round(NEAR_EDGE * width))
    across = (level.mean(axis=1) > COVERED) & level[:, :edge].any(axis=1) & level[:, -edge:].any(axis=1)
    lying = np.asarray(across[rows] & ink)
    if not lying.any():
        return nothing
    runs = run_lengths(ink)
    thickness = side_thickness(lying, runs, axis=0)
    groups = np.flatnonzero(across)
    count = 1 + int((np.diff(groups) > SAME_LINE * thickness).sum())
    # Ink that runs on above or below for more than a line's width is a stroke that crosses it.
    return Lines(lying & (runs <= 2 * thickness), count, thickness)


def side_thickness(line: Mask, runs: NDArray[np.int64], axis: int) -> float:
    """How thick a line is along its way: the median of the shortest runs, for strokes that meet it run on."""
    shortest = np.where(line, runs, runs.size).min(axis=axis)
    return float(np.median(shortest[shortest < runs.size]))


def find_slope(ink: Mask) -> tuple[float, float]:
    """The slope at which rows are inked most unevenly, that of any lines, and how full the fullest row is."""
    apart = -(-max(ink.shape) // SEARCH_SIDE)
    height, width = (side // apart for side in ink.shape)
    blocks = ink[: height * apart, : width * apart].reshape(height, apart, width, apart)
    rows, columns = np.nonzero(blocks.any(axis=(1, 3)))
    counts = [np.bincount(rows + shift_of(width, slope)[columns], minlength=2) for slope in SLOPES]
    crispest = int(np.argmax([np.square(count).sum() for count in counts]))
    covered = (counts[crispest][1:] + counts[crispest][:-1]).max() / width  # a line may lie on two rows
    return float(SLOPES[crispest]), float(covered)


def shift_of(width: int, slope: float) -> NDArray[np.int64]:
    """By how many rows each column goes down, 0 or more, to make `slope` level: (width,)."""
    shift = np.rint(slope * np.arange(width)).astype(np.int64)
    down: NDArray[np.int64] = shift - shift.min()
    return down


def run_lengths(ink: Mask) -> NDArray[np.int64]:
    """For each pixel of ink (h, w) how long the upright run of ink is that it stands in; else 0."""
    height, width = ink.shape
    padded = np.zeros((height + 2, width), dtype=np.int8)
    padded[1:-1] = ink
    change = np.diff(padded, axis=0).T  # (w, h + 1): 1 where a run begins, -1 behind its end
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    runs = np.zeros((width, height), dtype=np.int64)
    runs[ink.T] = np.repeat(ends - starts, ends - starts)
    return runs.T


def typical_width(ink: Mask) -> float:
    """How wide strokes mostly are, in pixels: the shorter of the upright and the level run of each pixel."""
    return float(np.median(np.minimum(run_lengths(ink)[ink], run_lengths(ink.T).T[ink])))


def is_printed(lines: Lines, ink: Mask) -> bool:
    """Whether lines from side to side are print: in a close crop a digit's own bar may go as far."""
    strokes = ink & ~lines.pixels
    if not strokes.any():
        return False
    height, width = ink.shape
    if width >= WIDE * height or lines.count >= SQUARED:
        return True
    pen = typical_width(strokes)
    tall = run_lengths(strokes) > 2 * lines.thickness  # and no rest of a line
    if not tall.any():
        return False
    rows, columns = np.flatnonzero(tall.any(axis=1)), np.flatnonzero(tall.any(axis=0))
    margin = min(columns[0], width - 1 - columns[-1]) / width
    apart = margin > MARGIN and np.ptp(rows) < LOOSE * height
    several = lines.count > 1 and margin > NEAR_EDGE
    return bool(lines.thickness <= THIN * pen or apart or several)


def find_printed_boxes(ink: Mask) -> Mask:
    """The outlines (h, w) of upright rectangles that stand around other ink."""
    outlines = np.zeros_like(ink)
    labels, _ = ndimage.label(ink, NEIGHBOURS)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(height, width) < SMALLEST_BOX:
            continue
        ends = rows.start == 0, rows.stop == ink.shape[0], columns.start == 0, columns.stop == ink.shape[1]
        box = find_sides(labels[rows, columns] == label, ends)
        if box is not None and ink[rows, columns][box.within].any(axis=1).sum() >= WITHIN_BOX * height:
            outlines[rows, columns] |= box.sides
    return outlines


def find_sides(piece: Mask, open_sides: tuple[bool, bool, bool, bool]) -> Box | None:
    """The box that a piece (h, w) is; None if it is none.

    `open_sides` says of top, bottom, left and right whether the picture ends there, and the box with it.
    Strokes may stick out of the box, and its sides may lean a little.
    """
    rows, columns = find_bands(piece, *open_sides[:2]), find_bands(piece.T, *open_sides[2:])
    around = slice(rows[0].start, rows[1].stop), slice(columns[0].start, columns[1].stop)
    if any(2 * inner < outer for inner, outer in zip(piece[around].shape, piece.shape, strict=True)):
        return None
    sides = np.zeros_like(piece)
    upright, level, found = run_lengths(piece), run_lengths(piece.T).T, 0
    bands = [(band, around[1]) for band in rows] + [(around[0], band) for band in columns]
    for axis, band, runs, is_open in zip(
        (0, 0, 1, 1), bands, [upright] * 2 + [level] * 2, open_sides, strict=True
    ):
        if piece[band].any(axis=axis).mean() >= SIDE_COVERED:
            thickness = side_thickness(piece[band], runs[band], axis)
            if thickness > max(2, THICKEST_SIDE * min(piece.shape)):
                return None
            sides[band] |= piece[band] & (runs[band] <= 2 * thickness)
            found += 1
        elif not is_open:
            return None
    if found < 3:
        return None
    return Box(sides, (middle_of(around[0]), middle_of(around[1])))


def middle_of(side: slice) -> slice:
    """The middle two thirds, where a round 0 has no ink left whatever its sides were taken for."""
    margin = (side.stop - side.start) // 6
    return slice(side.start + margin, side.stop - margin)


def find_bands(piece: Mask, open_first: bool, open_last: bool) -> tuple[slice, slice]:
    """The first and the last rows that most of the columns have ink near to, as deep as a side may lean."""
    height = piece.shape[0]
    deep = max(2, round(SIDE_DEPTH * height))
    near = ndimage.maximum_filter1d(piece, deep, axis=0, mode="constant")
    full = np.flatnonzero(near.mean(axis=1) > COVERED)
    first = 0 if open_first or not full.size else int(full[0])
    last = height if open_last or not full.size else int(full[-1]) + 1
    return slice(first, first + 2 * deep), slice(max(0, last - 2 * deep), last)
