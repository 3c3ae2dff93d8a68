"""Random distortions of a whole batch at once: rotate, scale, shear, shift, mirror, elastic; then the ink.

All that are here move points and never change ink, so they are composed into one sampling grid and the
images are interpolated once: sharper than one pass for each distortion, and far quicker. The planar ones
follow LeCun et al. 1998, section III.C; the elastic one follows Simard, Steinkraus and Platt 2003, "Best
practices for convolutional neural networks": a random displacement field, smoothed by a Gaussian.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.data.distortions import Distortions
from lenet.data.ink import vary_ink

ELASTIC_SMOOTHING = 4.0
"""Standard deviation in pixels of the Gaussian that smooths the displacements: the value of Simard et al."""


def augment(images: Tensor, settings: Distortions, generator: torch.Generator) -> Tensor:
    """Distort each image at random, by one bilinear interpolation, then its ink; what lies outside is black.

    A pure function of its arguments: the same generator state gives the same images. The random numbers are
    drawn on the generator's device, so that a CPU generator gives the same distortions on every device, and
    the planar ones stay the same when elastic deformation is switched on.

    Args:
        images: float (N, 1, H, W), 0 to 1.
        settings: how strong each distortion is.
        generator: the only source of randomness; it advances unless every strength is zero.

    Returns:
        Tensor of the same shape, type, device and range; `images` itself if every strength is zero.
    """
    if settings.is_none:
        return images
    count, _, height, width = images.shape
    matrices = random_matrices(count, settings, generator, aspect=width / height).to(images)  # (N, 2, 3)
    points = matrices @ pixel_centres(height, width).to(images)  # (N, 2, H · W)
    if settings.elastic:
        points += random_displacements(count, height, width, settings.elastic, generator).to(images)
    grid = points.view(count, 2, height, width).permute(0, 2, 3, 1)  # (N, H, W, 2)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return vary_ink(moved, settings, generator) if settings.changes_ink else moved


def random_matrices(
    count: int, settings: Distortions, generator: torch.Generator, aspect: float = 1.0
) -> Tensor:
    """Draw the planar distortions of `count` images as `sampling_matrices`."""
    drawn = torch.rand(count, 6, generator=generator, device=generator.device)
    symmetric = 2 * drawn - 1  # uniform in -1..1
    matrices = sampling_matrices(
        degrees=settings.degrees * symmetric[:, 0],
        size=1 + settings.scale * symmetric[:, 1],
        shear=settings.shear * symmetric[:, 2],
        shift=settings.shift * symmetric[:, 3:5],
        mirrored=(drawn[:, 5] < 0.5) & settings.flip,
        aspect=aspect,
    )
    if settings.aspect:
        wider = 1 + settings.aspect * (2 * torch.rand(count, generator=generator, device=drawn.device) - 1)
        matrices[:, 0] /= wider[:, None]  # last in the inverse: the first that is done to the picture
    return matrices


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


def random_displacements(
    count: int, height: int, width: int, deviation: float, generator: torch.Generator
) -> Tensor:
    """Draw a smooth displacement of each pixel: float (N, 2, H · W), in half sides, right and down.

    Each is normal with the standard deviation asked for, in pixels: in the corners as in the middle.
    """
    device = generator.device
    down, across = gaussian_weights(height).to(device), gaussian_weights(width).to(device)  # (side, nodes)
    noise = torch.randn(count, 2, down.shape[1], across.shape[1], generator=generator, device=device)
    pixel = torch.tensor([2 / width, 2 / height], device=device)  # in half sides
    noise = deviation * pixel[:, None, None] * noise  # (N, 2, nodes, nodes)
    return (down @ noise @ across.T).flatten(2)


@lru_cache(maxsize=16)
def gaussian_weights(side: int) -> Tensor:
    """How much each node of a coarse net moves each pixel of a side: float (side, nodes), rows of length 1.

    A sum of independent standard normal numbers with such weights is standard normal again. Nodes 1.5
    standard deviations apart are close enough that no trace of the net is seen.
    """
    step = 1.5 * ELASTIC_SMOOTHING
    count = math.ceil(side / step) + 2  # one past either end
    nodes = (side - 1) / 2 + step * (torch.arange(count, dtype=torch.float64) - (count - 1) / 2)
    distances = torch.arange(side, dtype=torch.float64)[:, None] - nodes
    return F.normalize(torch.exp(-0.5 * (distances / ELASTIC_SMOOTHING) ** 2), dim=1).float()
