"""Paper: what lies behind and beside the writing, the light on it, and the camera or scanner that took it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.synthesis.font_glyphs import Pen, Typeface, draw_character
from lenet.synthesis.hands import Ink
from lenet.synthesis.marks import add_line, bend_line
from lenet.synthesis.strings import Box, Written

Image = NDArray[np.uint8]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:"
PATTERN_SHARES = {"amount": 0.6}  # cheques are printed with patterns
OTHER_PATTERNS = 0.15
LIGHT_INK = 0.1  # of the pictures are light on dark


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture uint8 (h, w), what it shows, and the light (h, w) that fell on its paper, 0..1."""

    image: Image
    written: Written
    light: Ink
    inverted: bool


def photograph(written: Written, rng: np.random.Generator, typefaces: Sequence[Typeface] = ()) -> Picture:
    """Put a text on random paper: turned, worn, ruled, patterned, lit, blurred, noisy, compressed."""
    if rng.random() < 0.35:
        most = 3 if written.kind == "amount" else 5
        written = turn(written, rng.normal(0, most) if rng.random() < 0.6 else rng.uniform(-28, 28))
    ink = wear(written.ink, rng)
    extra = np.zeros_like(ink)
    for share, add in ADDITIONS:
        if rng.random() < share:
            add(extra, written, rng)
    if typefaces and rng.random() < 0.1:
        add_print(extra, written, rng, typefaces)
    ink = np.maximum(ink, extra)
    if rng.random() < PATTERN_SHARES.get(written.kind, OTHER_PATTERNS):
        pattern = draw_pattern(ink.shape, rng)
        ink = np.minimum(1, np.maximum(ink, pattern) + 0.3 * ink * pattern)
    paper, contrast = rng.uniform(0.55, 1), rng.uniform(0.25 if rng.random() < 0.35 else 0.45, 0.9)
    light = paper * draw_light(ink.shape, written.height, rng)
    grey = light * (1 - contrast * ink)
    if rng.random() < 0.05:
        add_border(grey, rng)
    image, inverted = expose(grey, written.height, paper * contrast, rng)
    return Picture(image, written, light, inverted)


def scan(written: Written, rng: np.random.Generator) -> Picture:
    """Put a text on clean paper, in full ink: at most ruled, under uneven light, blurred, noisy, compressed.

    Such pictures are about as hard to read as those that people take. Those of `photograph` are harder.
    """
    extra = np.zeros_like(written.ink)
    if rng.random() < 0.15:
        add_ruled_lines(extra, written, rng)
    paper, contrast = rng.uniform(0.55, 1), rng.uniform(0.4, 0.9)
    light = paper * draw_light(extra.shape, written.height, rng)
    ink: Ink = np.maximum(written.ink, extra)
    grey = light * (1 - contrast * ink)
    image, inverted = expose(grey, written.height, paper * contrast, rng)
    return Picture(image, written, light, inverted)


def turn(written: Written, degrees: float) -> Written:
    """Turn a text, and the centres of its boxes, counter-clockwise; the picture grows as needed."""
    height, width = written.ink.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    across, down = np.abs(matrix[0, :2])
    size = int(width * across + height * down) + 1, int(width * down + height * across) + 1
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    boxes = []
    for box in written.boxes:
        x, y = matrix @ ((box.left + box.right) / 2, (box.top + box.bottom) / 2, 1)
        wide, high = (box.right - box.left) / 2, (box.bottom - box.top) / 2
        boxes.append(Box(box.character, x - wide, y - high, x + wide, y + high))
    ink = cv2.warpAffine(written.ink, matrix, size, flags=cv2.INTER_LINEAR)
    slope = math.tan(math.atan(written.slope) - math.radians(degrees))
    return replace(written, ink=ink, boxes=tuple(boxes), slope=slope)


def wear(ink: Ink, rng: np.random.Generator) -> Ink:
    """Ink that is uneven, broken or rough."""
    if rng.random() < 0.35:
        ink = ink * np.clip(0.75 + 0.3 * draw_haze(ink.shape, rng.uniform(4, 30), rng), 0.25, 1)
    if rng.random() < 0.12:
        ink = ink * (draw_haze(ink.shape, rng.uniform(20, 80), rng) > rng.uniform(-1.6, -0.9))
    if rng.random() < 0.2:
        rough = np.abs(rng.normal(0, rng.uniform(0.1, 0.4), ink.shape))
        ink = ink * np.clip(1 - rough, 0, 1).astype(np.float32)
    return ink


