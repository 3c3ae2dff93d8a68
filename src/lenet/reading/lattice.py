"""The segmentation graph (lattice): every run of neighbouring segments that may be a digit, as a crop.

After LeCun et al. 1998, section V: the nodes are the gaps between segments, an arc is a run of segments, and
a path from the first to the last node is a segmentation of the line into digits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet.errors import PictureError
from lenet.images.framing import DIGIT_SIDE, Mask, Plane, draw_strokes, frame_strokes, widen
from lenet.reading.lines import MAX_PIECES, find_lines
from lenet.reading.segments import TEXT_HEIGHT, Labels, SegmentedLine, segment_line

MAX_RUN = 6  # segments
MIN_DIGIT_HEIGHT = 0.3  # text heights
MAX_DIGIT_WIDTH = 2.0  # text heights
MAX_GAP = 0.3  # text heights, within a digit
MAX_ARCS = 2000  # of a picture: about two seconds
MAX_DRAWN = 20_000_000  # pixels of all arcs before they are reduced to images: about a second


@dataclass(frozen=True, eq=False)
class Arc:
    """Segments `first` to `last` as one digit: image uint8 (28, 28), white on black.

    `height` is the digit's height and `gap` the widest gap between its segments, both in text heights.
    """

    first: int
    last: int
    image: NDArray[np.uint8]
    height: float = 1.0
    gap: float = 0.0


@dataclass(frozen=True, eq=False)
class Lattice:
    """All segments in reading order, and the arcs over them.

    Per segment: `heights` (count,) in text heights; `pieces` (count,), the number of the connected component
    that it was cut from; `boxes` (count, 4), left, top, right and bottom in pixels of the picture. `strokes`
    (h, w) holds 0 for paper, else the number of the segment plus 1.
    """

    arcs: tuple[Arc, ...]
    heights: NDArray[np.float64]
    pieces: NDArray[np.int64]
    boxes: NDArray[np.int64]
    strokes: Labels

    def box(self, arc: int) -> tuple[int, int, int, int]:
        """The box of an arc: left, top, width and height, in pixels."""
        boxes = self.boxes[self.arcs[arc].first : self.arcs[arc].last + 1]
        left, top = boxes[:, :2].min(axis=0).tolist()
        right, bottom = boxes[:, 2:].max(axis=0).tolist()
        return left, top, right - left, bottom - top


def build_lattice(contrast: Plane, strokes: Mask) -> Lattice:
    """Build the graph of a picture from its contrast (h, w) and the mask of its strokes (h, w).

    Raises PictureError when reading would take more than a few seconds.
    """
    arcs: list[Arc] = []
    heights, pieces, boxes = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros((0, 4), np.int64)]
    numbered = np.zeros(strokes.shape, np.int32)
    count, drawn = 0, 0
    for writing in find_lines(strokes):
        line = segment_line(contrast[writing.rows, writing.columns], writing.strokes, writing.height)
        runs = find_runs(line)
        drawn += sum(measure_area(line.boxes[first : last + 1]) for first, last in runs)
        if drawn > MAX_DRAWN or len(arcs) + len(runs) > MAX_ARCS:
            raise PictureError(
                "too many marks in too many ways to read them; crop the picture to the writing"
            )
        for first, last in runs:
            high = np.ptp(line.boxes[first : last + 1, 1::2]) / TEXT_HEIGHT
            gap = find_widest_gap(line.boxes[first : last + 1]) / TEXT_HEIGHT
            image = draw_run(line, first, last)
            arcs.append(Arc(first + count, last + count, image, float(high), gap))
        heights.append((line.boxes[:, 3] - line.boxes[:, 1]) / TEXT_HEIGHT)
        pieces.append(line.pieces.astype(np.int64) + MAX_PIECES * len(pieces))
        boxes.append(line.places + [writing.columns.start, writing.rows.start] * 2)
        here = numbered[writing.rows, writing.columns]
        here[line.strokes > 0] = line.strokes[line.strokes > 0] + count
        count += len(line.boxes)
    joined = np.concatenate(heights), np.concatenate(pieces), np.concatenate(boxes)
    return Lattice(tuple(arcs), *joined, numbered)


def find_runs(line: SegmentedLine) -> list[tuple[int, int]]:
    """The first and the last segment of every run that has the size of a digit, in order."""
    runs = []
    for first in range(len(line.boxes)):
        for last in range(first, min(first + MAX_RUN, len(line.boxes))):
            boxes = line.boxes[first : last + 1]
            left, top = boxes[:, :2].min(axis=0)
            right, bottom = boxes[:, 2:].max(axis=0)
            too_wide = last > first and right - left > MAX_DIGIT_WIDTH * TEXT_HEIGHT
            if too_wide or find_widest_gap(boxes) > MAX_GAP * TEXT_HEIGHT:
                break
            if bottom - top >= MIN_DIGIT_HEIGHT * TEXT_HEIGHT:
                runs.append((first, last))
    return runs


def find_widest_gap(boxes: NDArray[np.int64]) -> float:
    """The maximum number of empty columns between neighbouring boxes (count, 4); 0 if there are none."""
    boxes = boxes[np.argsort(boxes[:, 0])]
    return float((boxes[1:, 0] - np.maximum.accumulate(boxes[:-1, 2])).max(initial=0))


def measure_area(boxes: NDArray[np.int64]) -> int:
    """The pixels in the box around boxes (count, 4)."""
    return int(np.prod(boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)))


def draw_run(line: SegmentedLine, first: int, last: int) -> NDArray[np.uint8]:
    """A run of segments in MNIST's framing and with MNIST's stroke widths: uint8 (28, 28)."""
    boxes = line.boxes[first : last + 1]
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    unit = max(right - left, bottom - top) / DIGIT_SIDE
    stroke = 4 * line.deep[first : last + 1].sum() / line.ink[first : last + 1].sum()
    reach = int(np.ceil(max(widen(stroke, unit), 0) + 1))
    rows = slice(max(0, top - reach), bottom + reach)
    columns = slice(max(0, left - reach), right + reach)
    owner = line.owner[rows, columns]
    pen = draw_strokes(line.depth[rows, columns], stroke, unit)
    pen[(owner < first) | (owner > last)] = 0
    return frame_strokes(pen)
