"""Affine sampling of image batches, and the four affine corruptions."""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SHEAR = 0.4  # tangent of the slant
SIZE = 0.7  # factor of width and height
DEGREES = math.degrees(0.4)  # 22.9
SHIFT = 3  # pixels, horizontally and vertically


def sampling_matrices(
    degrees: Tensor, size: Tensor, shear: Tensor, shift: Tensor, mirrored: Tensor, aspect: float = 1.0
) -> Tensor:
    """The matrices that map each output point (x, y, 1) to the input point (x, y) it is sampled from.

    An image is mirrored, scaled, sheared, rotated and shifted about its centre, in this order. The matrix is
    the inverse of that transform, as `torch.nn.functional.grid_sample` needs it.

    Args:
        degrees: (N,) rotation, counter-clockwise on the screen.
        size: (N,) factor of width and height; above 1 enlarges.
        shear: (N,) tangent of the slant; positive slants to the right, like italics.
        shift: (N, 2) to the right and downwards, as shares of width and height.
        mirrored: (N,) bool, left to right.
        aspect: width / height, so that rotation and shear keep the shape of an image that is not square.

    Returns:
        Float (N, 2, 3), in coordinates from -1 to 1 along both sides.
    """
    radians = torch.deg2rad(degrees)
    cosine, sine = radians.cos() / size, radians.sin() / size
    # Undo the rotation, then the shear; y points downwards. The change from normalised coordinates to pixels
    # and back multiplies only the off-diagonal terms, by the aspect or its inverse.
    x_from_x = cosine + shear * sine
    x_from_y = (shear * cosine - sine) / aspect
    y_from_x = sine * aspect
    y_from_y = cosine
    right, down = (2 * shift).unbind(1)
    x_row = torch.stack([x_from_x, x_from_y, -x_from_x * right - x_from_y * down], dim=1)
    y_row = torch.stack([y_from_x, y_from_y, -y_from_x * right - y_from_y * down], dim=1)
    sign = torch.where(mirrored, -1.0, 1.0).to(x_row)
    return torch.stack([x_row * sign[:, None], y_row], dim=1)


@lru_cache(maxsize=16)
def pixel_centres(height: int, width: int) -> Tensor:
    """The centre of each pixel as columns (x, y, 1): float (3, H · W), coordinates from -1 to 1."""
    y, x = torch.meshgrid(
        (2 * torch.arange(height) + 1) / height - 1, (2 * torch.arange(width) + 1) / width - 1, indexing="ij"
    )
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


def shear(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Shear to the right or to the left, by 0.4 pixels per row."""
    return _move(ink, shear=SHEAR * _draw_signs(len(ink), 1, generator)[:, 0])


def scale(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Reduce to 0.7 of the size."""
    return _move(ink, size=np.full(len(ink), SIZE))


def rotate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Rotate by 23° in either direction."""
    return _move(ink, degrees=DEGREES * _draw_signs(len(ink), 1, generator)[:, 0])


def translate(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Shift by 3 pixels to the left or right and 3 up or down."""
    return _move(ink, shift=SHIFT / ink.shape[2] * _draw_signs(len(ink), 2, generator))


def _draw_signs(count: int, each: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.choice([-1.0, 1.0], (count, each))


def _move(
    ink: NDArray[np.float32],
    degrees: NDArray[np.float64] | float = 0.0,
    size: NDArray[np.float64] | float = 1.0,
    shear: NDArray[np.float64] | float = 0.0,
    shift: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float32]:
    """Transform by bilinear interpolation; the outside is black."""
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
