"""Grains that fall on every pixel by itself, and mud that falls in spots."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

PHOTONS = 3.0
"""How many a pixel of full ink sends on average while the shutter is open."""
IMPULSES = 0.17
"""Share of the pixels that are lost, half of them to black and half to white."""
MUD = 63 / 255
"""How light mud is."""


def add_shot_noise(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A picture taken in the dark: single photons are counted. Nothing happens where there is no ink."""
    return (generator.poisson(PHOTONS * ink) / PHOTONS).astype(np.float32)


def add_impulse_noise(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Salt and pepper: pixels that are stuck at black or at white."""
    drawn = generator.random(ink.shape, np.float32)
    return np.where(drawn < IMPULSES, (drawn < IMPULSES / 2).astype(np.float32), ink)


def spatter(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Spots of mud that cover what lies under them.

    A smooth random field is wet above 0.65; where that is so all around, there is a spot with soft edges.
    """
    field = ndimage.gaussian_filter(0.65 + 0.3 * generator.standard_normal(ink.shape, np.float32), (0, 1, 1))
    cover = ndimage.gaussian_filter((field > 0.65).astype(np.float32), (0, 1.5, 1.5))
    cover[cover < 0.8] = 0
    mixed: NDArray[np.float32] = ink + cover * (MUD - ink)
    return mixed
