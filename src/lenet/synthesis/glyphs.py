"""Glyph variants that are rare in MNIST, such as a barred 0, drawn as strokes and framed as digits."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline
from torch import Tensor

from lenet.images.framing import frame_digits

SHEET = 96  # pixels: the side of a drawing before it is framed
Point = tuple[float, float]
Strokes = list[list[Point]]  # (x, y) with y downwards; scaled to the sheet before drawing
Variant = Callable[[np.random.Generator], Strokes]


def draw_sheets(
    count: int, draw: Callable[[ImageDraw.ImageDraw], None], rng: np.random.Generator, slant: float = 0.0
) -> Tensor:
    """`count` drawings of `draw`, each slanted at random by up to `slant`: float (count, 1, SHEET, SHEET)."""
    sheets = np.empty((count, 1, SHEET, SHEET), dtype=np.uint8)
    for sheet in sheets:
        page = Image.new("L", (SHEET, SHEET))
        draw(ImageDraw.Draw(page))
        if slant:
            shear = rng.uniform(-slant, slant)
            matrix = (1, shear, -shear * SHEET / 2, 0, 1, 0)
            page = page.transform(page.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        sheet[0] = np.asarray(page)
    return torch.from_numpy(sheets).float() / 255


def make_numpy_generator(generator: torch.Generator) -> np.random.Generator:
    """A NumPy generator, seeded by one number of torch's."""
    return np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))


def bend_stroke(points: Sequence[Point], rng: np.random.Generator, jitter: float = 0.02) -> list[Point]:
    """A smooth stroke through points, each moved by normal noise of the standard deviation `jitter`."""
    corners = np.array(points) + rng.normal(0, jitter, (len(points), 2))
    curve = make_interp_spline(np.linspace(0, 1, len(points)), corners, k=min(3, len(points) - 1))
    return [(float(x), float(y)) for x, y in curve(np.linspace(0, 1, 8 * len(points)))]


def draw_zero(rng: np.random.Generator) -> Strokes:
    """A 0 that is open, barred, or joined to the next digit or both neighbours; some are wide or boxy."""
    # Half of its width; half of its height is 0.5.
    wide = rng.uniform(0.25, 0.5) if rng.random() < 0.6 else rng.uniform(0.5, 0.9)
    kind = rng.integers(4)
    # Counter-clockwise from the upper right, as most people write it.
    begin = rng.uniform(0.15, 0.45) * np.pi
    turn = 2 * np.pi * (rng.uniform(0.85, 0.95) if kind == 0 else rng.uniform(1.0, 1.06))
    angles = begin + np.linspace(0, turn, 12)
    # Below 1 the oval is boxy; a box with a bar would be an 8.
    edgy = rng.uniform(0.4, 1.0) if kind != 1 and rng.random() < 0.25 else 1.0
    across, down = (np.sign(side) * abs(side) ** edgy for side in (np.cos(angles), np.sin(angles)))
    oval = [(0.5 + wide * float(x), 0.5 - 0.5 * float(y)) for x, y in zip(across, down, strict=True)]
    if kind == 1:  # barred
        rise = rng.choice([0.0, 0.35, -0.35]) + rng.uniform(-0.12, 0.12)
        reach = wide * rng.uniform(0.7, 1.3)
        return [bend_stroke(oval, rng), [(0.5 - reach, 0.5 + rise), (0.5 + reach, 0.5 - rise)]]
    if kind >= 2:  # joined to the next digit, and to the one before
        last, away = oval[-1], rng.uniform(0.1, 0.4)
        oval.append((max(last[0], 0.5 + wide * 0.8) + away, last[1] + rng.uniform(-0.15, 0.15)))
        if kind == 3:
            oval.insert(0, (oval[0][0] + rng.uniform(0.1, 0.4), oval[0][1] - rng.uniform(-0.1, 0.25)))
    return [bend_stroke(oval, rng)]


def draw_one(rng: np.random.Generator) -> Strokes:
    """A 1 with a short or long flag, mostly steeper than the bar of a 7, and sometimes with a base."""
    steepness = rng.uniform(0.35, 1.05)  # radians from the stem
    length = rng.uniform(0.15, 0.95 if steepness < 0.7 else 0.55)
    flag = (-length * np.sin(steepness), length * np.cos(steepness))
    sag = rng.uniform(0, 0.12) * length  # upstrokes are often round
    middle = (0.5 * flag[0] + sag * np.cos(steepness), 0.5 * flag[1] + sag * np.sin(steepness))
    foot = rng.uniform(-0.08, 0.12 if steepness < 0.7 else 0.04)
    strokes: Strokes = [[*bend_stroke([flag, middle, (0, 0)], rng, 0), (foot, 1)]]
    if rng.random() < 0.3:
        strokes.append([(-rng.uniform(0.1, 0.35), 1), (rng.uniform(0.1, 0.35), 1)])
    return strokes


def draw_two(rng: np.random.Generator) -> Strokes:
    """A 2 with a loop at its foot, or with a head that closes at the stem, or both."""
    wide, right = rng.uniform(0.6, 1.2), rng.uniform(0.4, 0.55)
    low = rng.uniform(0.32, 0.5)  # height at which the stem passes the start of the stroke
    head: list[Point] = [(0.1, 0.25), (0.12, 0.08)]
    closed = rng.random() < 0.5
    if closed:
        head = [(rng.uniform(0.15, 0.4), low), (0.05, 0.8 * low), (0.06, 0.3 * low)]
    body: list[Point] = [(0.28, 0), (right, 0.15), (0.9 * right, low), (0.2, 0.78)]
    loop = rng.uniform(0.05, 0.17)
    foot: list[Point] = [(0.05, 0.97), (-0.06, 0.97 - loop), (0.08, 0.95 - 1.6 * loop), (0.25, 0.93)]
    if closed and rng.random() < 0.3:
        foot = [(0.02, 0.95), (0.2, 0.93)]
    end = (rng.uniform(0.5, 0.75), rng.uniform(0.85, 1.02))
    return [[(wide * x, y) for x, y in bend_stroke([*head, *body, *foot, end], rng, 0.012)]]


