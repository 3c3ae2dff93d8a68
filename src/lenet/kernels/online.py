"""A step of gradient descent for each image, in order, with a rate for each weight: networks of 1989 to 1998.

PyTorch takes milliseconds for a step on one image; this takes some ten microseconds. Every layer is followed
by 1.7159 · tanh(2/3 · a), and the output is a dense layer or the distances from bitmaps. One thread; equal
arguments give equal bits on one instruction set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lenet.kernels.library import check, integers, load_library
from lenet.kernels.tensors import pointer, pointers

KERNEL = 5  # side of every convolution's kernels
FRAME = 2  # pixels of -1 around the input of a strided convolution
MAX_CLASSES = 64
KINDS = ("convolution", "subsampling", "dense", "strided")
LOSSES = ("cross-entropy", "bipolar-squared-error")


@dataclass(frozen=True)
class OnlineLayer:
    """A layer with its name, which its tensors have: NAME.weight and NAME.bias."""

    name: str
    kind: Literal["convolution", "subsampling", "dense", "strided"]
    outputs: int
    links: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    """Of a convolution, strided or not: the pairs (output map, input map), in the order of its kernels."""


@dataclass(frozen=True)
class OnlineNetwork:
    """Convolutions, each with a subsampling layer behind it, or strided ones; dense layers; the output.

    A strided convolution goes in steps of 2 over a frame of -1 and has a bias for each unit, as in 1989.
    """

    side: int
    """Of the images, as the first layer sees them."""
    layers: tuple[OnlineLayer, ...]
    output: str
    """Its name; bitmaps also have NAME.scale."""
    classes: int
    loss: Literal["cross-entropy", "bipolar-squared-error"]
    has_bitmaps: bool
    has_reject_class: bool


def is_available() -> bool:
    """Whether the compiled kernel is there."""
    return load_library()[0] is not None


def learn_online(
    network: OnlineNetwork,
    tensors: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    pixels: Tensor,
    labels: Tensor,
) -> Tensor:
    """Change the weights in `tensors` by one step for each image.

    Args:
        network: the layers.
        tensors: weights and biases by name, float32 on the CPU in one piece: changed in place.
        rates: the rate of each number in `tensors`, by the same name; bitmaps need none.
        pixels: float32 (N, 1, side, side).
        labels: int64 (N,).

    Returns:
        The logits (N, classes) of each image before its step. Raises RuntimeError where there is no kernel,
        or where it cannot compute the network.
    """
    library = load_library()[0]
    if library is None:
        raise RuntimeError("the compiled kernel is missing")
    names = [*(layer.name for layer in network.layers), network.output]
    weights, biases = ([tensors[f"{name}.{part}"] for name in names] for part in ("weight", "bias"))
    trained = names[: None if not network.has_bitmaps else -1]
    weight_rates, bias_rates = (
        [rates[f"{name}.{part}"].contiguous() for name in trained] for part in ("weight", "bias")
    )
    for tensor in (*weights, *biases):
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu" or not tensor.is_contiguous():
            raise RuntimeError("weights must be float32 on the CPU, in one piece")
    pixels, labels = pixels.contiguous(), labels.contiguous()
    scale = tensors.get(f"{network.output}.scale")
    logits = torch.empty(len(pixels), network.classes)
    check(
        library.lenet_online_learn(
            integers(_describe(network)),
            integers([number for layer in network.layers for link in layer.links for number in link]),
            len(pixels),
            pointer(pixels),
            pointer(labels),
            pointers(weights),
            pointers(biases),
            pointers(weight_rates),
            pointers(bias_rates),
            pointer(scale),
            pointer(logits),
        )
    )
    return logits


def _describe(network: OnlineNetwork) -> Sequence[int]:
    """The network as C takes it; see online.h."""
    numbers = [len(network.layers), network.side, network.classes, LOSSES.index(network.loss)]
    numbers += [int(network.has_bitmaps), int(network.has_reject_class)]
    for layer in network.layers:
        numbers += [KINDS.index(layer.kind), layer.outputs, len(layer.links)]
    return numbers
