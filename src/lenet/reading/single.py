"""Names images of single digits with a LeNet: test-time augmentation, and a second network's opinion."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lenet.models.network import LeNet

BATCH = 1024  # crops per pass of the network: bounds the memory
SHEAR = 0.25
ROTATION = math.radians(8)
TEST_TIME_TRANSFORMS = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0]],
        *([[1, shear, 0], [0, 1, 0]] for shear in (-SHEAR, SHEAR)),
        *(
            [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]
            for angle in (-ROTATION, ROTATION)
        ),
    ]
)
"""(transforms, 2, 3), as `torch.nn.functional.affine_grid` takes them."""


def classify(
    model: LeNet, images: Sequence[NDArray[np.uint8]], augmented: bool = True
) -> NDArray[np.float64]:
    """The class probabilities (N, classes) of images uint8 (28, 28) each.

    Full images, such as clothes, have no slant, so they are classified without augmentation.
    """
    batch = torch.from_numpy(np.stack(images)).unsqueeze(1)  # (N, 1, 28, 28)
    device = next(model.parameters()).device
    compute = partial(average_augmented, model) if augmented else model.probabilities
    with torch.inference_mode():
        chunks = [compute(chunk.to(device)) for chunk in batch.split(BATCH)]
    rows: NDArray[np.float64] = torch.cat(chunks).double().cpu().numpy()
    return rows


def average_augmented(model: LeNet, images: Tensor) -> Tensor:
    """The probabilities (N, classes) of uint8 images (N, 1, H, W), averaged over TEST_TIME_TRANSFORMS
    (test-time augmentation)."""
    pixels = images.float() / 255
    augmented = pixels.repeat(len(TEST_TIME_TRANSFORMS), 1, 1, 1)  # (transforms · N, 1, H, W)
    matrices = TEST_TIME_TRANSFORMS.to(images.device).repeat_interleave(len(images), dim=0)
    grid = functional.affine_grid(matrices, list(augmented.shape), align_corners=False)
    augmented = functional.grid_sample(augmented, grid, align_corners=False)
    augmented[: len(images)] = pixels  # resampling the identity would add rounding errors
    return model.probabilities(augmented).view(len(TEST_TIME_TRANSFORMS), len(images), -1).mean(dim=0)


def combine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The geometric mean of two networks' probabilities (N, classes); what is missing to 1 counts, too."""
    with_rest = [np.column_stack([rows, np.clip(1 - rows.sum(axis=1), 0, 1)]) for rows in (one, other)]
    both = np.sqrt(np.maximum(with_rest[0], 1e-9) * np.maximum(with_rest[1], 1e-9))
    mean: NDArray[np.float64] = (both / both.sum(axis=1, keepdims=True))[:, :-1]
    return mean