def draw_four(rng: np.random.Generator) -> Strokes:
    """A closed 4, whose strokes meet at the top, or an open 4, whose stem is separate and may be short."""
    stem, level = rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.75)
    right = (stem + rng.uniform(0.05, 0.3), level + rng.uniform(-0.1, 0.05))
    lean = rng.uniform(-0.05, 0.05)
    if rng.random() < 0.3:
        return [[(stem, 0), (0, level), right], [(stem, 0), (stem + lean, 1)]]
    top = rng.uniform(0.0, 0.45)
    left = rng.uniform(0.05, 0.2 + 0.5 * top)
    foot = stem + lean - rng.uniform(0, 0.25) * (rng.random() < 0.5)
    bent: list[Point] = [(left, 0), (0, level), right]
    if rng.random() < 0.3:  # round, as a u
        bent = bend_stroke([(left, 0), (0.02, 0.7 * level), (0.35 * stem, level), (stem, level - 0.1)], rng)
    return [bent, [(stem + 0.05 * rng.random(), top), (foot, 1)]]


def draw_seven(rng: np.random.Generator) -> Strokes:
    """A 7 whose stem is crossed by a second bar; the first bar is straight, sagging or round."""
    width, foot = rng.uniform(0.3, 0.75), rng.uniform(-0.05, 0.25)
    corner, start = (width, 0.0), (0.0, rng.uniform(-0.05, 0.1))
    middle = (rng.uniform(0.4, 0.6) * width + 0.5 * foot, 0.5)
    stroke = [start, corner, middle, (foot, 1.0)]
    if rng.random() < 0.35:  # round, and the bar may sag
        bar = [start, (0.4 * width, rng.uniform(0, 0.1))]
        stroke = [*bar, *bend_stroke([(0.7 * width, 0), (width, 0.1), middle, (foot, 1.0)], rng)]
    if rng.random() < 0.4:  # a serif at the start
        stroke.insert(0, (rng.uniform(-0.05, 0.05), start[1] + rng.uniform(0.08, 0.25)))
    reach, tilt, at = rng.uniform(0.1, 0.4, 2), rng.uniform(-0.06, 0.15), rng.uniform(0.42, 0.6)
    across = middle[0] + (0.5 - at) * 2 * (middle[0] - foot)
    return [stroke, [(across - reach[0], at + tilt), (across + reach[1], at - tilt)]]


def draw_nine(rng: np.random.Generator) -> Strokes:
    """A 9 whose tail goes straight down from the right of the loop, or crosses the loop at its start."""
    wide, low = rng.uniform(0.2, 0.32), rng.uniform(0.38, 0.52)  # of the loop
    foot = (rng.uniform(-0.3, 0.25), 1.0)
    if rng.random() < 0.5:
        begin = rng.uniform(0.1, 0.35) * np.pi
        angles = begin + np.linspace(0, 2 * np.pi - begin, 9)
        loop = [(wide * float(np.cos(a)), low / 2 - low / 2 * float(np.sin(a))) for a in angles]
        stem = (wide, low / 2)
        return [bend_stroke(loop, rng, 0.01), [stem, (wide + foot[0] * 0.8, 1.0)]]
    cross: Point = (rng.uniform(-0.15, 0.12), low)
    loop = [cross, (-wide, 0.6 * low), (-0.6 * wide, 0.1 * low), (0.2 * wide, 0), (wide, 0.45 * low), cross]
    tail: list[Point] = [((cross[0] + foot[0]) / 2 - rng.uniform(0, 0.15), (low + 1) / 2), foot]
    return [bend_stroke([*loop, *tail], rng, 0.01)]


VARIANTS: dict[int, tuple[Variant, float]] = {
    0: (draw_zero, 0.2),
    1: (draw_one, 0.25),
    2: (draw_two, 0.1),
    4: (draw_four, 0.17),
    7: (draw_seven, 0.13),
    9: (draw_nine, 0.15),
}
"""The function and the share of each digit's variants."""


def draw_glyphs(count: int, size: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw glyph variants: uint8 (about `count`, 1, *size) in MNIST's framing, and their labels (N,).

    `generator` is the only source of randomness, on the CPU.
    """
    rng = make_numpy_generator(generator)
    images, labels = [], []
    for label, (draw_variant, share) in VARIANTS.items():

        def draw(ink: ImageDraw.ImageDraw, draw_variant: Variant = draw_variant) -> None:
            strokes = draw_variant(rng)
            corners = np.array([point for stroke in strokes for point in stroke])
            low, high = corners.min(axis=0), corners.max(axis=0)
            longest, width = rng.uniform(0.55, 0.75) * SHEET, int(rng.integers(4, 14))
            for stroke in strokes:
                placed = SHEET / 2 + longest * (np.array(stroke) - (low + high) / 2) / (high - low).max()
                points = [(float(x), float(y)) for x, y in placed]
                ink.line(points, fill=255, width=width, joint="curve")
                for x, y in points:  # round ends
                    radius = width / 2
                    ink.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

        sheets = draw_sheets(round(share * count), draw, rng, slant=0.25)
        images.append(frame_digits(sheets, size))
        labels.append(torch.full((len(sheets),), label))
    return torch.cat(images), torch.cat(labels)
