"""Strokes for the drawing surface, traced from pictures of handwriting: a thinned line, walked along."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Mask = NDArray[np.bool_]
Stroke = list[tuple[int, int]]  # x, y in pixels of the surface
PAD, DIGIT, FINE = 280, 190, 70  # pixels: the surface, the digit on it, the digit that is thinned
# The eight neighbours of a pixel, clockwise from above: (row, column).
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def choose_writers(pictures: Path, count: int) -> dict[str, dict[str, Path]]:
    """The first writers of the half that may be looked at who drew all ten digits: a picture a digit."""
    writers: dict[str, dict[str, Path]] = {}
    with (pictures / "digits.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["half"] == "seen" and row["kind"] == "drawn":
                writers.setdefault(row["repo"], {}).setdefault(row["label"], pictures / "digits" / row["file"])
    complete = [(name, digits) for name, digits in sorted(writers.items()) if len(digits) == 10]
    return dict(complete[:count])


def trace_strokes(picture: Path) -> list[Stroke]:
    """The strokes of the digit in a picture with an even background, in the middle of the surface."""
    grey = np.asarray(Image.open(picture).convert("L"), dtype=np.float32)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.abs(grey - np.median(border))
    rows, columns = np.nonzero(ink > ink.max() / 2)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    scale = FINE / max(box[2] - box[0], box[3] - box[1])
    size = tuple(max(3, round(float(side) * scale)) for side in (box[2] - box[0], box[3] - box[1]))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC, tuple(map(float, box))))
    line = thin(np.pad(small > ink.max() / 2, 2))
    zoom = DIGIT / FINE
    left, top = ((PAD - side * zoom) / 2 for side in line.shape[::-1])
    return [[(round(left + x * zoom), round(top + y * zoom)) for y, x in walk] for walk in find_walks(line)]


def thin(mask: Mask) -> Mask:
    """A line of one pixel in the middle of the ink (Zhang and Suen 1984)."""
    mask = ndimage.binary_closing(mask)
    while True:
        before = mask.sum()
        for step in (0, 1):
            near = np.stack([np.roll(mask, (-y, -x), (0, 1)) for y, x in AROUND])
            count = near.sum(0)
            turns = ((~near) & np.roll(near, -1, 0)).sum(0)
            a, b, c, d = near[0], near[2], near[4], near[6]
            open_ = (~(a & b & c) & ~(b & c & d)) if step == 0 else (~(a & b & d) & ~(a & c & d))
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & open_)
        if mask.sum() == before:
            return mask


def find_walks(line: Mask) -> Iterator[list[tuple[int, int]]]:
    """Walks along a thinned line that together cross every pixel of it, from ends where there are any."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(line), strict=True)}
    around = sorted(AROUND, key=lambda step: abs(step[0]) + abs(step[1]))  # straight before diagonal
    while left:
        near = {p: [(p[0] + y, p[1] + x) for y, x in around if (p[0] + y, p[1] + x) in left] for p in left}
        place = min(left, key=lambda p: (len(near[p]) != 1, p))
        walk = [place]
        left.discard(place)
        while following := [q for q in near[place] if q in left]:
            place = min(following, key=lambda q: bend(walk, q))
            walk.append(place)
            left.discard(place)
        if len(walk) > 4 or not line.sum() > 40:
            # The start of a branch was walked already: begin at it.
            yield walk


def bend(walk: list[tuple[int, int]], place: tuple[int, int]) -> float:
    """How much a walk would turn to go to a place: 0 is straight on."""
    if len(walk) < 4:
        return abs(place[0] - walk[-1][0]) + abs(place[1] - walk[-1][1])
    before = np.subtract(walk[-1], walk[-4])
    step = np.subtract(place, walk[-1])
    return -float(before @ step) / float(np.hypot(*before) * np.hypot(*step) or 1)
