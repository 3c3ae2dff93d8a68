"""Finds printed lines under and around writing: ruled lines, grids, boxes. Strokes that cross them are kept.

A printed line is straight and thin, and reaches the edges of the paper or forms a box around ink. A stroke of
a digit in a tight crop can do so too; `is_printed` combines several criteria to separate the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import EIGHT_CONNECTED, Mask

SLOPES = np.linspace(-0.06, 0.06, 49)  # of lines, since photographs are not exactly level
SEARCH_SIDE = 256  # pixels: adjacent slopes then differ by half a pixel from end to end
MIN_COVERAGE = 0.6  # of the width; the rest of a line is faint or under strokes
EDGE_MARGIN = 0.04  # of the width: the maximum distance of a line's ends from the edges
SAME_LINE = 3  # line thicknesses: rows this close belong to one line
WIDE_ASPECT = 1.3  # width to height: in wider pictures no stroke of a digit spans the width
MAX_LINE_WIDTH = 0.4  # of the stroke width: printed lines are thinner than pens
MIN_MARGIN, MAX_HEIGHT = 0.15, 0.7  # of the picture: writing within these is not a tight crop
MAX_THICKNESS_RATIO = 1.5  # of the lines of one print
MIN_GRID_LINES = 3  # lines from edge to edge: more than any digit has
MAX_SIDE_TILT, MAX_SIDE_THICKNESS = 0.06, 0.1  # of a box's side
MIN_SIDE_COVERAGE = 0.85
MIN_BOX_SIDE = 24  # pixels: smaller boxes cannot be distinguished from the strokes of a digit
MIN_BOX_CONTENT = 0.3  # of a box's height; the bar of an 8 is lower


@dataclass(frozen=True, eq=False)
class Lines:
    """Horizontal lines: their pixels (h, w) without crossing strokes, count, and thickness in pixels."""

    pixels: Mask
    count: int
    thickness: float


@dataclass(frozen=True, eq=False)
class Box:
    """A printed box: the pixels of its sides (h, w), and the rows and columns of its inside."""

    sides: Mask
    within: tuple[slice, slice]


def find_ruled_lines(ink: Mask) -> Mask:
    """The pixels of `ink` (h, w) that are printed lines."""
    level = find_level_lines(ink)
    ruled: Mask = np.zeros_like(ink)
    if level.count and is_printed(level, ink):
        ruled |= level.pixels
    upright = find_level_lines(ink.T)
    grid = level.count >= 2 and ruled.any()
    if upright.count and (grid or upright.count >= MIN_GRID_LINES):
        strokes = ink & ~ruled & ~upright.pixels.T
        # The stems of digits in a tight crop also span the height; print is thinner, or like the level lines.
        similar = grid and upright.thickness <= MAX_THICKNESS_RATIO * level.thickness
        if strokes.any() and (similar or upright.thickness <= MAX_LINE_WIDTH * measure_stroke_width(strokes)):
            ruled |= upright.pixels.T
    ruled |= find_printed_boxes(ink & ~ruled)
    if ruled.any():
        ruled |= find_crossings(ink & ~ruled, ruled)
    return ruled


def find_crossings(rest: Mask, ruled: Mask) -> Mask:
    """The specks that remain where ruled lines cross or thicken; they touch the lines and are as small."""
    labels: NDArray[np.int32]
    labels, count = ndimage.label(rest, EIGHT_CONNECTED)
    thickness = measure_stroke_width(ruled)
    touching = np.bincount(labels[ndimage.binary_dilation(ruled, EIGHT_CONNECTED)], minlength=count + 1) > 0
    specks = np.zeros(count + 1, dtype=np.bool_)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        specks[label] = max(side.stop - side.start for side in box) <= SAME_LINE * thickness
    return np.asarray((specks & touching)[labels])


def find_level_lines(ink: Mask) -> Lines:
    """The nearly horizontal lines from the left to the right edge; all have the same slope."""
    height, width = ink.shape
    nothing = Lines(np.zeros_like(ink), 0, 0.0)
    if min(ink.shape) < MIN_BOX_SIDE or ink.any(axis=0).mean() <= MIN_COVERAGE:
        return nothing
    slope, covered = find_slope(ink)
    if covered < MIN_COVERAGE:
        return nothing
    shift = compute_shift(width, slope)
    rows = np.arange(height)[:, None] + shift  # (h, w): the row of each pixel after levelling
    level = np.zeros((height + int(shift.max()), width), dtype=np.bool_)
    np.put_along_axis(level, rows, ndimage.binary_dilation(ink, np.ones((3, 1), dtype=np.bool_)), axis=0)
    edge = max(2, round(EDGE_MARGIN * width))
    across = (level.mean(axis=1) > MIN_COVERAGE) & level[:, :edge].any(axis=1) & level[:, -edge:].any(axis=1)
    lying = np.asarray(across[rows] & ink)
    if not lying.any():
        return nothing
    runs = measure_runs(ink)
    thickness = measure_thickness(lying, runs, axis=0)
    groups = np.flatnonzero(across)
    count = 1 + int((np.diff(groups) > SAME_LINE * thickness).sum())
    # Vertical runs longer than twice the line's thickness are strokes that cross it.
    return Lines(lying & (runs <= 2 * thickness), count, thickness)


def measure_thickness(line: Mask, runs: NDArray[np.int64], axis: int) -> float:
    """The thickness of a line in pixels: the median of the shortest runs, as crossing strokes are longer."""
    shortest = np.where(line, runs, runs.size).min(axis=axis)
    return float(np.median(shortest[shortest < runs.size]))


def find_slope(ink: Mask) -> tuple[float, float]:
    """The slope with the most uneven distribution of ink over rows, and the coverage of the fullest row."""
    apart = -(-max(ink.shape) // SEARCH_SIDE)
    height, width = (side // apart for side in ink.shape)
    blocks = ink[: height * apart, : width * apart].reshape(height, apart, width, apart)
    rows, columns = np.nonzero(blocks.any(axis=(1, 3)))
    counts = [np.bincount(rows + compute_shift(width, slope)[columns], minlength=2) for slope in SLOPES]
    best = int(np.argmax([np.square(count).sum() for count in counts]))
    covered = (counts[best][1:] + counts[best][:-1]).max() / width  # a line may lie on two rows
    return float(SLOPES[best]), float(covered)


def compute_shift(width: int, slope: float) -> NDArray[np.int64]:
    """The rows, 0 or more, by which each column moves down to level `slope`: (width,)."""
    shift = np.rint(slope * np.arange(width)).astype(np.int64)
    down: NDArray[np.int64] = shift - shift.min()
    return down


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


def is_printed(lines: Lines, ink: Mask) -> bool:
    """True when lines from side to side are printed; in a tight crop they may be strokes of a digit."""
    strokes = ink & ~lines.pixels
    if not strokes.any():
        return False
    height, width = ink.shape
    if width >= WIDE_ASPECT * height or lines.count >= MIN_GRID_LINES:
        return True
    pen = measure_stroke_width(strokes)
    tall = measure_runs(strokes) > 2 * lines.thickness  # excludes remains of lines
    if not tall.any():
        return False
    rows, columns = np.flatnonzero(tall.any(axis=1)), np.flatnonzero(tall.any(axis=0))
    margin = min(columns[0], width - 1 - columns[-1]) / width
    loose = margin > MIN_MARGIN and np.ptp(rows) < MAX_HEIGHT * height
    several = lines.count > 1 and margin > EDGE_MARGIN
    return bool(lines.thickness <= MAX_LINE_WIDTH * pen or loose or several)


def find_printed_boxes(ink: Mask) -> Mask:
    """The outlines (h, w) of upright rectangles that contain other ink."""
    outlines = np.zeros_like(ink)
    labels, _ = ndimage.label(ink, EIGHT_CONNECTED)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(height, width) < MIN_BOX_SIDE:
            continue
        ends = rows.start == 0, rows.stop == ink.shape[0], columns.start == 0, columns.stop == ink.shape[1]
        box = find_sides(labels[rows, columns] == label, ends)
        if box is not None and ink[rows, columns][box.within].any(axis=1).sum() >= MIN_BOX_CONTENT * height:
            outlines[rows, columns] |= box.sides
    return outlines


def find_sides(piece: Mask, open_sides: tuple[bool, bool, bool, bool]) -> Box | None:
    """The box that a connected component (h, w) forms; None if it forms none.

    `open_sides` is true for top, bottom, left or right if the component touches that edge of the picture,
    where a side may be missing. Strokes may cross the box, and its sides may tilt slightly.
    """
    rows, columns = find_bands(piece, *open_sides[:2]), find_bands(piece.T, *open_sides[2:])
    around = slice(rows[0].start, rows[1].stop), slice(columns[0].start, columns[1].stop)
    if any(2 * inner < outer for inner, outer in zip(piece[around].shape, piece.shape, strict=True)):
        return None
    sides = np.zeros_like(piece)
    upright, level, found = measure_runs(piece), measure_runs(piece.T).T, 0
    bands = [(band, around[1]) for band in rows] + [(around[0], band) for band in columns]
    for axis, band, runs, is_open in zip(
        (0, 0, 1, 1), bands, [upright] * 2 + [level] * 2, open_sides, strict=True
    ):
        if piece[band].any(axis=axis).mean() >= MIN_SIDE_COVERAGE:
            thickness = measure_thickness(piece[band], runs[band], axis)
            if thickness > max(2, MAX_SIDE_THICKNESS * min(piece.shape)):
                return None
            sides[band] |= piece[band] & (runs[band] <= 2 * thickness)
            found += 1
        elif not is_open:
            return None
    if found < 3:
        return None
    return Box(sides, (find_middle(around[0]), find_middle(around[1])))


def find_middle(side: slice) -> slice:
    """The middle two thirds of a side, where a round 0 has no ink, whatever counted as its sides."""
    margin = (side.stop - side.start) // 6
    return slice(side.start + margin, side.stop - margin)


def find_bands(piece: Mask, open_first: bool, open_last: bool) -> tuple[slice, slice]:
    """The bands of rows of the first and the last side; in each, most columns have ink."""
    height = piece.shape[0]
    deep = max(2, round(MAX_SIDE_TILT * height))
    near = ndimage.maximum_filter1d(piece, deep, axis=0, mode="constant")
    full = np.flatnonzero(near.mean(axis=1) > MIN_COVERAGE)
    first = 0 if open_first or not full.size else int(full[0])
    last = height if open_last or not full.size else int(full[-1]) + 1
    return slice(first, first + 2 * deep), slice(max(0, last - 2 * deep), last)
