"""Where the digits of a line are: their boxes, and their images for a network that names single digits."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import SIDE, Mask, Plane, frame_digit
from lenet.images.strips import Strip
from lenet.models.line_config import COLUMNS_PER_FRAME, ROWS
from lenet.reading.lines import Writing

REACH = 16  # columns of the strip from the middle of a digit: what is farther away does not belong to it
WHOLE = 0.7  # of a component on one side of a cut: it is not cut there
OFF_CENTRE = 16.0  # rows of ink that a cut at the middle of a digit, not between two, is worth


@dataclass(frozen=True, eq=False)
class Line:
    """One line of writing: its ink in the plane of contrast, and its strip."""

    writing: Writing
    strip: Strip


@dataclass(frozen=True, eq=False)
class Piece:
    """The ink of one digit: rows and columns (n,) of its pixels in the plane, and its box.

    `box` is left, top, right, bottom in pixels of the plane.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    box: tuple[float, float, float, float]


def divide_line(line: Line, spans: list[slice]) -> list[Piece]:
    """The ink of each digit of a line, from the frames of the digits in their order.

    Neighbours are divided where the strip has the least ink between them. Components that lie mostly on one
    side stay whole, since leaning digits reach over each other.
    """
    rows, columns = np.nonzero(line.writing.strokes)
    _, labels = cv2.connectedComponents(line.writing.strokes.view(np.uint8))
    parts = labels[rows, columns]
    rows, columns = rows + line.writing.rows.start, columns + line.writing.columns.start
    turn, shift = line.strip.matrix[:, :2], line.strip.matrix[:, 2]
    across = ((np.column_stack([columns, rows]) + 0.5 - shift) @ np.linalg.inv(turn).T)[:, 0]
    middles = np.array([(span.start + span.stop) / 2 * COLUMNS_PER_FRAME for span in spans])
    cuts = find_cuts(line.strip.image, middles.tolist())
    owners = np.searchsorted(cuts, across, side="right")
    shares = np.zeros((int(parts.max()) + 1, len(spans)))
    np.add.at(shares, (parts, owners), 1)
    whole = shares.max(axis=1) >= WHOLE * shares.sum(axis=1)
    owners = np.where(whole[parts], shares.argmax(axis=1)[parts], owners)
    owners[np.abs(across - middles[owners]) > REACH] = -1
    pieces = []
    for number, (first, last) in enumerate(pairwise([-np.inf, *cuts, np.inf])):
        own = owners == number
        if own.any():
            y, x = rows[own], columns[own]
            box = float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)
        else:  # ink too faint to be found
            y, x = rows[:0], columns[:0]
            ends = max(first, middles[number] - REACH), min(last, middles[number] + REACH)
            corners = np.array([(a, b) for a in ends for b in (0, ROWS)]) @ turn.T + shift
            (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
            box = float(left), float(top), float(right), float(bottom)
        pieces.append(Piece(y, x, box))
    return pieces


def find_cuts(strip: NDArray[np.uint8], middles: list[float]) -> list[float]:
    """The columns that divide neighbouring digits, given the middle of each.

    Least ink divides them, and halfway between the middles rather than in the hollow of a digit.
    """
    ink = cv2.blur(strip.sum(axis=0, dtype=np.float32)[None] / 255, (3, 1))[0]
    cuts = []
    for left, right in pairwise(middles):
        columns = np.arange(int(left), max(int(right), int(left) + 1)) + 0.5
        aside = (2 * columns - left - right) / max(right - left, 1)
        cost = ink[columns.astype(int).clip(0, len(ink) - 1)] + OFF_CENTRE * aside**2
        cuts.append(float(columns[cost.argmin()]))
    return cuts


def cut_components(line: Line) -> list[Piece]:
    """The connected components of a line from left to right, those above each other as one.

    For networks whose classes are no digits, which the line network does not know.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(line.writing.strokes.astype(np.uint8))
    boxes = sorted(
        (int(left), int(left + width), number)
        for number, (left, _, width, _, _) in enumerate(stats)
        if number
    )
    groups: list[tuple[int, list[int]]] = []
    for left, right, number in boxes:
        if groups and left < groups[-1][0] - 0.5 * min(right - left, groups[-1][0] - left):
            groups[-1] = max(groups[-1][0], right), [*groups[-1][1], number]
        else:
            groups.append((right, [number]))
    pieces = []
    for _, numbers in groups:
        y, x = np.nonzero(np.isin(labels, numbers))
        y, x = y + line.writing.rows.start, x + line.writing.columns.start
        pieces.append(Piece(y, x, (float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))))
    return pieces


def frame_piece(contrast: Plane, piece: Piece) -> NDArray[np.uint8]:
    """A digit in MNIST's framing and with MNIST's stroke widths: uint8 (28, 28); blank without ink."""
    if not piece.rows.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    top, left = int(piece.rows.min()) - 1, int(piece.columns.min()) - 1  # with a margin of one pixel
    own: Mask = np.zeros((int(np.ptp(piece.rows)) + 3, int(np.ptp(piece.columns)) + 3), np.bool_)
    own[piece.rows - top, piece.columns - left] = True
    around = cv2.dilate(own.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    padded = np.zeros(own.shape, np.float32)
    inside = contrast[max(top, 0) : top + own.shape[0], max(left, 0) : left + own.shape[1]]
    padded[-min(top, 0) :, -min(left, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    level = max(float(np.quantile(padded[own], 0.7)), 1e-3)
    return frame_digit(np.where(around, np.clip(padded / level, 0, 1), np.float32(0)))
