"""From a float network to one in whole numbers: ranges from calibration images, a scale for each output."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenet.errors import ExportError
from lenet.export.integer import (
    CONTRAST_BITS,
    GAIN_BITS,
    SCORE_BITS,
    WEIGHT_SUM,
    Array,
    Contrast,
    IntegerLayer,
    IntegerNetwork,
    Preparation,
)
from lenet.models.config import LeNetConfig, Pooling
from lenet.models.filters import MIN_CONTRAST, gaussian_rows, resizing_rows
from lenet.models.network import LeNet

Floats = NDArray[np.float64]
LARGEST_BIAS = 1 << 30
LARGEST_GAIN = 16_000  # differences times gain, and deviations times shift, stay within 32 bits
MOST_INPUTS = LARGEST_BIAS // (255 * 127)  # of one output: then bias and products stay within 32 bits


@dataclass(frozen=True)
class Bytes:
    """What bytes 0..255 stand for: scale · q + offset."""

    scale: float
    offset: float


def quantise(model: LeNet, images: Tensor) -> IntegerNetwork:
    """The network in whole numbers, for images of the size of `images`, which calibrate its ranges.

    Args:
        model: in evaluation mode.
        images: uint8 (N, 1, H, W), not the ones that the result is measured on.

    Raises ExportError where 32 bits cannot hold the network's sums, and for networks of 1989 to 1998.
    """
    config = model.config
    if config.is_classic or config.margin:
        raise ExportError("a C header cannot express the networks of 1989 to 1998; write an .onnx file")
    with torch.inference_mode():
        outputs = {name: value.numpy() for name, value in model.trace(images).items()}
    preparation, meaning = _quantise_pixels(config, images, outputs["input"])
    names = [*outputs]
    parts = [name for name, layer in model.named_children() if isinstance(layer, nn.Conv2d | nn.Linear)]
    layers = []
    for name in parts[:-1]:
        activate = model.get_submodule(names[names.index(name) + 1])
        after = names[names.index(name) + 2]
        pooling: Pooling | None = config.pooling if after.startswith("pool") else None
        before, table, following = _tabulate(activate, outputs[name])
        layers.append(_quantise_layer(model, name, meaning, before, table, pooling))
        meaning = following
    scores = Bytes(2.0**-SCORE_BITS, 0.0)
    layers.append(_quantise_layer(model, parts[-1], meaning, scores, None, None))
    _check_scores(layers[-1])
    return IntegerNetwork(preparation, _as_convolutions(layers, config))


def _quantise_pixels(config: LeNetConfig, images: Tensor, prepared: Array) -> tuple[Preparation, Bytes]:
    """How pixels become bytes, and what those stand for. `prepared` are floats, as the network sees them."""
    height, width = images.shape[2:]
    side = config.input_size
    resized = (height, width) != (side, side) and (config.fit == "resize" or max(height, width) > side)
    contrast = None
    meaning = Bytes(1 / (255 * config.pixel_std), -config.pixel_mean / config.pixel_std)
    low, high = meaning.offset, meaning.offset + 255 * meaning.scale
    if config.contrast_sigma:
        low, high = float(prepared.min()), float(prepared.max())
        scale = max(high - low, 1e-6) / 255
        meaning = Bytes(scale, -scale * round(-low / scale))  # 0 is a byte, exactly
        unit = (1 << GAIN_BITS) / scale
        gain = round(unit / config.pixel_std)
        shift = round(-unit * (meaning.offset + config.pixel_mean / config.pixel_std))
        if not 0 < gain <= LARGEST_GAIN or abs(shift) > LARGEST_GAIN:
            raise ExportError("the contrast of the calibration images is too small; write an .onnx file")
        least = round(MIN_CONTRAST * 255 * (1 << CONTRAST_BITS))
        contrast = Contrast(_round_rows(gaussian_rows(side, config.contrast_sigma)), least, gain, shift)
    if config.padding and not low <= 0 <= high:
        raise ExportError(
            f"pixel_mean is {config.pixel_mean:g}; a network that pads its input needs one within the range "
            "of the pixels for a C header; write an .onnx file"
        )
    zero = round(-meaning.offset / meaning.scale)
    rows, columns = (_round_rows(resizing_rows(n, side)) if resized else None for n in (height, width))
    zero = min(max(zero, 0), 255)  # without padding, it is not used
    return Preparation(height, width, side, config.padding, zero, rows, columns, contrast), meaning


def _round_rows(rows: Array) -> Array:
    """Rows of weights that add up to 1 as uint16 that add up to WEIGHT_SUM, by largest remainders."""
    exact = rows.astype(np.float64) / rows.sum(axis=1, keepdims=True) * WEIGHT_SUM
    whole = np.floor(exact)
    for row, remainders in zip(whole, exact - whole, strict=True):
        missing = round(WEIGHT_SUM - row.sum())
        row[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return np.asarray(whole, np.uint16)


def _tabulate(activate: nn.Module, sums: Array) -> tuple[Bytes, Array | None, Bytes]:
    """What a sum's byte stands for, the table of the activation, and what a byte of the table stands for.

    The bytes of sums cover the part of the calibrated range in which the activation changes.
    """
    grid = np.linspace(float(sums.min()), float(sums.max()), 4096)
    values = _apply(activate, grid)
    half_step = (values.max() - values.min()) / 255 / 2
    moved = np.abs(values - values[0]) > half_step
    low = grid[max(int(moved.argmax()) - 1, 0)] if moved.any() else grid[0]
    moved = np.abs(values - values[-1]) > half_step
    high = grid[min(len(grid) - int(moved[::-1].argmax()), len(grid) - 1)] if moved.any() else grid[-1]
    if isinstance(activate, nn.ReLU):
        low = 0.0  # exactly, so that the limits of a byte are the activation
    before = Bytes(max(high - low, 1e-6) / 255, low)
    values = _apply(activate, low + before.scale * np.arange(256))
    after = Bytes(max(values.max() - values.min(), 1e-6) / 255, values.min())
    table = np.rint((values - after.offset) / after.scale).astype(np.uint8)
    return before, None if (table == np.arange(256)).all() else table, after


def _apply(activate: nn.Module, values: Floats) -> Floats:
    result: Floats = activate(torch.from_numpy(values)).detach().numpy()
    return result


def _quantise_layer(
    model: LeNet, name: str, inputs: Bytes, outputs: Bytes, table: Array | None, pooling: Pooling | None
) -> IntegerLayer:
    """Weights and biases for inputs and outputs that mean this; each output has its own scale."""
    weight, bias = (
        model.get_parameter(f"{name}.{part}").detach().double().numpy() for part in ("weight", "bias")
    )
    flat = weight.reshape(len(weight), -1)
    if flat.shape[1] > MOST_INPUTS:
        raise ExportError(
            f"{name} adds up {flat.shape[1]:,} products; 32 bits hold {MOST_INPUTS:,}; write an .onnx file"
        )
    # Small weights beside a large bias: the scale is such that the bias fits.
    largest = np.abs(bias) + abs(inputs.offset) * np.abs(flat).sum(axis=1) + abs(outputs.offset)
    scales = np.maximum(np.abs(flat).max(axis=1) / 127, largest / inputs.scale / LARGEST_BIAS)
    scales = np.maximum(scales, 1e-12)
    whole = np.rint(flat / scales[:, None])
    folded = (bias + inputs.offset * scales * whole.sum(axis=1) - outputs.offset) / (scales * inputs.scale)
    # value = multiplier / 2 ** shift, with a multiplier of 31 bits
    mantissas, exponents = np.frexp(scales * inputs.scale / outputs.scale)
    shifts = 31 - exponents.astype(np.int64)
    multipliers = np.minimum(np.rint(mantissas * 2.0**31), 2.0**31 - 1) / 2.0 ** np.maximum(shifts - 62, 0)
    if shifts.min() < 1:
        raise ExportError(f"the weights of {name} are too large for 32 bits; write an .onnx file")
    return IntegerLayer(
        name,
        whole.astype(np.int8).reshape(weight.shape),
        np.rint(folded).astype(np.int32),
        np.rint(multipliers).astype(np.int32),
        np.minimum(shifts, 62).astype(np.uint8),
        table,
        pooling,
    )


def _check_scores(layer: IntegerLayer) -> None:
    """Raise ExportError where scores may need more than 32 bits."""
    weights, biases = layer.weights.astype(np.float64), layer.biases.astype(np.float64)
    sums = 255 * np.abs(weights).sum(axis=1) + np.abs(biases)
    if (
        sums * np.ldexp(layer.multipliers.astype(np.float64), -layer.shifts.astype(np.int64))
    ).max() >= 2**31 - 1:
        raise ExportError("logits may be too large for 32 bits; write an .onnx file")


def _as_convolutions(layers: list[IntegerLayer], config: LeNetConfig) -> tuple[IntegerLayer, ...]:
    """The same with weights (outputs, inputs, kernel, kernel): a dense layer's kernel is its whole input."""
    channels = config.channels[-1]
    done = []
    for number, layer in enumerate(layers):
        weights = layer.weights
        if number == len(config.channels):
            side = round((weights.shape[1] / channels) ** 0.5)
            weights = weights.reshape(len(weights), channels, side, side)
        elif weights.ndim == 2:
            weights = weights[:, :, None, None]
        done.append(replace(layer, weights=weights))
    return tuple(done)
