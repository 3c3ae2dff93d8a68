"""Pictures of what is no digit, to examine with: no training sees them, nor others from the same source.

Training's own not-digits are cut from digits, drawn as curves, or set in matplotlib's fonts; these are
clothes, photographs, another font, letters of strokes, digits of other writers with their quarters exchanged,
and textures. Every group is a pure function of its name and counts the same in the mean, however large it is.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor

from lenet.data.datasets import load

SIDE, LONGEST = 28, 20
COUNT = 1000  # of each group
SHEET = 96

# What nobody takes for a digit: without I, O, S, Z, B and their like, without ?, > and $.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwxy"
SIGNS = "+=%#*^~"

# Letters, two Greek ones and some signs as strokes on a net of 4 × 6, across and down.
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.8, 4), (3.2, 4)]],
    "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3, 3)]],
    "F": [[(4, 0), (0, 0), (0, 6)], [(0, 3), (3, 3)]],
    "H": [[(0, 0), (0, 6)], [(4, 0), (4, 6)], [(0, 3), (4, 3)]],
    "K": [[(0, 0), (0, 6)], [(4, 0), (0, 3), (4, 6)]],
    "M": [[(0, 6), (0, 0), (2, 3.5), (4, 0), (4, 6)]],
    "N": [[(0, 6), (0, 0), (4, 6), (4, 0)]],
    "P": [[(0, 6), (0, 0), (3, 0), (4, 1.5), (3, 3), (0, 3)]],
    "R": [[(0, 6), (0, 0), (3, 0), (4, 1.5), (3, 3), (0, 3)], [(1.5, 3), (4, 6)]],
    "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "U": [[(0, 0), (0, 4.5), (1, 6), (3, 6), (4, 4.5), (4, 0)]],
    "W": [[(0, 0), (1, 6), (2, 2), (3, 6), (4, 0)]],
    "X": [[(0, 0), (4, 6)], [(4, 0), (0, 6)]],
    "Psi": [[(0, 0), (0, 2), (2, 4), (4, 2), (4, 0)], [(2, 0), (2, 6)]],
    "Xi": [[(0, 0), (4, 0)], [(0.7, 3), (3.3, 3)], [(0, 6), (4, 6)]],
    "arrow": [[(0, 3), (4, 3)], [(2.5, 1), (4, 3), (2.5, 5)]],
    "house": [[(0, 6), (0, 2), (2, 0), (4, 2), (4, 6), (0, 6)]],
    "window": [[(0, 0), (4, 0), (4, 6), (0, 6), (0, 0)], [(2, 0), (2, 6)], [(0, 3), (4, 3)]],
    "star": [[(2, 0), (2, 6)], [(0, 1.5), (4, 4.5)], [(4, 1.5), (0, 4.5)]],
    "check": [[(0, 3), (1.5, 6), (4, 0)]],
}


def make_groups() -> dict[str, Tensor]:
    """Every group by name: uint8 (N, 1, 28, 28), light on black."""
    groups = {}
    for name, make in MAKERS.items():
        images = make(np.random.default_rng([*b"not digits ", *name.encode()]))
        groups[name] = torch.from_numpy(np.stack(images)).unsqueeze(1)
    return groups


def take_clothes(random: np.random.Generator) -> list[np.ndarray]:
    images = load("fashion-mnist", "test").images[:, 0].numpy()
    return list(images[random.choice(len(images), COUNT, replace=False)])


def cut_photographs(random: np.random.Generator) -> list[np.ndarray]:
    """Squares of scikit-learn's two photographs, of any size, light or dark ink."""
    photographs = [Image.fromarray(photograph).convert("L") for photograph in load_sample_images().images]
    images = []
    for _ in range(COUNT):
        photograph = photographs[random.integers(len(photographs))]
        side = int(random.integers(SIDE, 150))
        left, top = random.integers(0, photograph.width - side), random.integers(0, photograph.height - side)
        patch = photograph.resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR, (left, top, left + side, top + side)
        )
        levels = np.asarray(patch).astype(float)
        levels = 255 * (levels - levels.min()) / max(np.ptp(levels), 1)
        images.append((255 - levels if random.random() < 0.5 else levels).astype(np.uint8))
    return images


def set_type(signs: str) -> Callable[[np.random.Generator], list[np.ndarray]]:
    """Pillow's own font, slanted a little, with bolder and finer pens."""

    def make(random: np.random.Generator) -> list[np.ndarray]:
        font = ImageFont.load_default(70)
        images = []
        for _ in range(COUNT):
            page = Image.new("L", (SHEET, SHEET))
            place, bold = (SHEET / 2, SHEET / 2), int(random.integers(0, 4))
            ImageDraw.Draw(page).text(
                place, random.choice(list(signs)), 255, font, anchor="mm", stroke_width=bold
            )
            images.append(frame(bend(page, random)))
        return images

    return make


