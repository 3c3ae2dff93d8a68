"""Names images of single digits with a LeNet: test-time augmentation, and a second network's opinion."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lenet.models.inference import DigitNetwork

Floats = NDArray[np.float32]
BATCH = 1024  # crops per pass of the network: bounds the memory
SHEAR = 0.25
ROTATION = math.radians(8)
TEST_TIME_TRANSFORMS: Floats = np.array(
    [
        [[1, 0, 0], [0, 1, 0]],
        *([[1, shear, 0], [0, 1, 0]] for shear in (-SHEAR, SHEAR)),
        *(
            [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]
            for angle in (-ROTATION, ROTATION)
        ),
    ],
    np.float32,
)
"""(transforms, 2, 3): each maps an output point (x, y, 1), from -1 to 1, to its input point."""


def classify(
    network: DigitNetwork, images: Sequence[NDArray[np.uint8]], augmented: bool = True
) -> NDArray[np.float64]:
    """The class probabilities (N, classes) of images uint8 (28, 28) each.

    Full images, such as clothes, have no slant, so they are classified without augmentation.
    """
    batch = np.stack(images)[:, None]  # (N, 1, 28, 28)
    chunks = [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]
    rows = [
        average_augmented(network, chunk) if augmented else network.compute_probabilities(chunk)
        for chunk in chunks
    ]
    return np.concatenate(rows).astype(np.float64)


def average_augmented(network: DigitNetwork, images: NDArray[np.uint8]) -> Floats:
    """The probabilities (N, classes) of uint8 images (N, 1, H, W), averaged over TEST_TIME_TRANSFORMS
    (test-time augmentation)."""
    rows = network.compute_probabilities(apply_transforms(images))
    mean: Floats = rows.reshape(len(TEST_TIME_TRANSFORMS), len(images), -1).mean(axis=0)
    return mean


def apply_transforms(images: NDArray[np.uint8]) -> Floats:
    """Every image (N, 1, H, W) under each of TEST_TIME_TRANSFORMS: floats 0..1 (transforms · N, 1, H, W)."""
    count, _, height, width = images.shape
    pixels = np.zeros((count, height * width + 1), np.float32)  # the last one is what lies outside
    pixels[:, :-1] = images.reshape(count, -1) / np.float32(255)
    augmented = np.empty((len(TEST_TIME_TRANSFORMS), count, height * width), np.float32)
    augmented[0] = pixels[:, :-1]  # resampling the identity would add rounding errors
    places, weights = find_neighbours(height, width)
    for target, own, shares in zip(augmented[1:], places, weights, strict=True):
        np.einsum("npk,pk->np", pixels[:, own], shares, out=target)
    return augmented.reshape(-1, 1, height, width)


@lru_cache(maxsize=4)
def find_neighbours(height: int, width: int) -> tuple[NDArray[np.int64], Floats]:
    """The four pixels around the place that each pixel is taken from, and their bilinear weights.

    Both are (transforms - 1, H · W, 4), without the identity; pixels outside have the number H · W.
    """
    y, x = np.divmod(np.arange(height * width), width)
    centres = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1, np.ones(len(x))])
    points = TEST_TIME_TRANSFORMS[1:].astype(np.float64) @ centres  # (transforms - 1, 2, H · W)
    columns, rows = ((points[:, 0] + 1) * width - 1) / 2, ((points[:, 1] + 1) * height - 1) / 2
    places, weights = [], []
    for down in (0, 1):
        for across in (0, 1):
            row, column = np.floor(rows) + down, np.floor(columns) + across
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            places.append(np.where(inside, row * width + column, height * width).astype(np.int64))
            weights.append((1 - np.abs(rows - row)) * (1 - np.abs(columns - column)))
    return np.stack(places, axis=2), np.stack(weights, axis=2).astype(np.float32)


def combine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The geometric mean of two networks' probabilities (N, classes); what is missing to 1 counts, too."""
    with_rest = [np.column_stack([rows, np.clip(1 - rows.sum(axis=1), 0, 1)]) for rows in (one, other)]
    both = np.sqrt(np.maximum(with_rest[0], 1e-9) * np.maximum(with_rest[1], 1e-9))
    mean: NDArray[np.float64] = (both / both.sum(axis=1, keepdims=True))[:, :-1]
    return mean