def draw_haze(shape: tuple[int, ...], cells: float, rng: np.random.Generator) -> Ink:
    """Smooth noise (h, w) of mean 0 and deviation about 1, with `cells` cells along the longer side."""
    side = max(shape) / cells
    rows, columns = (max(2, int(length / side) + 2) for length in shape)
    coarse = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    clouds: Ink = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return clouds


def add_ruled_lines(extra: Ink, written: Written, rng: np.random.Generator) -> None:
    """A line below the writing, and sometimes more of them above."""
    height, width = written.height, extra.shape[1]
    level = max(box.bottom for box in written.boxes) + rng.normal(0.1, 0.12) * height
    fall = rng.normal(0, 0.01) * width

    def rule(y: float, pen: float, darkness: float) -> None:
        add_line(extra, np.array([(-5.0, y), (width + 5.0, y + fall)]), pen, darkness)

    rule(level, rng.uniform(1, max(1.5, 0.08 * height)), rng.uniform(0.2, 1))
    if rng.random() < 0.3:
        apart = height * rng.uniform(1.1, 1.8)
        for number in range(1, 4):
            rule(level - number * apart, rng.uniform(1, 2), rng.uniform(0.2, 0.9))


def add_grid(extra: Ink, written: Written, rng: np.random.Generator) -> None:
    """Squared paper."""
    side, darkness = written.height * rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.5)
    rows, columns = extra.shape
    for y in np.arange(rng.uniform(0, side), rows, side):
        add_line(extra, np.array([(0, y), (columns, y)]), 1, darkness)
    for x in np.arange(rng.uniform(0, side), columns, side):
        add_line(extra, np.array([(x, 0), (x, rows)]), 1, darkness)


def add_frame(extra: Ink, written: Written, rng: np.random.Generator) -> None:
    """The box of a form."""
    height, width = extra.shape
    left, top, right, bottom = rng.uniform(0, 0.15, 4) * written.height
    right, bottom = width - right, height - bottom
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    add_line(extra, corners, rng.uniform(1, 0.1 * written.height + 1), rng.uniform(0.3, 1.1))


def add_neighbours(extra: Ink, written: Written, rng: np.random.Generator) -> None:
    """Ends of strokes that reach in over the edges of the picture."""
    height, width = extra.shape
    for _ in range(rng.integers(1, 3)):
        place = rng.uniform(0, (width, height))
        side = rng.integers(4)
        place[side % 2] = (0, 0, width, height)[side]
        points = place + rng.normal(0, 0.4, (3, 2)) * written.height * rng.uniform(0.1, 0.5)
        add_line(extra, bend_line(points), written.pen, rng.uniform(0.5, 1))


def add_specks(extra: Ink, written: Written, rng: np.random.Generator) -> None:
    """Dirt."""
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(extra.shape[1])), int(rng.integers(extra.shape[0]))
        radius = max(1, int(written.height * rng.uniform(0.01, 0.04)))
        cv2.circle(extra, place, radius, float(rng.uniform(0.3, 1)), -1)


Addition = Callable[[Ink, Written, np.random.Generator], None]
ADDITIONS: tuple[tuple[float, Addition], ...] = (
    (0.28, add_ruled_lines),
    (0.05, add_grid),
    (0.06, add_frame),
    (0.05, add_neighbours),
    (0.15, add_specks),
)
"""What is added beside the writing, and its share."""


def add_print(extra: Ink, written: Written, rng: np.random.Generator, typefaces: Sequence[Typeface]) -> None:
    """Small words above or below the digits."""
    height = written.height
    top, bottom = min(box.top for box in written.boxes), max(box.bottom for box in written.boxes)
    typeface = typefaces[int(rng.integers(len(typefaces)))]
    size = max(6.0, height * rng.uniform(0.15, 0.45))
    x = rng.uniform(-0.2, 0.8) * extra.shape[1]
    y = (
        top - height * rng.uniform(0.35, 1.2)
        if rng.random() < 0.6
        else bottom + height * rng.uniform(0.1, 0.8)
    )
    for _ in range(rng.integers(2, 14)):
        letter = draw_character(typeface, str(rng.choice(list(LETTERS))), size, rng, Pen())
        paste(extra, letter * np.float32(rng.uniform(0.5, 1)), round(x), round(y + size - letter.shape[0]))
        x += letter.shape[1] + 0.2 * size * (1 + 3 * (rng.random() < 0.15))


