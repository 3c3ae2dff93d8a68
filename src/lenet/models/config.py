"""What a LeNet is made of, as plain numbers: no torch, so that help texts and tables come at once.

`lenet.models.layers` knows the order and the shapes of the layers that a configuration describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from math import prod
from typing import Annotated, Any, Literal, get_args

from lenet.errors import ModelError
from lenet.models.classic import BITMAP_PIXELS, BLACK, COPIES, LINKS, WHITE, Wiring
from lenet.models.layers import Layer, find_shapes, list_layers

Activation = Literal["sigmoid", "tanh", "relu", "leaky-relu", "elu", "gelu", "silu", "scaled-tanh"]
Pooling = Literal["avg", "max", "sum", "stride"]
Fit = Literal["pad", "resize"]
Initialisation = Literal["default", "xavier", "kaiming", "fan-in"]
Output = Literal["linear", "rbf"]
LARGEST_SIDE = 512
LARGEST_WIDTH = 8192
MOST_PARAMETERS = 50_000_000  # 200 MB: a card from a stranger cannot ask for more memory than this
MOST_OUTPUTS = 10_000_000  # of one layer for one image, for the same reason
OLD_NAMES = {"neighbourhood": "contrast_sigma", "background": "reject_class"}  # in older checkpoints


@dataclass(frozen=True)
class LeNetConfig:
    """A convolutional network after LeCun et al. 1998: convolutions with pooling, then dense layers.

    The defaults are the 61,706-parameter network of the textbooks with today's activation and pooling.
    Raises ModelError where the numbers make no network, naming the layer.
    """

    input_size: Annotated[int, "Side in pixels of the square image that the first convolution sees."] = 28
    channels: Annotated[tuple[int, ...], "Output channels of each convolution."] = (6, 16)
    kernel_size: Annotated[int, "Side of every convolution kernel."] = 5
    padding: Annotated[
        int,
        "Zeros around the input of the first convolution; the later ones have none. With the pooling stride, "
        "-1 around the input of every convolution.",
    ] = 2
    activation: Annotated[Activation, "After every convolution and every hidden dense layer."] = "relu"
    pooling: Annotated[
        Pooling,
        "2×2 with stride 2 after every convolution, as long as there is more than one pixel left to pool. "
        "sum: the subsampling of 1998: a trained coefficient, a trained bias and the activation follow. "
        "stride: none, but convolutions of 1989: in steps of 2, with a bias for each unit.",
    ] = "max"
    hidden: Annotated[tuple[int, ...], "Widths of the dense layers before the output."] = (120, 84)
    classes: Annotated[int, "Number of logits."] = 10
    dropout: Annotated[float, "Share of each hidden dense layer's outputs set to 0 in training."] = 0.0
    pixel_mean: Annotated[float, "Subtracted from pixels scaled to 0..1."] = 0.0
    pixel_std: Annotated[float, "What the difference is divided by."] = 1.0
    fit: Annotated[
        Fit, "How smaller images become `input_size`: zeros around them, or resized. Larger ones are resized."
    ] = "pad"
    contrast_sigma: Annotated[
        float,
        "Local contrast normalisation: standard deviation, in pixels, of the Gaussian that weighs the pixels "
        "around each one. 0: none.",
    ] = 0.0
    reject_class: Annotated[
        bool,
        "Learn a reject class for images of no class: a further logit, fixed at 0, without weights.",
    ] = False
    initialisation: Annotated[
        Initialisation,
        "Initial weights. default: PyTorch's layers; xavier: Glorot uniform; kaiming: He uniform; fan-in: "
        "uniform in ± 2.4 / inputs of a unit, as in 1998.",
    ] = "default"
    wiring: Annotated[
        Wiring,
        "Which maps each map of the second convolution sees: all, or those of a table of 1989, 1990 or 1998.",
    ] = "full"
    output: Annotated[
        Output, "linear, or rbf: the distance from a bitmap of 7×12 pixels for each digit, as in 1998."
    ] = "linear"
    margin: Annotated[
        int, "Blank pixels on every side of the image within `input_size`, which is fitted into the rest."
    ] = 0

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
        _check_choice("initialisation", self.initialisation, get_args(Initialisation))
        if not isinstance(self.reject_class, bool):
            raise ModelError(f"reject_class is {self.reject_class!r}; it must be true or false")
        _check_number("dropout", self.dropout, 0, 0.99)
        _check_number("pixel_mean", self.pixel_mean, -1000, 1000)
        _check_number("pixel_std", self.pixel_std, 1e-6, 1000)
        _check_number("contrast_sigma", self.contrast_sigma, 0, LARGEST_SIDE)
        _check_choice("wiring", self.wiring, get_args(Wiring))
        _check_choice("output", self.output, get_args(Output))
        _check_whole("margin", self.margin, 0, (self.input_size - 1) // 2)
        self._check_classic()
        if self.parameters > MOST_PARAMETERS:
            raise ModelError(f"{self.parameters:,} parameters; at most {MOST_PARAMETERS:,} are taken")
        largest = max(self.layers(), key=lambda layer: prod(layer.output_shape))
        if prod(largest.output_shape) > MOST_OUTPUTS:
            raise ModelError(
                f"{largest.name}: {prod(largest.output_shape):,} numbers leave it for one image; "
                f"at most {MOST_OUTPUTS:,} are taken"
            )

    def _check_classic(self) -> None:
        links = LINKS.get(self.wiring, ())
        inputs, outputs = 1 + max((max(row) for row in links), default=0), len(links)
        channels = (inputs // COPIES.get(self.wiring, 1), outputs)
        if links and self.channels[:2] != channels:
            raise ModelError(
                f"wiring {self.wiring} needs channels that begin with {channels[0]} and {outputs}"
            )
        if self.wiring in COPIES and (self.pooling != "sum" or self.input_size - self.kernel_size < 1):
            raise ModelError(f"wiring {self.wiring} needs the pooling sum, which makes more maps of each")
        if self.output == "rbf" and self.classes > 10:
            raise ModelError(f"output rbf has bitmaps for 10 classes, not for {self.classes}; take linear")
        if self.output == "rbf" and (not self.hidden or self.hidden[-1] != BITMAP_PIXELS):
            raise ModelError(
                f"output rbf compares {BITMAP_PIXELS} numbers; `hidden` must end with {BITMAP_PIXELS}"
            )

    @property
    def is_classic(self) -> bool:
        """Whether it has a part of 1989 to 1998 that the fused kernel does not compute."""
        return (
            self.activation == "scaled-tanh"
            or self.pooling in ("sum", "stride")
            or self.wiring != "full"
            or self.output != "linear"
        )

    def layers(self) -> tuple[Layer, ...]:
        """Every layer in order, for an input of (1, input_size, input_size).

        Raises ModelError naming the first layer that has no room.
        """
        return list_layers(self)

    def find_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor by its name: conv1.weight, conv1.bias, …, output.bias."""
        return find_shapes(self)

    @property
    def parameters(self) -> int:
        """Number of weights and biases that are trained."""
        return sum(layer.parameters for layer in self.layers())

    @property
    def multiply_adds(self) -> int:
        """Multiplications with addition for one image, biases not counted."""
        return sum(layer.multiply_adds for layer in self.layers())

    @property
    def connections(self) -> int:
        """Weights and biases, each counted wherever it is used, as the papers of 1989 to 1998 count."""
        return sum(layer.connections for layer in self.layers())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return asdict(self) | {"channels": list(self.channels), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LeNetConfig:
        """The configuration that `to_dict` wrote. Raises ModelError on anything else."""
        known = [field.name for field in fields(cls)]
        values = {OLD_NAMES.get(name, name): value for name, value in values.items()}
        for name in values:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                raise ModelError(
                    f"a LeNet has no setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
        return cls(**values)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ModelError(f"{name} is {value!r}; it must be a whole number from {least} to {most}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ModelError(f"{name} is {value!r}; it must be a number from {least} to {most}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ModelError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


AS_1998: dict[str, Any] = {
    "input_size": 32,
    "padding": 0,
    "activation": "scaled-tanh",
    "pooling": "sum",
    "pixel_mean": -WHITE / (BLACK - WHITE),
    "pixel_std": 1 / (BLACK - WHITE),
}

MODELS: dict[str, LeNetConfig] = {
    # Dive into Deep Learning, section "Convolutional Neural Networks (LeNet)".
    "lenet5-sigmoid": LeNetConfig(activation="sigmoid", pooling="avg"),
    # The same with the two changes that its exercises suggest; the network of most of today's code.
    "lenet5-relu": LeNetConfig(activation="relu", pooling="max"),
    # The course lab: ReLU, but average pooling; pixels with mean .13 and standard deviation .30.
    "lenet5-relu-avg": LeNetConfig(activation="relu", pooling="avg", pixel_mean=0.13, pixel_std=0.30),
    # Closest to 1998: 32×32 input, three convolutions (C1, C3, C5), tanh.
    "lenet5-tanh": LeNetConfig(
        input_size=32,
        channels=(6, 16, 120),
        padding=0,
        activation="tanh",
        pooling="avg",
        hidden=(84,),
        pixel_mean=0.1307,
        pixel_std=0.3081,
        fit="resize",
    ),
    # LeCun et al. 1998, as published: partial connections, trained subsampling, bitmaps; section II.B.
    "lenet5-1998": LeNetConfig(
        channels=(6, 16, 120), hidden=(84,), output="rbf", reject_class=True, wiring="lenet5", **AS_1998
    ),
    # Its smaller relatives, section III.C; LeNet-1 is the network of LeCun et al. 1990.
    "lenet4-1998": LeNetConfig(channels=(4, 16), hidden=(120,), wiring="lenet4", **AS_1998),
    "lenet1-1998": LeNetConfig(
        channels=(4, 12),
        hidden=(),
        wiring="lenet1",
        **AS_1998 | {"input_size": 28, "margin": 3, "fit": "resize"},
    ),
    # LeCun et al. 1989: strides instead of pooling, a bias for each unit, pixels from -1 to 1.
    "lenet-1989": LeNetConfig(
        input_size=16,
        channels=(12, 12),
        activation="scaled-tanh",
        pooling="stride",
        hidden=(30,),
        pixel_mean=0.5,
        pixel_std=0.5,
        fit="resize",
        wiring="lenet1989",
    ),
    # Ours: fewer than 8,000 parameters, in three 3×3 convolutions and no hidden dense layer.
    "tiny": LeNetConfig(channels=(10, 20, 26), kernel_size=3, padding=1, hidden=()),
    # The textbook description: 32×32 input, no padding, sigmoid; 400-120-84-10 behind the convolutions.
    "lenet5-textbook": LeNetConfig(input_size=32, padding=0, activation="sigmoid", pooling="avg"),
}


def find_model(name: str) -> LeNetConfig:
    """The configuration called `name`. Raises ModelError, naming the nearest, if there is none."""
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MODELS)}"
        raise ModelError(f"no model is called {name!r}; {hint}")
    return MODELS[name]


def name_model(config: LeNetConfig) -> str:
    """The name of a configuration, whatever its classes and pixels; 'custom' if it has none."""

    def shape(config: LeNetConfig) -> LeNetConfig:
        return replace(
            config,
            classes=10,
            pixel_mean=0.0,
            pixel_std=1.0,
            contrast_sigma=0.0,
            reject_class=False,
            initialisation="default",
        )

    return next((name for name, model in MODELS.items() if shape(model) == shape(config)), "custom")
