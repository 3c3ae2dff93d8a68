"""Batches of composed lines: which strips, at which place, and how distorted, from the seed alone."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lenet.images.strips import stack_strips
from lenet.models.line_config import COLUMNS_PER_STEP
from lenet.training.line_bank import LineBank
from lenet.training.randomness import sample_order

BATCHES_SORTED = 50  # batches whose strips are sorted by length, so that little of a batch is padding
SLACK = 8  # columns of paper beyond the longest strip of a batch, in which each strip is shifted
BEND_SPACING = 7  # pixels: the distance of the nodes of an elastic distortion
MAX_BEND = 1.2  # pixels: its standard deviation at the nodes


def plan_batches(bank: LineBank, size: int, seed: int, epoch: int) -> list[list[int]]:
    """The numbers of the strips of each step of an epoch; strips of a batch are about equally long."""
    order = sample_order(len(bank.texts), True, seed, epoch).numpy()
    batches = []
    for first in range(0, len(order), BATCHES_SORTED * size):
        chosen = order[first : first + BATCHES_SORTED * size]
        chosen = chosen[np.argsort(bank.widths[chosen], kind="stable")]
        batches += [chosen[start : start + size].tolist() for start in range(0, len(chosen), size)]
    shuffled = sample_order(len(batches), True, seed + 1, epoch).tolist()
    return [batches[number] for number in shuffled]


def place_strips(strips: list[NDArray[np.uint8]], stream: torch.Generator) -> Tensor:
    """Strips at random places of a batch: float (N, 1, ROWS, w), 0..1."""
    width = max(strip.shape[1] for strip in strips) + SLACK
    batch = torch.from_numpy(stack_strips(strips, -(-width // COLUMNS_PER_STEP) * COLUMNS_PER_STEP))
    for row, shift in zip(
        batch, torch.randint(SLACK, (len(strips),), generator=stream).tolist(), strict=True
    ):
        row[:] = row.roll(shift, dims=2)
    return batch.float() / 255


def distort(images: Tensor, stream: torch.Generator) -> Tensor:
    """Vary size, slant, place, shape, pen, contrast and noise of strips (N, 1, ROWS, w), 0..1."""
    count, _, height, width = images.shape

    def draw(deviation: float) -> Tensor:
        return deviation * torch.randn(count, generator=stream)

    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = draw(0.07).exp(), draw(0.08).exp()
    matrix[:, 0, 1] = draw(0.12) * height / width
    matrix[:, 1, 2] = draw(0.07)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    nodes = torch.randn(count, 2, height // BEND_SPACING + 1, width // BEND_SPACING + 1, generator=stream)
    bends = functional.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)
    strength = MAX_BEND * torch.rand(count, 1, 1, 1, generator=stream)
    grid = grid + (strength * bends).permute(0, 2, 3, 1) * 2 / torch.tensor([width, height])
    images = functional.grid_sample(images, grid, align_corners=False)
    kind, change = torch.rand(2, count, 1, 1, 1, generator=stream)
    thicker = functional.max_pool2d(images, 3, 1, 1) - images
    thinner = -functional.max_pool2d(-images, 3, 1, 1) - images
    images = images + change * torch.where(kind < 0.15, thicker, torch.where(kind < 0.3, thinner, 0))
    images = images * draw(0.15).exp().view(-1, 1, 1, 1)
    noise = draw(0.05).abs() * (torch.rand(count, generator=stream) < 0.5)
    images = images + noise.view(-1, 1, 1, 1) * torch.randn(images.shape, generator=stream)
    return images.clamp(0, 1)
