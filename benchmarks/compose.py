"""Strings composed of single digits, for measuring: set apart, touching or overlapping, on paper."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SPACINGS = {"apart": (3, 9), "close": (0, 4), "touching": (-3, 1)}  # pixels between digits of 20 pixels
ZOOM = 3


def compose(images: Sequence[Image], random: np.random.Generator, spacing: str = "apart") -> Image:
    """Dark digits in a row on light paper (h, w), three times the size of `images` (28, 28), white on black.

    Each stands a little higher or lower than the one before. Where a spacing is negative, digits overlap.
    """
    canvas = np.zeros((28 + 20, 40 + 32 * len(images)), np.uint8)
    right = 10
    for number, image in enumerate(images):
        columns = np.flatnonzero((image > 100).any(axis=0))
        gap = int(random.integers(*SPACINGS[spacing], endpoint=True)) if number else 0
        left = right + gap - int(columns[0])
        top = 10 + int(random.integers(-2, 3))
        here = canvas[top : top + 28, max(0, left) : left + 28]
        np.maximum(here, image[:, max(0, -left) :], out=here)
        right = left + int(columns[-1]) + 1
    paper = 235 - 0.8 * canvas[:, : right + 10].astype(np.float64).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    grain = random.normal(0, 3, paper.shape)
    return (paper + grain).clip(0, 255).astype(np.uint8)
