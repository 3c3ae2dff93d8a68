"""A whole training as one value: network, data and every number, checked when it is made.

No torch here, so that every help text answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from lenet.errors import ModelError, RecipeError
from lenet.models.config import LeNetConfig
from lenet.synthesis.distortions import Distortions

MOST_EPOCHS = 100_000
Optimizer = Literal["sgd", "adam", "adamw", "sdlm"]
Schedule = Literal["constant", "step", "cosine", "one-cycle", "1998"]
Loss = Literal["cross-entropy", "mean-squared-error", "bipolar-squared-error"]


@dataclass(frozen=True)
class Recipe:
    """Network, data and every number of its training. Raises RecipeError on values that cannot be."""

    name: str
    model: LeNetConfig
    data: Annotated[str, "A data set's name, or the path of your own."]
    epochs: Annotated[int, "Passes over the training images."]
    batch_size: Annotated[
        int, "Images a step; the last batch of an epoch may be smaller. With sdlm, each of them is a step."
    ]
    optimizer: Annotated[
        Optimizer,
        "PyTorch's own, in its fused form; or sdlm, the stochastic diagonal Levenberg-Marquardt method of "
        "1998.",
    ]
    lr: Annotated[float, "Learning rate; the peak of a schedule that changes it."]
    source: Annotated[str, "Where the values come from."] = "your own"
    published: Annotated[Mapping[str, float | str], "What the source printed, to compare with."] = field(
        default_factory=dict
    )
    momentum: Annotated[float, "For sgd only."] = 0.0
    weight_decay: Annotated[float, "L2 for sgd and adam, decoupled for adamw."] = 0.0
    schedule: Annotated[Schedule, "How the learning rate changes from step to step."] = "constant"
    warm_up: Annotated[float, "Share of the steps in which one-cycle rises from lr/25 to lr."] = 0.3
    step_epochs: Annotated[int, "With the schedule 'step': epochs between two drops."] = 10
    step_factor: Annotated[float, "With the schedule 'step': what each drop multiplies the rate by."] = 0.1
    loss: Annotated[
        Loss,
        "mean-squared-error compares the outputs with one-hot targets; bipolar-squared-error, that of 1998, "
        "the squashed outputs with 1 and -1.",
    ] = "cross-entropy"
    label_smoothing: Annotated[float, "Share of each target spread over all classes."] = 0.0
    class_weights: Annotated[
        tuple[float, ...] | Literal["none", "balanced"],
        "Weight of each class in the loss; 'balanced' weighs by the inverse of its count.",
    ] = "none"
    ema_decay: Annotated[
        float,
        "Evaluate and keep an exponential moving average of the weights, with this decay a step; 0: none.",
    ] = 0.0
    clip_norm: Annotated[float, "Largest norm of the gradient; 0: not limited."] = 0.0
    glyph_variants: Annotated[
        float,
        "Glyph variants (flat 3s, closed 4s, barred 0s …) drawn in addition, as a share of the images.",
    ] = 0.0
    segmentation_artefacts: Annotated[
        float, "Segmentation artefacts in addition: digits badly cut from a row, as a share of the images."
    ] = 0.0
    negatives: Annotated[
        float, "With reject_class: images of no digit added to each batch, as a share of it."
    ] = 0.0
    rehearsal: Annotated[
        float,
        "With initial weights: digits and negatives added to each batch, as a multiple of its size. Their "
        "targets are the answers of the initial network.",
    ] = 0.0
    distillation: Annotated[
        float, "Share of the teachers' probabilities in each target; the label has the rest."
    ] = 0.0
    shuffle: Annotated[bool, "A new order each epoch; without it, the order of the file."] = True
    distortions: Annotated[Distortions, "How the images of a batch are varied."] = field(
        default_factory=Distortions
    )
    validation: Annotated[
        int,
        "Images held out of training, by class, to choose the best epoch; 0: train on all, keep the last.",
    ] = 0
    calibrate: Annotated[
        bool, "At the end, fit the probabilities to the held-out images, and note what rejection costs."
    ] = False
    patience: Annotated[
        int, "Stop after this many epochs without a better validation accuracy; 0: never."
    ] = 0
    keep_every_epoch: Annotated[bool, "Keep a checkpoint of each epoch beside the last and the best."] = False

    def __post_init__(self) -> None:
        if isinstance(self.class_weights, list):  # as JSON gives it
            object.__setattr__(self, "class_weights", tuple(self.class_weights))
        for name, kind in KINDS.items():
            if getattr(self, name) == "":
                raise RecipeError(f"{name} is empty; leave it out or give one")
            if not isinstance(getattr(self, name), kind):
                raise RecipeError(f"{name} is {getattr(self, name)!r}; it must be a {kind.__name__}")
        check_numbers(self, RANGES)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}"
                )
        if self.model.reject_class and self.loss != "cross-entropy":
            raise RecipeError("reject_class is a matter of probabilities; take cross-entropy for the loss")
        if self.rehearsal and self.loss != "cross-entropy":
            raise RecipeError("rehearsal compares probabilities; take cross-entropy for the loss")
        if self.distillation and (self.loss != "cross-entropy" or self.rehearsal):
            raise RecipeError("distillation compares probabilities; take cross-entropy, without rehearsal")
        if self.negatives and not self.model.reject_class:
            raise RecipeError("negatives are learnt as the reject class; give `reject_class=True` too")
        if self.optimizer == "sdlm":
            for name in SETTINGS_WITHOUT_SDLM:
                if getattr(self, name) not in (0, "none"):
                    raise RecipeError(f"{name} has no meaning with sdlm, which takes each image by itself")
            if self.model.dropout:
                raise RecipeError("dropout has no meaning with sdlm, which estimates fixed curvatures")
        if self.model.output == "rbf" and self.loss != "cross-entropy":
            raise RecipeError("output rbf has logits that are distances; take cross-entropy for the loss")
        for name in ("patience", "calibrate"):
            if getattr(self, name) and not self.validation:
                raise RecipeError(f"{name} needs images to judge by; give `validation` too, such as 5000")
        weights = self.class_weights
        if isinstance(weights, tuple):
            # Above 0: a batch of classes without weight would have no loss at all.
            if not all(map(_is_weight, weights)):
                raise RecipeError("class_weights must be none, balanced, or a number above 0 for each class")
        elif weights not in ("none", "balanced"):
            raise RecipeError(f"class_weights is {weights!r}; it must be none, balanced or numbers")

    def override(self, changes: Mapping[str, object]) -> Recipe:
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
            own = {OLD_NAMES.get(name, name): value for name, value in values.items()}
            model = dict(own["model"])
            if "initialisation" in own:  # in older run folders
                model["initialisation"] = own.pop("initialisation")
            parts = {
                "model": LeNetConfig.from_dict(model),
                "distortions": Distortions.from_dict(own["distortions"]),
            }
            return cls(**own | parts)
        except (KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
            raise RecipeError(f"not a recipe of this version: {error}") from None


def check_numbers(recipe: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise RecipeError where a setting of a recipe is outside its range, or `lr` is 0."""
    for name, (least, most) in ranges.items():
        value = getattr(recipe, name)
        number, word = (int, "whole number") if isinstance(least, int) else (int | float, "number")
        if not isinstance(value, number) or isinstance(value, bool) or not least <= value <= most:
            raise RecipeError(f"{name} is {value!r}; it must be a {word} from {least} to {most:,}")
        if name == "lr" and value == 0:
            raise RecipeError("lr is 0; nothing would be learnt")


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
    "epochs": (1, MOST_EPOCHS),
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
    "glyph_variants": (0.0, 10.0),
    "segmentation_artefacts": (0.0, 10.0),
    "negatives": (0.0, 10.0),
    "rehearsal": (0.0, 100.0),
    "distillation": (0.0, 1.0),
    "clip_norm": (0.0, 1e6),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "loss": get_args(Loss),
}
SETTINGS_WITHOUT_SDLM = (
    "momentum",
    "weight_decay",
    "label_smoothing",
    "class_weights",
    "clip_norm",
    "rehearsal",
    "distillation",
)
OLD_NAMES = {  # of settings, as older run folders and checkpoints spell them
    "forms": "glyph_variants",
    "badly_cut": "segmentation_artefacts",
    "not_digits": "negatives",
}


def _list_settings() -> dict[str, str]:
    """Every setting that `override` takes, and the part of the recipe that it belongs to."""
    elsewhere = {
        "name",
        "model",
        "distortions",
        "source",
        "published",
        "classes",
    }  # the data decide the classes
    found: dict[str, str] = {}
    for part, kind in (("own", Recipe), ("model", LeNetConfig), ("distortions", Distortions)):
        for name in (entry.name for entry in fields(kind) if entry.name not in elsewhere):
            assert name not in found, f"{name} is a setting of two parts of a recipe"
            found[name] = part
    return found


SETTINGS = _list_settings()
