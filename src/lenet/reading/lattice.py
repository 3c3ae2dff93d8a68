"""The recognition graph: every run of neighbouring segments that may be one digit, each as a crop.

After Bengio, LeCun and Henderson's segmentation graph (LeCun et al. 1998, section V): nodes are the places
between segments, an arc is a run of segments, and a path from end to end is a way to read the line.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import DIGIT_SIDE, Mask, Plane, draw_strokes, frame_strokes, widen
from lenet.reading.lines import MOST_PIECES, find_lines
from lenet.reading.segments import TEXT_HEIGHT, Labels, SegmentedLine, segment_line

LONGEST_RUN = 6  # segments
SHORTEST_DIGIT = 0.3  # of the text's height
WIDEST_DIGIT = 2.0  # of the text's height
WIDEST_GAP = 0.3  # of the text's height, within a digit


@dataclass(frozen=True, eq=False)
class Arc:
    """Segments `first` to `last`, taken for a digit: image (28, 28) uint8, white on black.

    `height` is its own, `gap` the widest between pieces of it that stand side by side, in text heights.
    """

    first: int
    last: int
    image: NDArray[np.uint8]
    height: float = 1.0
    gap: float = 0.0


@dataclass(frozen=True, eq=False)
class Lattice:
    """All segments in reading order, and the arcs over them.

    For each segment: its height as a share of the text's, the connected piece that it was cut from, and its
    box in the picture (count, 4), left, top, right and bottom. `strokes` (h, w) are the picture's pixels:
    0 where there is no segment, else its number and 1.
    """

    arcs: tuple[Arc, ...]
    heights: NDArray[np.float64]
    pieces: NDArray[np.int64]
    boxes: NDArray[np.int64]
    strokes: Labels

    def box(self, arc: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of an arc."""
        boxes = self.boxes[self.arcs[arc].first : self.arcs[arc].last + 1]
        left, top = boxes[:, :2].min(axis=0).tolist()
        right, bottom = boxes[:, 2:].max(axis=0).tolist()
        return left, top, right - left, bottom - top


def build_lattice(contrast: Plane, strokes: Mask) -> Lattice:
    """The graph of all that is written in a picture: contrast (h, w) and the mask of its strokes."""
    arcs: list[Arc] = []
    heights, pieces, boxes = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros((0, 4), np.int64)]
    numbered = np.zeros(strokes.shape, np.int32)
    count = 0
    for writing in find_lines(strokes):
        line = segment_line(contrast[writing.rows, writing.columns], writing.strokes, writing.height)
        for first, last in find_runs(line):
            high = np.ptp(line.boxes[first : last + 1, 1::2]) / TEXT_HEIGHT
            gap = widest_gap(line.boxes[first : last + 1]) / TEXT_HEIGHT
            image = draw_run(line, first, last)
            arcs.append(Arc(first + count, last + count, image, float(high), gap))
        heights.append((line.boxes[:, 3] - line.boxes[:, 1]) / TEXT_HEIGHT)
        pieces.append(line.pieces.astype(np.int64) + MOST_PIECES * len(pieces))
        boxes.append(line.places + [writing.columns.start, writing.rows.start] * 2)
        here = numbered[writing.rows, writing.columns]
        here[line.strokes > 0] = line.strokes[line.strokes > 0] + count
        count += len(line.boxes)
    joined = np.concatenate(heights), np.concatenate(pieces), np.concatenate(boxes)
    return Lattice(tuple(arcs), *joined, numbered)


def find_runs(line: SegmentedLine) -> list[tuple[int, int]]:
    """First and last of all runs of segments with a digit's size, in order."""
    runs = []
    for first in range(len(line.boxes)):
        for last in range(first, min(first + LONGEST_RUN, len(line.boxes))):
            boxes = line.boxes[first : last + 1]
            left, top = boxes[:, :2].min(axis=0)
            right, bottom = boxes[:, 2:].max(axis=0)
            too_wide = last > first and right - left > WIDEST_DIGIT * TEXT_HEIGHT
            if too_wide or widest_gap(boxes) > WIDEST_GAP * TEXT_HEIGHT:
                break
            if bottom - top >= SHORTEST_DIGIT * TEXT_HEIGHT:
                runs.append((first, last))
    return runs


def widest_gap(boxes: NDArray[np.int64]) -> float:
    """The most columns of paper between neighbouring boxes (count, 4); 0 where they touch or overlap."""
    boxes = boxes[np.argsort(boxes[:, 0])]
    return float((boxes[1:, 0] - np.maximum.accumulate(boxes[:-1, 2])).max(initial=0))


def draw_run(line: SegmentedLine, first: int, last: int) -> NDArray[np.uint8]:
    """A run of segments as MNIST made its images, with strokes of MNIST's widths: (28, 28) uint8."""
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
