"""Hands: how one writer writes digits, with one pen and one slant, from images, fonts or drawn strokes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.synthesis.font_glyphs import Typeface
from lenet.synthesis.glyphs import render_strokes
from lenet.synthesis.strokes import choose_form, draw_form

Ink = NDArray[np.float32]
"""Darkness (h, w), 0 on paper to 1 in full ink."""

HEIGHT = 64  # pixels: the height in which the ink of a digit is drawn, before it is scaled
MARGIN = 20  # pixels around it, for thicker pens and bent strokes
SOURCES = ("images", "fonts", "strokes")
SHARES = (0.32, 0.23, 0.45)  # of the hands
FOREIGN = 0.12  # of the digits are from another source: people write one digit in several ways
FAITHFUL = 0.8  # of the drawn digits have the form that the hand usually gives them
PENS = (0.035, 0.2)  # digit heights
VISIBLE = 0.75  # pixels of the picture: a thinner pen would leave hardly any ink
THINNEST = 0.55  # of the own width of a stroke: thinner ones would break
BENT = 0.5  # of the digits are bent
BEND = 0.035  # digit heights: the standard deviation of the strongest bend
INK = 0.3  # what counts as ink when a digit is cut out


@dataclass(frozen=True, eq=False)
class Material:
    """What hands are made of: images uint8 (N, 28, 28) by label, and typefaces (none: no fonts are used)."""

    images: NDArray[np.uint8]
    by_label: Sequence[NDArray[np.int64]]
    typefaces: Sequence[Typeface] = ()


def gather_material(
    images: NDArray[np.uint8], labels: NDArray[np.int64], typefaces: Sequence[Typeface] = ()
) -> Material:
    """Sort images uint8 (N, 28, 28) of the ten digits by their labels (N,)."""
    return Material(images, [np.flatnonzero(labels == label) for label in range(10)], typefaces)


class Hand:
    """One writer: draws digits that look alike, and no two the same."""

    def __init__(self, material: Material, rng: np.random.Generator) -> None:
        self.material, self.rng = material, rng
        shares = np.array(SHARES) * (1.0, bool(material.typefaces), 1.0)
        self.source = str(rng.choice(SOURCES, p=shares / shares.sum()))
        self.typeface = material.typefaces[int(rng.integers(len(material.typefaces)))] if shares[1] else None
        self.pen = float(np.exp(rng.uniform(*np.log(PENS))))
        """The width of the pen, in digit heights."""
        self.slant = float(np.clip(rng.normal(0.1, 0.23), -0.5, 0.9))
        self.stretch = float(np.exp(rng.normal(0, 0.13)))
        self.looseness = abs(float(rng.normal(0, 0.5)))
        self.forms = [choose_form(label, rng) for label in range(10)]

    def draw(self, label: int, height: float) -> Ink:
        """A digit about `height` pixels high, cut to its ink."""
        rng, loose = self.rng, self.looseness
        source = str(rng.choice(SOURCES[::2])) if rng.random() < FOREIGN else self.source
        pen = max(self.pen * float(np.exp(rng.normal(0, 0.08))), VISIBLE / height) * HEIGHT
        if source == "strokes":
            form = self.forms[label] if rng.random() < FAITHFUL else choose_form(label, rng)
            broken = float(rng.uniform(0.05, 0.2)) if rng.random() < 0.1 else 0.0
            drawn = render_strokes(draw_form(form, rng, 0.1), HEIGHT, pen, rng, 0.15, broken)
            ink: Ink = np.pad(drawn.astype(np.float32) / 255, MARGIN)
        else:
            ink = redraw_ink(self._find_ink(source, label), pen)
        if rng.random() < BENT:
            ink = bend(ink, rng, BEND * HEIGHT * float(rng.random()))
        turn, slant, stretch, size = rng.normal(0, (0.06, 0.08, 0.1, 0.05)) * loose
        # Images are slanted by their own writers.
        lean = slant + self.slant * (0.6 if source == "images" else 1.0)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shear = np.array([[self.stretch * np.exp(stretch), -lean], [0.0, 1.0]])
        return cut_to_ink(transform(ink, rotation @ shear * (height / HEIGHT * np.exp(size))))

    def _find_ink(self, source: str, label: int) -> Ink:
        """The ink of a digit from an image or the font, HEIGHT pixels high, with a margin."""
        if source == "fonts" and self.typeface is not None:
            distances = np.asarray(self.typeface.find_shape(str(label)).distances)
            own = cut_to_ink(np.clip(distances + np.float32(0.5), 0, 1))
        else:
            numbers = self.material.by_label[label]
            image = self.material.images[numbers[self.rng.integers(len(numbers))]]
            own = cut_to_ink(image.astype(np.float32) / 255)
        scale = min(HEIGHT / own.shape[0], 1.3 * HEIGHT / own.shape[1])
        width, height = (max(2, round(side * scale)) for side in own.shape[::-1])
        ink = cv2.resize(own, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.pad(cv2.GaussianBlur(ink, (0, 0), max(0.3, 0.35 * scale)), MARGIN)


def redraw_ink(ink: Ink, pen: float) -> Ink:
    """Redraw the strokes with the width `pen` in pixels, as far as they do not break."""
    mask = (ink > 0.5).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(side, cv2.DIST_L2, 3) for side in (mask, 1 - mask))
    depth = np.where(mask > 0, inside - 0.5, 0.5 - outside)
    if not mask.any():
        return ink
    own = 4 * float(depth[mask > 0].mean())  # pixels of a stroke are a quarter of its width deep on average
    redrawn: Ink = np.clip(depth + (max(pen, THINNEST * own) - own) / 2 + 0.5, 0, 1).astype(np.float32)
    return redrawn


def bend(ink: Ink, rng: np.random.Generator, strength: float) -> Ink:
    """Move the ink along a smooth random field with the standard deviation `strength`, in pixels."""
    height, width = ink.shape
    field = rng.normal(0, strength, (2, 4, 4)).astype(np.float32)
    across, down = (cv2.resize(side, (width, height), interpolation=cv2.INTER_CUBIC) for side in field)
    down += np.arange(height, dtype=np.float32)[:, None]
    across += np.arange(width, dtype=np.float32)
    bent: Ink = cv2.remap(ink, across, down, cv2.INTER_LINEAR)
    return bent


def transform(ink: Ink, matrix: NDArray[np.float64]) -> Ink:
    """Apply a linear map (2, 2) of x and y; the result is as large as needed."""
    height, width = ink.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix))))
    if shrink < 0.5:
        ink = cv2.GaussianBlur(ink, (0, 0), 0.4 / shrink)
    across, down = np.ceil(high - low).astype(int).tolist()
    placed = np.column_stack([matrix, 1 - low])
    moved: Ink = cv2.warpAffine(ink, placed, (across + 3, down + 3), flags=cv2.INTER_LINEAR)
    return moved


def cut_to_ink(ink: Ink) -> Ink:
    """The box of the ink; one pixel where there is none."""
    seen = ink > min(INK, float(ink.max()) / 2)  # a thin pen may leave no darker ink
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not rows.size:
        return np.ones((1, 1), np.float32)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
