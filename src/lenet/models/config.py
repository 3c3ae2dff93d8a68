"""What a LeNet is made of, as plain numbers: no torch, so that help texts and tables come at once.

`LeNetConfig.layers()` is the one place that knows the order and the shapes of the layers; the network is
built from it and the summary is printed from it, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from math import prod
from typing import Any, Literal, get_args

from lenet.errors import ModelError

Activation = Literal["sigmoid", "tanh", "relu", "leaky-relu", "elu", "gelu", "silu"]
Pooling = Literal["avg", "max"]
Fit = Literal["pad", "resize"]
Initialisation = Literal["default", "xavier", "kaiming"]

LARGEST_SIDE = 512
LARGEST_WIDTH = 8192
MOST_PARAMETERS = 50_000_000  # 200 MB: a card from a stranger cannot ask for more memory than this
MOST_OUTPUTS = 10_000_000  # of one layer for one image, for the same reason
POOL = 2


@dataclass(frozen=True)
class Layer:
    """One row of the summary: what a layer is called, what it is, and what leaves it for one image."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0


@dataclass(frozen=True)
class LeNetConfig:
    """A convolutional network after LeCun et al. 1998: convolutions with pooling, then dense layers.

    The defaults are the 61,706-parameter network of the textbooks with today's activation and pooling.
    Raises ModelError where the numbers make no network, naming the layer.
    """

    input_size: int = 28
    """Side in pixels of the square image that the first convolution sees."""
    channels: tuple[int, ...] = (6, 16)
    """Output channels of each convolution."""
    kernel_size: int = 5
    """Side of every convolution kernel."""
    padding: int = 2
    """Zeros around the input of the first convolution; the later ones have none."""
    activation: Activation = "relu"
    """After every convolution and every hidden dense layer."""
    pooling: Pooling = "max"
    """2×2 with stride 2 after every convolution, as long as there is more than one pixel left to pool."""
    hidden: tuple[int, ...] = (120, 84)
    """Widths of the dense layers before the output."""
    classes: int = 10
    """Number of logits."""
    dropout: float = 0.0
    """Share of each hidden dense layer's outputs silenced in training."""
    pixel_mean: float = 0.0
    """Subtracted from pixels scaled to 0..1."""
    pixel_std: float = 1.0
    """What the difference is divided by."""
    fit: Fit = "pad"
    """How smaller images become `input_size`: zeros around them, or resized. Larger ones are resized."""
    neighbourhood: float = 0.0
    """Local contrast normalisation: each pixel is set against those around it, by a Gaussian of this standard
    deviation in pixels, for its brightness and for its contrast. 0 leaves it out."""
    background: bool = False
    """Whether it also learns what belongs to no class: a further logit, fixed at 0, that needs no weights."""

    def __post_init__(self) -> None:
        for name in ("channels", "hidden"):
            value = getattr(self, name)
            if isinstance(value, list):  # as JSON gives it
                object.__setattr__(self, name, tuple(value))
            elif not isinstance(value, tuple):
                raise ModelError(f"{name} must be a list of whole numbers, not {value!r}")
        if not self.channels:
            raise ModelError("channels is empty; a LeNet has at least one convolution")
        if len(self.channels) + len(self.hidden) > 100:
            raise ModelError("more than 100 layers; this is a LeNet")
        _check_whole("input_size", self.input_size, 1, LARGEST_SIDE)
        _check_whole("kernel_size", self.kernel_size, 1, LARGEST_SIDE)
        _check_whole("padding", self.padding, 0, LARGEST_SIDE)
        _check_whole("classes", self.classes, 2, LARGEST_WIDTH)
        for name in ("channels", "hidden"):
            for value in getattr(self, name):
                _check_whole(name, value, 1, LARGEST_WIDTH)
        _check_choice("activation", self.activation, get_args(Activation))
        _check_choice("pooling", self.pooling, get_args(Pooling))
        _check_choice("fit", self.fit, get_args(Fit))
        if not isinstance(self.background, bool):
            raise ModelError(f"background is {self.background!r}; it must be true or false")
        _check_number("dropout", self.dropout, 0, 0.99)
        _check_number("pixel_mean", self.pixel_mean, -1000, 1000)
        _check_number("pixel_std", self.pixel_std, 1e-6, 1000)
        _check_number("neighbourhood", self.neighbourhood, 0, LARGEST_SIDE)
        if self.parameters > MOST_PARAMETERS:
            raise ModelError(f"{self.parameters:,} parameters; at most {MOST_PARAMETERS:,} are taken")
        largest = max(self.layers(), key=lambda layer: prod(layer.output_shape))
        if prod(largest.output_shape) > MOST_OUTPUTS:
            raise ModelError(
                f"{largest.name}: {prod(largest.output_shape):,} numbers leave it for one image; "
                f"at most {MOST_OUTPUTS:,} are taken"
            )

    def layers(self) -> tuple[Layer, ...]:
        """Every layer in order, for an input of (1, input_size, input_size).

        Raises ModelError naming the first layer that has no room.
        """
        layers: list[Layer] = []
        inputs, side = 1, self.input_size
        for number, outputs in enumerate(self.channels, 1):
            padding = self.padding if number == 1 else 0
            before, side = side, side + 2 * padding - self.kernel_size + 1
            if side < 1:
                raise ModelError(
                    f"conv{number}: a {self.kernel_size}×{self.kernel_size} kernel does not fit on "
                    f"{before}×{before} with padding {padding}; take fewer convolutions, a smaller kernel "
                    "or a larger input"
                )
            weights = outputs * inputs * self.kernel_size**2
            shape = (outputs, side, side)
            layers.append(Layer(f"conv{number}", "Conv2d", shape, weights + outputs, weights * side * side))
            layers.append(Layer(f"{self._slug}{number}", ACTIVATION_KINDS[self.activation], shape))
            if side >= POOL:
                side //= POOL
                layers.append(Layer(f"pool{number}", POOLING_KINDS[self.pooling], (outputs, side, side)))
            inputs = outputs
        width = inputs * side * side
        layers.append(Layer("flatten", "Flatten", (width,)))
        for number, outputs in enumerate(self.hidden, 1):
            layers.append(_linear(f"dense{number}", width, outputs))
            name = f"{self._slug}{len(self.channels) + number}"
            layers.append(Layer(name, ACTIVATION_KINDS[self.activation], (outputs,)))
            if self.dropout:
                layers.append(Layer(f"dropout{number}", "Dropout", (outputs,)))
            width = outputs
        layers.append(_linear("output", width, self.classes))
        return tuple(layers)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.parameters for layer in self.layers())

    @property
    def multiply_adds(self) -> int:
        """Multiplications with addition for one image, biases not counted."""
        return sum(layer.multiply_adds for layer in self.layers())

    @property
    def _slug(self) -> str:
        return self.activation.replace("-", "_")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return asdict(self) | {"channels": list(self.channels), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LeNetConfig:
        """The configuration that `to_dict` wrote. Raises ModelError on anything else."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                raise ModelError(
                    f"a LeNet has no setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
        return cls(**values)


ACTIVATION_KINDS: dict[str, str] = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "leaky-relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
}
POOLING_KINDS: dict[str, str] = {"avg": "AvgPool2d", "max": "MaxPool2d"}


def _linear(name: str, inputs: int, outputs: int) -> Layer:
    return Layer(name, "Linear", (outputs,), inputs * outputs + outputs, inputs * outputs)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ModelError(f"{name} is {value!r}; it must be a whole number from {least} to {most}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ModelError(f"{name} is {value!r}; it must be a number from {least} to {most}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ModelError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