def paste(plane: Ink, patch: Ink, left: int, top: int) -> None:
    """Draw a patch onto a plane, where it lies within."""
    first, last = max(top, 0), min(top + patch.shape[0], plane.shape[0])
    begin, end = max(left, 0), min(left + patch.shape[1], plane.shape[1])
    if first < last and begin < end:
        here = plane[first:last, begin:end]
        np.maximum(here, patch[first - top : last - top, begin - left : end - left], out=here)


def draw_pattern(shape: tuple[int, ...], rng: np.random.Generator) -> Ink:
    """The waves of security paper (h, w): one to three families of lines, sometimes dotted."""
    y, x = np.indices(shape, np.float32)
    pattern = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.3)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        across = across + rng.uniform(0, 6) * np.sin(
            2 * np.pi * along / rng.uniform(15, 90) + rng.uniform(0, 6)
        )
        waves = np.cos(2 * np.pi * across / rng.uniform(2.5, 9)) - rng.uniform(-0.2, 0.6)
        np.maximum(pattern, np.clip(waves * rng.uniform(1, 3), 0, 1), out=pattern)
    if rng.random() < 0.3:
        pattern *= np.cos(2 * np.pi * x / rng.uniform(2.5, 8)) > 0
    uneven = np.clip(0.8 + 0.4 * draw_haze(shape, 4, rng), 0, 1.3)
    return np.asarray(pattern * rng.uniform(0.05, 0.33) * uneven, np.float32)


def draw_light(shape: tuple[int, ...], height: float, rng: np.random.Generator) -> Ink:
    """The light on the paper (h, w), about 1: even, falling off to a side, uneven, or with a shadow."""
    light = np.ones(shape, np.float32)
    y, x = np.indices(shape, np.float32)
    kind = rng.random()
    if kind < 0.35:
        side = rng.normal(0, 1, 2)
        fall = (2 * x / shape[1] - 1) * side[0] + (2 * y / shape[0] - 1) * side[1]
        light *= 1 - rng.uniform(0, 0.45) * np.clip(fall / 2.2 + 0.5, 0, 1)
    elif kind < 0.5:
        light *= np.clip(1 + rng.uniform(0.02, 0.1) * draw_haze(shape, rng.uniform(2, 6), rng), 0.4, 1.2)
    if rng.random() < 0.08:
        angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.3 * height)
        beyond = (x - rng.uniform(0, shape[1])) * np.cos(angle) + (y - rng.uniform(0, shape[0])) * np.sin(
            angle
        )
        light *= 1 - rng.uniform(0.1, 0.5) / (1 + np.exp(np.clip(-beyond / soft, -30, 30)))
    return light


def add_border(grey: Ink, rng: np.random.Generator) -> None:
    """A strip of the table or of another page along one edge."""
    width = int(rng.uniform(0.03, 0.12) * min(grey.shape)) + 1
    edges = grey[:width], grey[-width:], grey[:, :width], grey[:, -width:]
    edge = edges[rng.integers(4)]
    edge[:] = rng.uniform(0, 1) * (1 + 0.05 * rng.normal(0, 1, edge.shape))


def expose(grey: Ink, height: float, contrast: float, rng: np.random.Generator) -> tuple[Image, bool]:
    """Blur, noise, inversion, compression and coarse pixels: the image, and whether it is inverted."""
    if rng.random() < 0.5:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 1.1) * np.clip(height / 32, 0.6, 1.5))
    noise = abs(rng.normal(0, 0.05)) * contrast * rng.choice([0.3, 1])
    grey = grey + rng.normal(0, noise, grey.shape).astype(np.float32)
    if rng.random() < 0.15:
        grey = grey + draw_haze(grey.shape, rng.uniform(30, 100), rng) * rng.uniform(0.005, 0.05) * contrast
    image: Image = np.clip(grey * 255, 0, 255).astype(np.uint8)
    inverted = rng.random() < LIGHT_INK
    if inverted:
        image = 255 - image
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(30, 92))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_GRAYSCALE))
    if rng.random() < 0.08:
        size, share = (image.shape[1], image.shape[0]), rng.uniform(0.5, 0.9)
        coarse = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        image = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return image, inverted
