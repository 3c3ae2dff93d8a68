"""The exercises that the tutorials leave open, each as a study: one factor varied, several seeds.

No torch here, so that `lenet study` lists them fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

from lenet.errors import RecipeError
from lenet.training.recipe import Recipe
from lenet.training.recipes import D2L, D2L_RELU, LENET5_TANH

Changes = Mapping[str, Any]
OLD_NAMES = {"disturbed": "distorted"}


@dataclass(frozen=True)
class Study:
    """A question and the variants of a recipe that answer it; the first variant is the baseline."""

    name: str
    question: str
    recipe: Recipe
    """The common settings of all variants."""
    variants: Mapping[str, Changes]
    """Labels, and the settings that differ from the recipe."""
    unbalanced: bool = False
    """Train on data with half of the classes rare."""
    distorted: bool = False
    """Measure on rotated, scaled and coloured test images too."""
    inverted: bool = False
    """Measure on inverted test images too, and say which class is answered most often."""
    about: str = ""
    """Notes that are needed to interpret the results."""

    def plan(self, variant: str) -> Recipe:
        """The recipe of a variant, named after study and variant, with a hash where two names are equal."""
        slug = _slug(variant)
        if [_slug(other) for other in self.variants].count(slug) > 1:
            slug += f"-{sha256(variant.encode()).hexdigest()[:6]}"
        return replace(self.recipe.override(self.variants[variant]), name=f"{self.name}-{slug}")

    def with_changes(self, changes: Changes) -> Study:
        """The study with settings changed for all variants; settings of a variant take precedence."""
        return replace(self, recipe=self.recipe.override(changes))


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")


def find_study(name: str) -> Study:
    """The study of that name, current or old. Raises RecipeError with the nearest name if there is none."""
    name = OLD_NAMES.get(name, name)
    if name not in STUDIES:
        near = get_close_matches(name, STUDIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`lenet study` lists them"
        raise RecipeError(f"no study is called {name!r}; {hint}")
    return STUDIES[name]


MODERN = D2L_RELU.override({"lr": 0.002})

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "pooling",
            "Does max-pooling do better than average pooling?",
            D2L,
            {"average": {"pooling": "avg"}, "max": {"pooling": "max"}},
        ),
        Study(
            "kernel-size",
            "How large should the convolution kernels be?",
            MODERN,
            {f"{side}×{side}": {"kernel_size": side, "padding": side // 2} for side in (5, 3, 7)},
            about="The first convolution is padded so that it keeps the size of the image.",
        ),
        Study(
            "channels",
            "How many output channels should the convolutions have?",
            MODERN,
            {f"{a}, {b}": {"channels": (a, b)} for a, b in ((6, 16), (3, 8), (12, 32))},
        ),
        Study(
            "activation",
            "Which activation does best?",
            MODERN,
            {name: {"activation": name} for name in ("sigmoid", "tanh", "relu", "leaky-relu", "gelu")},
            about="All with Adam at the same learning rate, 0.002.",
        ),
        Study(
            "convolutions",
            "How many convolution layers should there be?",
            MODERN,
            {"2": {}, "1": {"channels": (6,)}, "3": {"channels": (6, 16, 120)}},
            about="The third layer is that of 1998: 120 channels of one pixel each.",
        ),
        Study(
            "dense-layers",
            "How many dense layers should there be?",
            MODERN,
            {
                "120-84-10": {},
                "10": {"hidden": ()},
                "84-10": {"hidden": (84,)},
                "120-84-84-10": {"hidden": (120, 84, 84)},
            },
        ),
        Study(
            "learning-rate",
            "Which learning rate suits the improved network?",
            MODERN,
            {f"{lr:g}": {"lr": lr} for lr in (0.002, 0.0002, 0.001, 0.005, 0.02)},
            about="Adam, ReLU, max-pooling.",
        ),
        Study(
            "initialisation",
            "Do the initial weights matter?",
            D2L,
            {name: {"initialisation": name} for name in ("xavier", "default", "kaiming")},
            about="The sigmoid network at its learning rate of 0.9.",
        ),
        Study(
            "epochs",
            "How many epochs should one train?",
            MODERN,
            {f"{epochs}": {"epochs": epochs} for epochs in (10, 1, 3, 20)},
        ),
        Study(
            "improved-on-mnist",
            "How accurate is the improved network on MNIST?",
            D2L.override({"data": "mnist"}),
            {
                "textbook": {},
                "improved": {
                    "activation": "relu", "pooling": "max", "optimizer": "adam", "lr": 0.002,
                },
            },
            about="Textbook: sigmoid, average pooling, SGD at 0.9. Improved: ReLU, max, Adam at 0.002.",
        ),
        Study(
            "lr-0.2-or-0.9",
            "Is a learning rate of 0.2 as good as one of 0.9?",
            D2L,
            {"0.9": {"lr": 0.9}, "0.2": {"lr": 0.2}},
            about="The sigmoid network with SGD.",
        ),
        Study(
            "relu-at-sigmoids-lr",
            "Does ReLU train at the learning rate that suits the sigmoid?",
            D2L,
            {
                "sigmoid at 0.9": {},
                "relu at 0.9": {"activation": "relu"},
                "relu at 0.1": {"activation": "relu", "lr": 0.1},
            },
        ),
        Study(
            "mean-squared-error",
            "Can a classifier be trained with the mean-squared error?",
            MODERN,
            {"cross-entropy": {}, "mean-squared error": {"loss": "mean-squared-error"}},
            about="The targets are one-hot vectors of the class labels.",
        ),
        Study(
            "class-weights",
            "Do class weights help if some classes are rare?",
            MODERN.override({"data": "mnist"}),
            {"none": {}, "balanced": {"class_weights": "balanced"}},
            unbalanced=True,
            about="One in a hundred training images of the digits 5 to 9 is kept, and all test images.",
        ),
        Study(
            "distorted",
            "What makes a network read rotated, scaled and coloured digits?",
            replace(LENET5_TANH, epochs=3, batch_size=128, validation=0),
            {"as published": {}, "varied images": {"degrees": 35.0, "scale": 0.35, "shift": 0.1}},
            distorted=True,
            about="Digits are rotated by up to 30°, scaled by 0.65 to 1.35, or drawn in one colour on paper "
            "of another. Coloured ones are read in two ways: converted to grey and reduced to the network’s "
            "size, or with the full pipeline of lenet predict, which finds and centres the digit.",
        ),
        Study(
            "inverted",
            "Why is my digit always an 8?",
            MODERN.override({"data": "mnist", "epochs": 2}),
            {"pixels as they are": {}, "local contrast": {"contrast_sigma": 2.0}},
            inverted=True,
            about="The networks learn light ink on a dark background, as MNIST has it. Inverted digits are "
            "dark ink on light paper. They are read in two ways: by the network as they are, or with the "
            "full pipeline of lenet predict, which finds the ink and makes it light.",
        ),
    )
}  # fmt: skip
