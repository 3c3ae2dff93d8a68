"""A whole training as one value: network, data and every number, checked when it is made.

No torch here, so that every help text answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, get_args

from lenet.data.distortions import Distortions
from lenet.errors import ModelError, RecipeError
from lenet.models.config import Initialisation, LeNetConfig

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]
Loss = Literal["cross-entropy", "mean-squared-error"]


@dataclass(frozen=True)
class Recipe:
    """Network, data and every number of its training. Raises RecipeError on values that cannot be."""

    name: str
    model: LeNetConfig
    data: str
    """A data set's name, or the path of your own."""
    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images a step; the last batch of an epoch may be smaller."""
    optimizer: Optimizer
    """PyTorch's own, in its fused form."""
    lr: float
    """Learning rate; the peak of a schedule that changes it."""
    source: str = "your own"
    """Where the values come from."""
    published: Mapping[str, float | str] = field(default_factory=dict)
    """What the source printed, to compare with."""
    momentum: float = 0.0
    """For sgd only."""
    weight_decay: float = 0.0
    """L2 for sgd and adam, decoupled for adamw."""
    schedule: Schedule = "constant"
    """How the learning rate changes from step to step."""
    warm_up: float = 0.3
    """Share of the steps in which one-cycle rises from lr/25 to lr."""
    step_epochs: int = 10
    """With the schedule 'step': epochs between two drops."""
    step_factor: float = 0.1
    """With the schedule 'step': what each drop multiplies the rate by."""
    initialisation: Initialisation = "default"
    """default: torch's layers; xavier: Glorot uniform; kaiming: He uniform."""
    loss: Loss = "cross-entropy"
    """mean-squared-error compares the outputs with one-hot targets."""
    label_smoothing: float = 0.0
    """Share of each target spread over all classes."""
    class_weights: tuple[float, ...] | Literal["none", "balanced"] = "none"
    """Weight of each class in the loss; 'balanced' weighs by the inverse of its count."""
    ema_decay: float = 0.0
    """Evaluate and keep an exponential average of the weights with this decay a step; 0: the weights."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0: not limited."""
    forms: float = 0.0
    """1s with flags, barred 7s, open 4s, struck 0s and others drawn in addition, as a share of the images."""
    badly_cut: float = 0.0
    """Digits as if cut badly out of a row of digits, in addition, as a share of the images."""
    not_digits: float = 0.0
    """With background: what is no digit, added to each batch, as a share of it."""
    shuffle: bool = True
    """A new order each epoch; without it, the order of the file."""
    distortions: Distortions = field(default_factory=Distortions)
    """How the images of a batch are varied."""
    validation: int = 0
    """Images held out of training, by class, to choose the best epoch; 0: train on all, keep the last."""
    calibrate: bool = False
    """At the end, fit the probabilities to the held-out images, and note what rejection costs."""
    patience: int = 0
    """Stop after this many epochs without a better validation accuracy; 0: never."""
    keep_every_epoch: bool = False
    """Keep a checkpoint of each epoch beside the last and the best."""

    def __post_init__(self) -> None:
        if isinstance(self.class_weights, list):  # as JSON gives it
            object.__setattr__(self, "class_weights", tuple(self.class_weights))
        for name, kind in KINDS.items():
            if getattr(self, name) == "":
                raise RecipeError(f"{name} is empty; leave it out or give one")
            if not isinstance(getattr(self, name), kind):
                raise RecipeError(f"{name} is {getattr(self, name)!r}; it must be a {kind.__name__}")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            number, word = (int, "whole number") if isinstance(least, int) else (int | float, "number")
            if not isinstance(value, number) or isinstance(value, bool) or not least <= value <= most:
                raise RecipeError(f"{name} is {value!r}; it must be a {word} from {least} to {most:,}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}"
                )
        if self.model.background and self.loss != "cross-entropy":
            raise RecipeError("background is a matter of probabilities; take cross-entropy for the loss")
        if self.not_digits and not self.model.background:
            raise RecipeError("not_digits are learnt as the background; give background too")
        if self.lr <= 0:
            raise RecipeError("lr is 0; nothing would be learnt")
        for name in ("patience", "calibrate"):
            if getattr(self, name) and not self.validation:
                raise RecipeError(f"{name} needs images to judge by; give validation too, such as 5000")
        weights = self.class_weights
        if isinstance(weights, tuple):
            # Above 0: a batch of classes without weight would have no loss at all.
            if not all(map(_is_weight, weights)):
                raise RecipeError("class_weights must be none, balanced, or a number above 0 for each class")
        elif weights not in ("none", "balanced"):
            raise RecipeError(f"class_weights is {weights!r}; it must be none, balanced or numbers")

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """The recipe with some values changed: its own, its network's or its distortions'.

        Raises RecipeError on a name that is none of them, ModelError where the network cannot be.
        """
        parts: dict[str, dict[str, Any]] = {"own": {}, "model": {}, "distortions": {}}
        for name, value in changes.items():
            place = SETTINGS.get(name)
            if place is None:
                near = get_close_matches(name, SETTINGS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise RecipeError(f"a recipe has no setting {name!r}{hint}")
            parts[place][name] = value
        return replace(
            self,
            **parts["own"],
            model=replace(self.model, **parts["model"]),
            distortions=replace(self.distortions, **parts["distortions"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        values = asdict(replace(self, published=dict(self.published)))
        if isinstance(self.class_weights, tuple):
            values["class_weights"] = list(self.class_weights)
        return values | {"model": self.model.to_dict(), "distortions": asdict(self.distortions)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote. Raises RecipeError on anything else."""
        try:
            model = LeNetConfig.from_dict(values["model"])
            return cls(**{**values, "model": model, "distortions": Distortions(**values["distortions"])})
        except (KeyError, TypeError, AttributeError, ModelError) as error:
            raise RecipeError(f"not a recipe of this version: {error}") from None


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < 1e6


KINDS: dict[str, type] = {
    "name": str,
    "model": LeNetConfig,
    "data": str,
    "source": str,
    "published": Mapping,
    "shuffle": bool,
    "distortions": Distortions,
    "calibrate": bool,
    "keep_every_epoch": bool,
}
RANGES: dict[str, tuple[float, float]] = {  # whole numbers where the limits are
    "epochs": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "step_epochs": (1, 100_000),
    "validation": (0, 10_000_000),
    "patience": (0, 100_000),
    "lr": (0.0, 1000.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 10.0),
    "warm_up": (0.0, 1.0),
    "step_factor": (0.0, 1.0),
    "label_smoothing": (0.0, 0.99),
    "ema_decay": (0.0, 0.99999),
    "forms": (0.0, 10.0),
    "badly_cut": (0.0, 10.0),
    "not_digits": (0.0, 10.0),
    "clip_norm": (0.0, 1e6),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "initialisation": get_args(Initialisation),
    "loss": get_args(Loss),
}
# Every setting that `override` takes, and the part of the recipe that it belongs to.
SETTINGS: dict[str, str] = {
    **{
        f.name: "own"
        for f in fields(Recipe)
        if f.name not in ("name", "model", "distortions", "source", "published")
    },
    **{f.name: "model" for f in fields(LeNetConfig) if f.name != "classes"},  # the data decide the classes
    **{f.name: "distortions" for f in fields(Distortions)},
}
