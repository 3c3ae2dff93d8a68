"""Names of networks, and the configuration behind each. All have 61,706 parameters."""

from dataclasses import replace
from difflib import get_close_matches

from lenet.errors import ModelError
from lenet.models.config import LeNetConfig

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
    """The name of a configuration, whatever its classes, pixels and background; 'custom' if it has none."""

    def shape(config: LeNetConfig) -> LeNetConfig:
        return replace(config, classes=10, pixel_mean=0.0, pixel_std=1.0, neighbourhood=0.0, background=False)

    return next((name for name, model in MODELS.items() if shape(model) == shape(config)), "custom")
