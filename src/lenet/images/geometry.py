"""Affine sampling of image batches."""

from functools import lru_cache

import torch
from torch import Tensor


def sampling_matrices(
    degrees: Tensor, size: Tensor, shear: Tensor, shift: Tensor, mirrored: Tensor, aspect: float = 1.0
) -> Tensor:
    """Where each output point is read from, as matrices (x, y, 1) to (x, y).

    The picture is mirrored, then sized, slanted, turned and shifted about its centre; the matrix is the
    inverse of that, since sampling asks for each output point where it came from.

    Args:
        degrees: (N,) rotation, counter-clockwise as one sees it.
        size: (N,) factor of width and height, above 1 is larger.
        shear: (N,) tangent of the slant; positive leans to the right, as italics do.
        shift: (N, 2) to the right and downwards, in shares of width and height.
        mirrored: (N,) bool, left to right.
        aspect: width / height, so that turning and slanting keep the shape of a picture that is not square.

    Returns:
        Float (N, 2, 3), in coordinates where both sides reach from -1 to 1.
    """
    radians = torch.deg2rad(degrees)
    cosine, sine = radians.cos() / size, radians.sin() / size
    # undo the rotation, then the slant; y points downwards. Going from sides of 2 to pixels and back
    # leaves the diagonal alone and brings the aspect to the other two.
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
    """The centre of each pixel as columns (x, y, 1): float (3, H · W), with sides from -1 to 1."""
    y, x = torch.meshgrid(
        (2 * torch.arange(height) + 1) / height - 1, (2 * torch.arange(width) + 1) / width - 1, indexing="ij"
    )
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)
