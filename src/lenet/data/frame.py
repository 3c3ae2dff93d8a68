"""Anything drawn -> the frame, the size and the pen of a digit, a whole batch at once.

MNIST fitted each digit into 20 × 20 pixels and put its centre of mass in the middle of 28 × 28; what reads
pictures does the same, and brings strokes to MNIST's widths.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 28  # pixels
LONGEST = 20  # pixels
FINE = 3  # finer while strokes are mended
THINNEST, THICKEST = 2.0, 4.0  # pixels
EDGE = 0.45  # of full ink: there a stroke ends


def fit_frame(canvas: Tensor, size: Sequence[int] = (SIDE, SIDE)) -> Tensor:
    """Each drawing (N, 1, H, W), 0 to 1, as an image (N, 1, *size); blank ones stay blank.

    The longest side is LONGEST before the pen is mended: it is as much longer after as strokes are wider.
    """
    if not len(canvas):
        return canvas.new_zeros(0, 1, *size)
    ink = canvas > EDGE
    (left, right), (top, bottom) = _limits(ink.any(dim=2)), _limits(ink.any(dim=3))  # (N,) pixels
    longest = torch.maximum(right - left, bottom - top).clamp(min=1)
    height, width = canvas.shape[2:]
    # Where the frame's corners lie in the canvas, whose sides go from -1 to 1.
    reach = longest * SIDE / LONGEST
    theta = torch.zeros(len(canvas), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = reach / width, reach / height
    theta[:, 0, 2], theta[:, 1, 2] = (left + right) / width - 1, (top + bottom) / height - 1
    fine = _sample(canvas, theta, FINE * SIDE)
    fine = _mend_strokes(fine)
    y, x = _centres_of_mass(fine)  # in half sides
    theta = torch.eye(2, 3).repeat(len(canvas), 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = x, y
    fine = _sample(fine, theta, FINE * SIDE)
    height, width = size
    return F.adaptive_avg_pool2d(fine, (height, width))


def _limits(inked: Tensor) -> tuple[Tensor, Tensor]:
    """The first index with ink, and the one after the last: (N,) each, for (N, 1, side)."""
    inked = inked[:, 0].float()
    return inked.argmax(dim=1).float(), inked.shape[1] - inked.flip(1).argmax(dim=1).float()


def _sample(images: Tensor, theta: Tensor, side: int) -> Tensor:
    grid = F.affine_grid(theta, [len(images), 1, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _mend_strokes(fine: Tensor) -> Tensor:
    """Take a pixel off, or put one on, all around until strokes are as wide as MNIST's."""
    solid = (fine > EDGE).float()
    area = solid.sum(dim=(1, 2, 3))
    edge = area - _erode(solid).sum(dim=(1, 2, 3))
    stroke = 2 * area / edge.clamp(min=1)  # a bar of width w and length l has 2 l pixels at its edge
    wanted = stroke.clamp(THINNEST * FINE, THICKEST * FINE)
    steps = ((wanted - stroke) / 2).round()  # (N,)
    for step in range(1, int(steps.abs().max()) + 1):
        thin, thick = steps >= step, steps <= -step
        fine[thin] = F.max_pool2d(fine[thin], 3, 1, 1)
        fine[thick] = _erode(fine[thick])
    return fine


def _erode(images: Tensor) -> Tensor:
    return -F.max_pool2d(-images, 3, 1, 1)


def _centres_of_mass(images: Tensor) -> tuple[Tensor, Tensor]:
    """(y, x) from the middle, in half sides: (N,) each; the middle where there is no ink."""
    side = images.shape[-1]
    places = (2 * torch.arange(side) + 1) / side - 1
    mass = images.sum(dim=(1, 2, 3)).clamp(min=1e-6)
    return (images.sum(dim=(1, 3)) @ places / mass), (images.sum(dim=(1, 2)) @ places / mass)
