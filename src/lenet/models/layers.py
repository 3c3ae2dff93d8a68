"""The layers that a configuration describes: names, kinds, shapes and counts. No torch.

This is the one place that knows them; the network is built from it and the summary is printed from it, so
the two cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lenet.errors import ModelError
from lenet.models.classic import COPIES, LINKS

if TYPE_CHECKING:
    from lenet.models.config import LeNetConfig

POOL = 2
ACTIVATION_KINDS: dict[str, str] = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "leaky-relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "scaled-tanh": "ScaledTanh",
}
CONVOLUTION_KINDS = ("Conv2d", "PartialConv2d", "StridedConv2d")
POOLING_KINDS: dict[str, str] = {"avg": "AvgPool2d", "max": "MaxPool2d", "sum": "Subsampling"}


@dataclass(frozen=True)
class Layer:
    """One row of the summary: what a layer is called, what it is, and what leaves it for one image."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    connections: int = 0
    """Weights and biases as the paper counts them: a shared one counts wherever it is used."""


def list_layers(config: LeNetConfig) -> tuple[Layer, ...]:
    """Every layer in order, for an input of (1, input_size, input_size).

    Raises ModelError naming the first layer that has no room.
    """
    layers: list[Layer] = []
    inputs, side = 1, config.input_size
    is_strided = config.pooling == "stride"
    for number, outputs in enumerate(config.channels, 1):
        padding = config.padding if number == 1 or is_strided else 0
        before, room = side, side + 2 * padding - config.kernel_size
        if room < 0:
            raise ModelError(
                f"conv{number}: a {config.kernel_size}×{config.kernel_size} kernel does not fit on "
                f"{before}×{before} with padding {padding}; take fewer convolutions, a smaller kernel "
                "or a larger input"
            )
        side = room // (POOL if is_strided else 1) + 1
        name, shape = f"conv{number}", (outputs, side, side)
        links = find_links(config, name, inputs, outputs)
        is_partial = number == 2 and config.wiring != "full"
        kind = "StridedConv2d" if is_strided else "PartialConv2d" if is_partial else "Conv2d"
        layers.append(_layer(name, kind, shape, sum(map(len, links)) * config.kernel_size**2, side * side))
        layers.append(
            Layer(
                f"{config.activation.replace('-', '_')}{number}", ACTIVATION_KINDS[config.activation], shape
            )
        )
        if side >= POOL and not is_strided:
            side //= POOL
            if number == 1:
                outputs *= COPIES.get(config.wiring, 1)
            layers += _pool(config, number, (outputs, side, side))
        inputs = outputs
    width = inputs * side * side
    layers.append(Layer("flatten", "Flatten", (width,)))
    for number, outputs in enumerate(config.hidden, 1):
        layers.append(_layer(f"dense{number}", "Linear", (outputs,), width * outputs))
        name = f"{config.activation.replace('-', '_')}{len(config.channels) + number}"
        layers.append(Layer(name, ACTIVATION_KINDS[config.activation], (outputs,)))
        if config.dropout:
            layers.append(Layer(f"dropout{number}", "Dropout", (outputs,)))
        width = outputs
    if config.output == "rbf":
        adds = width * config.classes
        layers.append(Layer("output", "RadialBasis", (config.classes,), 0, adds, adds))
    else:
        layers.append(_layer("output", "Linear", (config.classes,), width * config.classes))
    return tuple(layers)


def find_links(config: LeNetConfig, name: str, inputs: int, outputs: int) -> tuple[tuple[int, ...], ...]:
    """For each output map of the convolution `name`, the input maps that it sees."""
    if name == "conv2" and config.wiring != "full":
        return LINKS[config.wiring]
    return (tuple(range(inputs)),) * outputs


def _pool(config: LeNetConfig, number: int, shape: tuple[int, int, int]) -> list[Layer]:
    """The pooling behind a convolution; with its activation where it is trained."""
    kind, (maps, side, _) = POOLING_KINDS[config.pooling], shape
    if config.pooling != "sum":
        return [Layer(f"pool{number}", kind, shape)]
    units = maps * side * side
    pool = Layer(f"pool{number}", kind, shape, 2 * maps, units, units * (POOL**2 + 1))
    return [
        pool,
        Layer(
            f"pool{number}_{config.activation.replace('-', '_')}", ACTIVATION_KINDS[config.activation], shape
        ),
    ]


def find_shapes(config: LeNetConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its name: conv1.weight, conv1.bias, …, output.bias."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 1
    for layer in config.layers():
        outputs, name = layer.output_shape[0], layer.name
        links = sum(map(len, find_links(config, name, inputs, outputs)))
        kernel = (config.kernel_size, config.kernel_size)
        weight: dict[str, tuple[int, ...]] = {
            "Conv2d": (outputs, inputs, *kernel),
            "PartialConv2d": (links, *kernel),
            "StridedConv2d": (links, *kernel),
            "Subsampling": (outputs,),
            "Linear": (outputs, inputs),
            "RadialBasis": (outputs, inputs),
        }
        if layer.kind in weight:
            bias = layer.output_shape if layer.kind == "StridedConv2d" else (outputs,)
            shapes |= {f"{name}.weight": weight[layer.kind], f"{name}.bias": bias}
        if layer.kind == "RadialBasis":
            shapes[f"{name}.scale"] = (outputs,)
        inputs = outputs
    return shapes


def _layer(name: str, kind: str, shape: tuple[int, ...], weights: int, places: int = 1) -> Layer:
    """A layer whose weights are used at so many places; its biases as well, save for those of 1989."""
    biases = prod(shape) if kind == "StridedConv2d" else shape[0]
    return Layer(name, kind, shape, weights + biases, weights * places, (weights + shape[0]) * places)