def write_letters(random: np.random.Generator) -> list[np.ndarray]:
    """Letters of strokes, each corner a little off, by a pen of any width."""
    images = []
    for _ in range(COUNT):
        page = Image.new("L", (SHEET, SHEET))
        ink, width = ImageDraw.Draw(page), int(random.integers(5, 13))
        for stroke in STROKES[random.choice(list(STROKES))]:
            points = np.array(stroke) * (11, 11) + (26, 15) + random.normal(0, 2.5, (len(stroke), 2))
            ink.line([tuple(point) for point in points], 255, width, joint="curve")
            for x, y in points:
                ink.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
        images.append(frame(bend(page, random)))
    return images


def exchange_quarters(random: np.random.Generator) -> list[np.ndarray]:
    """scikit-learn's 8×8 digits, each quarter from another digit and another corner, turned by 90°."""
    blocks = load_digits().images / 16
    images = []
    for _ in range(COUNT):
        four = blocks[random.choice(len(blocks), 4, replace=False)]
        corners = (four[0, 4:, 4:], four[1, 4:, :4], four[2, :4, 4:], four[3, :4, :4])
        turned = [np.rot90(corner, random.choice([1, 3])) for corner in corners]
        glued = np.block([[turned[0], turned[1]], [turned[2], turned[3]]])
        large = Image.fromarray((255 * glued).astype(np.uint8)).resize((64, 80), Image.Resampling.BICUBIC)
        page = Image.new("L", (SHEET, SHEET))
        page.paste(large, (16, 8))
        images.append(frame(page))
    return images


def weave(random: np.random.Generator) -> list[np.ndarray]:
    """Gratings, checks, rings, and gradient noise (Perlin 1985), soft or hard."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    images = []
    for number in range(COUNT):
        angle, period, phase = random.uniform(0, np.pi), random.uniform(4, 14), random.uniform(0, 6.3)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        kinds = (
            lambda a=along, p=period, f=phase: np.sin(6.283 * a / p + f),
            lambda a=along, b=across, p=period, f=phase: (
                np.sin(6.283 * a / p + f) * np.sin(6.283 * b / p + f)
            ),
            lambda p=period / 2, f=phase: np.sin(6.283 * np.hypot(x, y) / p + f),  # several: one is a 0
            lambda: make_gradient_noise(random, int(random.integers(3, 8))),
        )
        pattern = kinds[number % 4]()
        if random.random() < 0.5:
            pattern = ndimage.gaussian_filter(np.sign(pattern), 0.5)
        images.append((255 * np.clip(0.5 + 0.5 * pattern, 0, 1)).astype(np.uint8))
    return images


def make_gradient_noise(random: np.random.Generator, cells: int) -> np.ndarray:
    """Perlin's noise on `cells` × `cells` squares, about -1 to 1."""
    angles = random.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    at = (np.arange(SIDE) + 0.5) / SIDE * cells
    cell, inside = at.astype(int), at % 1
    ease = inside**3 * (inside * (6 * inside - 15) + 10)
    total = np.zeros((SIDE, SIDE))
    for down in (0, 1):
        for right in (0, 1):
            angle = angles[np.ix_(cell + down, cell + right)]
            slope = np.cos(angle) * (inside - right)[None] + np.sin(angle) * (inside - down)[:, None]
            weight = np.outer(ease if down else 1 - ease, ease if right else 1 - ease)
            total += weight * slope
    return 1.8 * total


def bend(page: Image.Image, random: np.random.Generator) -> Image.Image:
    """Slant and turn a sheet a little."""
    slant, turn = random.uniform(-0.25, 0.25), random.uniform(-0.15, 0.15)
    matrix = np.array([[1, slant], [0, 1]]) @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    offset = SHEET / 2 - matrix @ [SHEET / 2, SHEET / 2]
    values = (*matrix[0], offset[0], *matrix[1], offset[1])
    return page.transform(page.size, Image.Transform.AFFINE, values, Image.Resampling.BILINEAR)


def frame(page: Image.Image) -> np.ndarray:
    """What is drawn, 20 pixels at its longest, with its centre of mass in the middle of 28×28."""
    box = page.getbbox()
    assert box is not None
    cut = page.crop(box)
    scale = LONGEST / max(cut.size)
    small = np.asarray(cut.resize([max(1, round(side * scale)) for side in cut.size], Image.Resampling.BOX))
    rows, columns = (round((SIDE - 1) / 2 - centre) for centre in ndimage.center_of_mass(small.astype(float)))
    room = SIDE  # on every side, so that nothing has to be cut by hand
    wide = np.zeros((3 * SIDE, 3 * SIDE), np.uint8)
    wide[room + rows : room + rows + small.shape[0], room + columns : room + columns + small.shape[1]] = small
    return wide[room : room + SIDE, room : room + SIDE]


MAKERS: dict[str, Callable[[np.random.Generator], list[np.ndarray]]] = {
    "clothes": take_clothes,
    "photographs": cut_photographs,
    "letters in print": set_type(LETTERS),
    "signs in print": set_type(SIGNS),
    "letters of strokes": write_letters,
    "exchanged quarters": exchange_quarters,
    "textures": weave,
}
