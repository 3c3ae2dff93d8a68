"""Letters, scribbles and lines, drawn large with pens of every width, framed as digits are."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline
from torch import Tensor

from lenet.images.framing import frame_digits

SHEET = 96  # pixels; a drawing is made four times as large as it will be seen


def draw_sheets(
    count: int, draw: Callable[[ImageDraw.ImageDraw], None], pens: np.random.Generator, slant: float = 0.0
) -> Tensor:
    """`count` sheets that `draw` was called on, each slanted at random: float (count, 1, SHEET, SHEET)."""
    sheets = np.empty((count, 1, SHEET, SHEET), dtype=np.uint8)
    for sheet in sheets:
        page = Image.new("L", (SHEET, SHEET))
        draw(ImageDraw.Draw(page))
        if slant:
            shear = pens.uniform(-slant, slant)
            matrix = (1, shear, -shear * SHEET / 2, 0, 1, 0)
            page = page.transform(page.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        sheet[0] = np.asarray(page)
    return torch.from_numpy(sheets).float() / 255


def make_random(generator: torch.Generator) -> np.random.Generator:
    """NumPy's generator, seeded by one number of torch's."""
    return np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))


Point = tuple[float, float]
Strokes = list[list[Point]]


def bend(points: Sequence[Point], pens: np.random.Generator, astray: float = 0.02) -> list[Point]:
    """A smooth stroke through points, each a little astray."""
    corners = np.array(points) + pens.normal(0, astray, (len(points), 2))
    curve = make_interp_spline(np.linspace(0, 1, len(points)), corners, k=min(3, len(points) - 1))
    return [(float(x), float(y)) for x, y in curve(np.linspace(0, 1, 8 * len(points)))]


def draw_zero(pens: np.random.Generator) -> Strokes:
    """An oval, flat or struck through, or not closed, or whose ends go on to its neighbours."""
    # Half of its width; half of its height is 0.5.
    wide = pens.uniform(0.25, 0.5) if pens.random() < 0.6 else pens.uniform(0.5, 0.9)
    kind = pens.integers(4)
    # From the upper right counter-clockwise, as most people write it.
    begin = pens.uniform(0.15, 0.45) * np.pi
    turn = 2 * np.pi * (pens.uniform(0.85, 0.95) if kind == 0 else pens.uniform(1.0, 1.06))
    angles = begin + np.linspace(0, turn, 12)
    # Below 1, rather a box; a box with a bar would be an 8.
    edgy = pens.uniform(0.4, 1.0) if kind != 1 and pens.random() < 0.25 else 1.0
    across, down = (np.sign(side) * abs(side) ** edgy for side in (np.cos(angles), np.sin(angles)))
    oval = [(0.5 + wide * float(x), 0.5 - 0.5 * float(y)) for x, y in zip(across, down, strict=True)]
    if kind == 1:  # struck through
        rise = pens.choice([0.0, 0.35, -0.35]) + pens.uniform(-0.12, 0.12)
        reach = wide * pens.uniform(0.7, 1.3)
        return [bend(oval, pens), [(0.5 - reach, 0.5 + rise), (0.5 + reach, 0.5 - rise)]]
    if kind >= 2:  # joined to the next, and to the one before
        last, away = oval[-1], pens.uniform(0.1, 0.4)
        oval.append((max(last[0], 0.5 + wide * 0.8) + away, last[1] + pens.uniform(-0.15, 0.15)))
        if kind == 3:
            oval.insert(0, (oval[0][0] + pens.uniform(0.1, 0.4), oval[0][1] - pens.uniform(-0.1, 0.25)))
    return [bend(oval, pens)]


def draw_one(pens: np.random.Generator) -> Strokes:
    """A stem with a flag, short or as long as the stem, mostly steeper than the bar of a 7; maybe a base."""
    steepness = pens.uniform(0.35, 1.05)  # radians from the stem
    length = pens.uniform(0.15, 0.95 if steepness < 0.7 else 0.55)
    flag = (-length * np.sin(steepness), length * np.cos(steepness))
    sag = pens.uniform(0, 0.12) * length  # upstrokes are often round
    middle = (0.5 * flag[0] + sag * np.cos(steepness), 0.5 * flag[1] + sag * np.sin(steepness))
    foot = pens.uniform(-0.08, 0.12 if steepness < 0.7 else 0.04)
    strokes: Strokes = [[*bend([flag, middle, (0, 0)], pens, 0), (foot, 1)]]
    if pens.random() < 0.3:
        strokes.append([(-pens.uniform(0.1, 0.35), 1), (pens.uniform(0.1, 0.35), 1)])
    return strokes


def draw_two(pens: np.random.Generator) -> Strokes:
    """A 2 with a loop at its foot, or a head that comes back to the stem, or both."""
    wide, right = pens.uniform(0.6, 1.2), pens.uniform(0.4, 0.55)
    low = pens.uniform(0.32, 0.5)  # where the stem passes the pen's beginning
    head: list[Point] = [(0.1, 0.25), (0.12, 0.08)]
    closed = pens.random() < 0.5
    if closed:
        head = [(pens.uniform(0.15, 0.4), low), (0.05, 0.8 * low), (0.06, 0.3 * low)]
    body: list[Point] = [(0.28, 0), (right, 0.15), (0.9 * right, low), (0.2, 0.78)]
    loop = pens.uniform(0.05, 0.17)
    foot: list[Point] = [(0.05, 0.97), (-0.06, 0.97 - loop), (0.08, 0.95 - 1.6 * loop), (0.25, 0.93)]
    if closed and pens.random() < 0.3:
        foot = [(0.02, 0.95), (0.2, 0.93)]
    end = (pens.uniform(0.5, 0.75), pens.uniform(0.85, 1.02))
    return [[(wide * x, y) for x, y in bend([*head, *body, *foot, end], pens, 0.012)]]


def draw_four(pens: np.random.Generator) -> Strokes:
    """A pointed 4, whose two strokes meet above, or an open one, whose stem stands apart and may be short."""
    stem, level = pens.uniform(0.3, 0.5), pens.uniform(0.5, 0.75)
    right = (stem + pens.uniform(0.05, 0.3), level + pens.uniform(-0.1, 0.05))
    lean = pens.uniform(-0.05, 0.05)
    if pens.random() < 0.3:
        return [[(stem, 0), (0, level), right], [(stem, 0), (stem + lean, 1)]]
    top = pens.uniform(0.0, 0.45)
    left = pens.uniform(0.05, 0.2 + 0.5 * top)
    foot = stem + lean - pens.uniform(0, 0.25) * (pens.random() < 0.5)
    bent: list[Point] = [(left, 0), (0, level), right]
    if pens.random() < 0.3:  # round, as a u
        bent = bend([(left, 0), (0.02, 0.7 * level), (0.35 * stem, level), (stem, level - 0.1)], pens)
    return [bent, [(stem + 0.05 * pens.random(), top), (foot, 1)]]


def draw_seven(pens: np.random.Generator) -> Strokes:
    """A bar, level, sagging or round, and a leaning stem, crossed by a second bar."""
    width, foot = pens.uniform(0.3, 0.75), pens.uniform(-0.05, 0.25)
    corner, start = (width, 0.0), (0.0, pens.uniform(-0.05, 0.1))
    middle = (pens.uniform(0.4, 0.6) * width + 0.5 * foot, 0.5)
    stroke = [start, corner, middle, (foot, 1.0)]
    if pens.random() < 0.35:  # round, and the bar may sag
        bar = [start, (0.4 * width, pens.uniform(0, 0.1))]
        stroke = [*bar, *bend([(0.7 * width, 0), (width, 0.1), middle, (foot, 1.0)], pens)]
    if pens.random() < 0.4:  # a tick where the pen begins
        stroke.insert(0, (pens.uniform(-0.05, 0.05), start[1] + pens.uniform(0.08, 0.25)))
    reach, tilt, at = pens.uniform(0.1, 0.4, 2), pens.uniform(-0.06, 0.15), pens.uniform(0.42, 0.6)
    across = middle[0] + (0.5 - at) * 2 * (middle[0] - foot)
    return [stroke, [(across - reach[0], at + tilt), (across + reach[1], at - tilt)]]


def draw_nine(pens: np.random.Generator) -> Strokes:
    """A loop, whose tail goes straight down from its right, or crosses the loop where it began."""
    wide, low = pens.uniform(0.2, 0.32), pens.uniform(0.38, 0.52)  # of the loop
    foot = (pens.uniform(-0.3, 0.25), 1.0)
    if pens.random() < 0.5:
        begin = pens.uniform(0.1, 0.35) * np.pi
        angles = begin + np.linspace(0, 2 * np.pi - begin, 9)
        loop = [(wide * float(np.cos(a)), low / 2 - low / 2 * float(np.sin(a))) for a in angles]
        stem = (wide, low / 2)
        return [bend(loop, pens, 0.01), [stem, (wide + foot[0] * 0.8, 1.0)]]
    cross: Point = (pens.uniform(-0.15, 0.12), low)
    loop = [cross, (-wide, 0.6 * low), (-0.6 * wide, 0.1 * low), (0.2 * wide, 0), (wide, 0.45 * low), cross]
    tail: list[Point] = [((cross[0] + foot[0]) / 2 - pens.uniform(0, 0.15), (low + 1) / 2), foot]
    return [bend([*loop, *tail], pens, 0.01)]


VARIANTS: dict[int, tuple[Callable[[np.random.Generator], Strokes], float]] = {
    0: (draw_zero, 0.2),
    1: (draw_one, 0.25),
    2: (draw_two, 0.1),
    4: (draw_four, 0.17),
    7: (draw_seven, 0.13),
    9: (draw_nine, 0.15),
}


def draw_glyphs(count: int, size: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Such digits as uint8 (about `count`, 1, *size), framed as MNIST's, and their labels."""
    pens = make_random(generator)
    images, labels = [], []
    for label, (form, share) in VARIANTS.items():

        def draw(ink: ImageDraw.ImageDraw, form: Callable[[np.random.Generator], Strokes] = form) -> None:
            strokes = form(pens)
            corners = np.array([point for stroke in strokes for point in stroke])
            low, high = corners.min(axis=0), corners.max(axis=0)
            longest, width = pens.uniform(0.55, 0.75) * SHEET, int(pens.integers(4, 14))
            for stroke in strokes:
                placed = SHEET / 2 + longest * (np.array(stroke) - (low + high) / 2) / (high - low).max()
                points = [(float(x), float(y)) for x, y in placed]
                ink.line(points, fill=255, width=width, joint="curve")
                for x, y in points:  # round ends
                    radius = width / 2
                    ink.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

        sheets = draw_sheets(round(share * count), draw, pens, slant=0.25)
        images.append(frame_digits(sheets, size))
        labels.append(torch.full((len(sheets),), label))
    return torch.cat(images), torch.cat(labels)
