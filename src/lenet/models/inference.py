"""The networks in the kernel's inference: arrays in, arrays out, in one call, without torch.

`pack_lenet` and `pack_line` give None where the compiled kernel is missing or cannot compute the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lenet.errors import ModelError
from lenet.kernels.infer import Floats, NetworkLayer, PackedNetwork, pack_network
from lenet.models.config import LeNetConfig
from lenet.models.filters import MIN_CONTRAST, gaussian_rows, resizing_rows
from lenet.models.layers import POOL
from lenet.models.line_config import BLANK, CONVOLUTIONS, FRAMES_PER_STEP
from lenet.models.stored import StoredCheckpoint

if TYPE_CHECKING:
    from lenet.models.checkpoint import Checkpoint
    from lenet.models.line import LineCheckpoint

    Source = Checkpoint | LineCheckpoint | StoredCheckpoint

Tensors = Mapping[str, NDArray[Any]]
"""Weights and biases by name, as in a checkpoint: conv1.weight, …, output.bias."""


class DigitNetwork(Protocol):
    """What names single images."""

    config: LeNetConfig

    def compute_logits(self, images: NDArray[np.uint8] | Floats, threads: int | None = None) -> Floats:
        """Logits (N, classes) of images (N, 1, H, W), bytes 0..255 or floats 0..1."""

    def compute_probabilities(self, images: NDArray[np.uint8] | Floats) -> Floats:
        """The probability of each class: (N, classes)."""


class StripNetwork(Protocol):
    """What names the frames of lines."""

    def compute_logits(self, strips: NDArray[np.uint8] | Floats) -> Floats:
        """Logits (N, frames, 11) of strips (N, 1, ROWS, w), bytes or floats 0..1."""


class PackedLeNet:
    """A LeNet whose weights are packed for the kernel. Threads may share it."""

    def __init__(self, network: PackedNetwork, config: LeNetConfig) -> None:
        self.network, self.config = network, config

    def compute_logits(self, images: NDArray[np.uint8] | Floats, threads: int | None = None) -> Floats:
        """Logits (N, classes) of images (N, 1, H, W), bytes 0..255 or floats 0..1.

        `threads` are those of `PackedNetwork.run`. Raises ModelError on other shapes and types.
        """
        if images.ndim != 4 or images.shape[1] != 1 or images.dtype not in (np.uint8, np.float32):
            raise ModelError(
                f"images are {images.dtype} {images.shape}; uint8 or float32 (N, 1, H, W) is needed"
            )
        fitted = fit_images(images, self.config)
        return self.network.run(fitted, threads).reshape(len(images), self.config.classes)

    def compute_probabilities(self, images: NDArray[np.uint8] | Floats) -> Floats:
        """The probability of each class (N, classes); with `reject_class`, rows add up to less than 1."""
        return as_probabilities(self.compute_logits(images), self.config)


class PackedLine:
    """A line network whose weights are packed for the kernel. Threads may share it."""

    def __init__(self, network: PackedNetwork) -> None:
        self.network = network

    def compute_logits(self, strips: NDArray[np.uint8] | Floats) -> Floats:
        """Logits (N, frames, 11) of strips (N, 1, ROWS, w); w is a multiple of 4."""
        results = self.network.run(strips)  # (N, 1, steps, 22)
        count, _, steps, _ = results.shape
        split = results.reshape(count, steps, BLANK + 1, FRAMES_PER_STEP)
        return split.transpose(0, 1, 3, 2).reshape(count, FRAMES_PER_STEP * steps, BLANK + 1)


def pack_lenet(config: LeNetConfig, tensors: Tensors) -> PackedLeNet | None:
    """Pack a LeNet with the weights of a checkpoint."""
    if config.is_classic:
        return None
    layers: list[NetworkLayer] = []
    inputs = (1, config.input_size, config.input_size)
    kinds = [layer for layer in config.layers() if layer.kind != "Dropout"]
    for layer, after, following in zip(kinds, [*kinds[1:], None], [*kinds[2:], None, None], strict=True):
        if layer.kind in ("Conv2d", "Linear"):
            dense = layer.kind == "Linear"
            weight = tensors[f"{layer.name}.weight"]
            pools = following is not None and following.kind.endswith("Pool2d")
            layers.append(
                NetworkLayer(
                    weight.reshape(len(weight), *inputs) if dense else weight,
                    tensors[f"{layer.name}.bias"],
                    padding=(config.padding, config.padding) if layer.name == "conv1" else (0, 0),
                    activation=config.activation if after else "identity",
                    pooling=config.pooling if pools else "none",
                    window=(POOL, POOL) if pools else (1, 1),
                    dense=dense,
                )
            )
        if layer.kind == "Linear":
            inputs = (layer.output_shape[0], 1, 1)
        elif len(layer.output_shape) == 3:
            inputs = layer.output_shape
    sigma = config.contrast_sigma
    network = pack_network(
        layers,
        mean=config.pixel_mean,
        deviation=config.pixel_std,
        gaussian=gaussian_rows(config.input_size, sigma) if sigma else None,
        minimum_contrast=MIN_CONTRAST,
    )
    return None if network is None else PackedLeNet(network, config)


def pack_line(tensors: Tensors) -> PackedLine | None:
    """Pack a line network with the weights of a checkpoint, of 16 or 32 bits."""
    layers = [
        NetworkLayer(
            tensors[f"conv{number}.weight"],
            tensors[f"conv{number}.bias"],
            padding=part.padding,
            activation="relu",
            pooling="none" if part.pooling == (1, 1) else "max",
            window=part.pooling,
        )
        for number, part in enumerate(CONVOLUTIONS, 1)
    ]
    network = pack_network([*layers, NetworkLayer(tensors["output.weight"], tensors["output.bias"])])
    return None if network is None else PackedLine(network)


def open_lenet(source: Source) -> DigitNetwork:
    """What computes a LeNet for arrays: the kernel where it can, else PyTorch."""
    if isinstance(source, StoredCheckpoint) and isinstance(source.network, LeNetConfig):
        packed = pack_lenet(source.network, source.tensors)
        if packed is not None:
            return packed
    from lenet.models.torch_inference import open_lenet_module  # imports torch

    return open_lenet_module(source)


def open_line(source: Source) -> StripNetwork:
    """What computes a line network for arrays: the kernel where it can, else PyTorch."""
    if isinstance(source, StoredCheckpoint):
        packed = pack_line(source.tensors)
        if packed is not None:
            return packed
    from lenet.models.torch_inference import open_line_module  # imports torch

    return open_line_module(source)


def as_probabilities(logits: Floats, config: LeNetConfig) -> Floats:
    """The probability of each class (N, classes) from logits (N, classes); with `reject_class`, rows add up
    to less than 1."""
    highest = logits.max(axis=1, keepdims=True)
    if config.reject_class:  # its logit is 0
        highest = np.maximum(highest, 0)
    shares = np.exp(logits - highest)
    total = shares.sum(axis=1, keepdims=True)
    probabilities: Floats = shares / (total + np.exp(-highest) if config.reject_class else total)
    return probabilities


def fit_images(images: NDArray[np.uint8] | Floats, config: LeNetConfig) -> NDArray[np.uint8] | Floats:
    """Images (N, 1, H, W), padded with 0 or resized to the network's square, as `fit_within` does it."""
    if config.margin:
        frame = (config.margin, config.margin)
        inner = replace(config, input_size=config.input_size - 2 * config.margin, margin=0)
        within: NDArray[Any] = np.pad(fit_images(images, inner), ((0, 0), (0, 0), frame, frame))
        return within
    side, (height, width) = config.input_size, images.shape[2:]
    if (height, width) == (side, side):
        return images
    if config.fit == "pad" and height <= side and width <= side:
        top, left = (side - height) // 2, (side - width) // 2
        around = (0, 0), (0, 0), (top, side - height - top), (left, side - width - left)
        padded: NDArray[Any] = np.pad(images, around)
        return padded
    pixels: Floats = images.astype(np.float32)
    if images.dtype == np.uint8:
        pixels /= 255
    rows, columns = resizing_rows(height, side), resizing_rows(width, side)
    resized: NDArray[Any] = rows @ pixels @ columns.T
    return resized
