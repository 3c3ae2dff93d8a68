"""Digits that are slanted, small, turned or off the middle: always as much, only the side is drawn."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lenet.data.augment import pixel_centres, sampling_matrices

SHEAR = 0.4  # tangent of the slant
SIZE = 0.7
DEGREES = math.degrees(0.4)  # 22.9
SHIFT = 3  # pixels, down or up as well as right or left


def shear(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Lean to the right or to the left, by 0.4 pixels a row."""
    return _move(ink, shear=SHEAR * _draw_sides(len(ink), 1, generator)[:, 0])


def scale(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Seven tenths of the size."""
    return _move(ink, size=np.full(len(ink), SIZE))


def rotate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A turn by 23° either way."""
    return _move(ink, degrees=DEGREES * _draw_sides(len(ink), 1, generator)[:, 0])


def translate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A shift by 3 pixels across and 3 down or up."""
    return _move(ink, shift=SHIFT / ink.shape[2] * _draw_sides(len(ink), 2, generator))


def _draw_sides(count: int, each: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.choice([-1.0, 1.0], (count, each))


def _move(
    ink: NDArray[np.float32],
    degrees: NDArray[np.float64] | float = 0.0,
    size: NDArray[np.float64] | float = 1.0,
    shear: NDArray[np.float64] | float = 0.0,
    shift: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float32]:
    """Interpolate between the four nearest pixels; what comes from outside is black."""
    count, height, width = ink.shape

    def spread(value: NDArray[np.float64] | float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.broadcast_to(value, (count, *shape)).astype(np.float32))

    matrices = sampling_matrices(
        degrees=spread(degrees),
        size=spread(size),
        shear=spread(shear),
        shift=spread(shift, 2),
        mirrored=torch.zeros(count, dtype=torch.bool),
    )
    grid = (matrices @ pixel_centres(height, width)).view(count, 2, height, width).permute(0, 2, 3, 1)
    moved = functional.grid_sample(torch.from_numpy(ink).unsqueeze(1), grid, align_corners=False)
    return moved[:, 0].numpy()
