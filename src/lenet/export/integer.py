"""A network in whole numbers: the arithmetic of the C header, in numpy, bit for bit.

Activations are bytes, weights are signed bytes, sums have 32 bits. Every layer is a convolution: a dense
layer has the kernel of its whole input. A byte q stands for scale · q + offset; offsets are in the biases, so
that the arithmetic needs no zero points.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenet.models.config import Pooling
from lenet.models.layers import POOL

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

WEIGHT_BITS = 12  # rows of weights for averages add up to 2 ** WEIGHT_BITS
WEIGHT_SUM = 1 << WEIGHT_BITS
CONTRAST_BITS = 7  # means and deviations are in 1/128 of a pixel's level
SQUARE_BITS = 10  # of a squared difference that are dropped: its unit is then 1/16
GAIN_BITS = 6
SCORE_BITS = 8  # a score is a logit in 1/256
BATCH = 500  # images at once: their windows take tens of megabytes


@dataclass(frozen=True, eq=False)
class Contrast:
    """Local contrast normalisation: a byte is gain · difference / deviation + shift, both in 1/64."""

    weights: Array
    """uint16 (side, side): of the Gaussian, see `normalise_contrast` of the float network."""
    least_deviation: int
    gain: int
    shift: int


@dataclass(frozen=True, eq=False)
class Preparation:
    """From bytes (height, width) to the bytes that the first convolution sees, with a border of zeros."""

    height: int
    width: int
    side: int
    padding: int
    zero: int
    """The byte that stands for 0 and fills the border."""
    rows: Array | None
    """uint16 (side, height): the weights of a resize, down; None where images are padded or fit."""
    columns: Array | None
    """uint16 (side, width): the same, across."""
    contrast: Contrast | None

    @property
    def padded_side(self) -> int:
        """Side of what the first convolution sees."""
        return self.side + 2 * self.padding

    def prepare(self, images: Array) -> Bytes:
        """Bytes (N, padded_side, padded_side) of images (N, height, width)."""
        pixels = images.astype(np.int64)
        if self.rows is not None and self.columns is not None:
            pixels = weigh(weigh(pixels, self.columns, 0).mT, self.rows, 2 * WEIGHT_BITS).mT
        else:
            top, left = (self.side - self.height) // 2, (self.side - self.width) // 2
            bottom, right = self.side - self.height - top, self.side - self.width - left
            pixels = np.pad(pixels, ((0, 0), (top, bottom), (left, right)))
        if self.contrast is not None:
            pixels = normalise_bytes(pixels, self.contrast)
        border = (self.padding, self.padding)
        return np.pad(pixels.astype(np.uint8), ((0, 0), border, border), constant_values=self.zero)


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """Convolution or dense layer, activation and pooling."""

    name: str
    weights: Array
    """int8 (outputs, inputs, kernel, kernel)."""
    biases: Array
    """int32 (outputs,)."""
    multipliers: Array
    """int32 (outputs,): a sum becomes a byte by multiplier / 2 ** shift."""
    shifts: Array
    """uint8 (outputs,), 1 to 62."""
    table: Array | None
    """uint8 (256,): the activation; None where the limits of a byte are the activation, as for ReLU."""
    pooling: Pooling | None


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Preparation and layers; the last layer's sums become scores."""

    preparation: Preparation
    layers: tuple[IntegerLayer, ...]

    def compute_scores(self, images: Array) -> NDArray[np.int32]:
        """Scores int32 (N, classes), logits in 1/256, of images uint8 (N, height, width)."""
        return np.concatenate([self._run(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])

    def _run(self, images: Array) -> NDArray[np.int32]:
        maps = self.preparation.prepare(images)[:, None]  # (N, channels, side, side)
        for layer in self.layers[:-1]:
            values = requantise(add_up(layer, maps), layer).clip(0, 255).astype(np.uint8)
            values = values if layer.table is None else np.asarray(layer.table[values])
            maps = values if layer.pooling is None else pool(values, layer.pooling)
        scores: NDArray[np.int32] = requantise(add_up(self.layers[-1], maps), self.layers[-1]).astype(
            np.int32
        )
        return scores[:, :, 0, 0]


def add_up(layer: IntegerLayer, maps: Bytes) -> Integers:
    """Sums (N, outputs, rows, columns), biases included, of maps (N, inputs, side, side)."""
    outputs, inputs, kernel, _ = layer.weights.shape
    windows = np.lib.stride_tricks.sliding_window_view(maps, (kernel, kernel), (2, 3))
    shape = (len(maps), windows.shape[2], windows.shape[3], outputs)
    # Floats multiply fast, and are exact: those of 32 bits up to 2 ** 24.
    size = inputs * kernel**2
    exact = np.float32 if size * 255 * 127 < 1 << 24 else np.float64
    flat = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, size).astype(exact)
    products = flat @ layer.weights.reshape(outputs, -1).T.astype(exact)
    sums: Integers = products.astype(np.int64).reshape(shape).transpose(0, 3, 1, 2)
    return sums + layer.biases.astype(np.int64)[:, None, None]


def requantise(sums: Integers, layer: IntegerLayer) -> Integers:
    """Sums times multiplier / 2 ** shift of each output; halves are rounded away from zero."""
    multipliers = layer.multipliers.astype(np.int64)[:, None, None]
    shifts = layer.shifts.astype(np.int64)[:, None, None]
    products = sums * multipliers
    sizes = (np.abs(products) + (1 << (shifts - 1))) >> shifts
    return np.asarray(np.where(products < 0, -sizes, sizes))


def pool(values: Bytes, pooling: Pooling) -> Bytes:
    """2×2 with stride 2; the odd last row or column is dropped, halves of averages are rounded up."""
    count, channels, rows, columns = (*values.shape[:2], values.shape[2] // POOL, values.shape[3] // POOL)
    blocks = values[:, :, : rows * POOL, : columns * POOL].reshape(count, channels, rows, POOL, columns, POOL)
    if pooling == "max":
        return np.asarray(blocks.max(axis=(3, 5)))
    sums = blocks.sum(axis=(3, 5), dtype=np.int64)
    return np.asarray((sums + POOL**2 // 2) // POOL**2, np.uint8)


def weigh(planes: Integers, weights: Array, bits: int) -> Integers:
    """Weighted sums along the last axis, in units of 2 ** bits, rounded: (N, R, V), (W, V) to (N, R, W)."""
    sums: Integers = planes @ weights.astype(np.int64).T
    return (sums + (1 << bits >> 1)) >> bits


def normalise_bytes(pixels: Integers, contrast: Contrast) -> Integers:
    """Pixels (N, side, side), 0..255, with their contrast normalised, as bytes; all fits in 32 bits."""
    weights = contrast.weights
    means = weigh(weigh(pixels, weights, 0).mT, weights, 2 * WEIGHT_BITS - CONTRAST_BITS).mT
    differences = (pixels << CONTRAST_BITS) - means
    squares = differences**2 >> SQUARE_BITS
    variances = weigh(weigh(squares, weights, WEIGHT_BITS).mT, weights, WEIGHT_BITS).mT
    deviations = np.sqrt(variances << SQUARE_BITS).astype(np.int64)  # floats of 64 bits: exact
    deviations = np.maximum(deviations, contrast.least_deviation)
    products = differences * contrast.gain + deviations * (contrast.shift + (1 << GAIN_BITS >> 1))
    found: Integers = np.maximum(products, 0) // (deviations << GAIN_BITS)
    return np.minimum(found, 255)
