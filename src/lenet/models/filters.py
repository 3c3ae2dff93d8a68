"""Filters along a side of an image, as matrices: what multiplies every row or column from the left."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

NEGLIGIBLE = 1e-12  # weight; a product with denormal numbers would take three times as long
MIN_CONTRAST = 0.1  # standard deviation of pixels 0..1 around: what is flatter is paper and stays flat


@lru_cache(maxsize=16)
def gaussian_rows(side: int, sigma: float) -> NDArray[np.float32]:
    """The weight of each place along a side in the mean around each: (side, side), rows add up to 1.

    Beyond the ends everything is as at the ends. An array and no tensor: a tensor that is made while a
    network is exported or on the meta device has no values, and must not be kept.
    """
    places = np.arange(side, dtype=np.float64)
    reach = np.arange(-side, 2 * side, dtype=np.float64)
    weights = np.exp(-0.5 * ((places[:, None] - reach) / sigma) ** 2)  # (side, 3 · side)
    weights /= weights.sum(axis=1, keepdims=True)
    inner = weights[:, side : 2 * side].copy()
    inner[:, 0] += weights[:, :side].sum(axis=1)
    inner[:, -1] += weights[:, 2 * side :].sum(axis=1)
    inner[inner < NEGLIGIBLE] = 0
    return inner.astype(np.float32)


@lru_cache(maxsize=64)
def resizing_rows(side: int, wanted: int) -> NDArray[np.float32]:
    """What resizes a side to `wanted` pixels: (wanted, side), rows add up to 1.

    Bilinear and antialiased, as `torch.nn.functional.interpolate` does it.
    """
    scale = side / wanted
    middles = scale * (np.arange(wanted) + 0.5)[:, None]
    weights = np.maximum(0, 1 - np.abs(np.arange(side) + 0.5 - middles) / max(scale, 1))
    rows: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows
