"""What there is before the first step: a network with its initial weights, an optimiser, images held out."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from lenet.data.imageset import ImageSet, split_stratified
from lenet.errors import DataError, RecipeError
from lenet.images.framing import SIDE
from lenet.models.adapter import Network
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.training.optimisation import make_optimizer
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass
class TrainingState(Generic[AnyNetwork]):
    """All that training changes. `averaged` is `model` itself where the recipe averages nothing."""

    model: AnyNetwork
    averaged: AnyNetwork
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    """Finished epochs."""
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    teachers: tuple[Network, ...] = ()
    """Networks whose answers are targets; the initial one, where the recipe rehearses what it knows."""


def make_model(recipe: Recipe, seed: int) -> LeNet:
    """The recipe's network with the initial weights that belong to `seed`."""
    with torch.random.fork_rng([]):  # torch draws initial weights of its own, which are not used
        model = LeNet(recipe.model)
    initialise(model, recipe.model.initialisation, random_stream(seed, "weights"))
    return model


def start(model: AnyNetwork, recipe: Recipe, teachers: Sequence[Network] = ()) -> TrainingState[AnyNetwork]:
    """The state before the first step; the teachers are changed to answer only.

    Raises RecipeError where the optimizer cannot train the network, or as `check_answers`.
    """
    check_answers(model.config, recipe.distillation, teachers)
    if recipe.optimizer == "sdlm" and not isinstance(model, LeNet):
        raise RecipeError(
            "sdlm goes through the layers of a LeNet; take another `optimizer` for other modules"
        )
    averaged = model
    if recipe.ema_decay:
        averaged = copy.deepcopy(model)
        averaged.requires_grad_(False)
    if recipe.rehearsal:
        teachers = (copy.deepcopy(model),)
    frozen = tuple(teacher.eval().requires_grad_(False) for teacher in teachers)
    return TrainingState(model, averaged, make_optimizer(model, recipe), teachers=frozen)


def check_answers(config: LeNetConfig, distillation: float, teachers: Sequence[Network]) -> None:
    """Raise RecipeError where there are teachers without distillation, none with it, or unfit answers."""
    if bool(teachers) != bool(distillation):
        raise RecipeError(
            "teachers answer where the recipe has `distillation`, such as 0.9"
            if teachers
            else "the recipe has `distillation`; give a checkpoint to learn from with `teacher`"
        )
    for teacher in teachers:
        if teacher.config.classes != config.classes:
            raise RecipeError(
                f"a teacher has {teacher.config.classes} classes, the network was made for {config.classes}"
            )
        if teacher.config.reject_class != config.reject_class:
            raise RecipeError("`reject_class` must be the same in the recipe and in its teachers")


def hold_out_images(data: ImageSet, recipe: Recipe, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """What to learn from, and the images held out for validation, if the recipe asks for any."""
    rows, held_out = hold_out_rows(data, recipe, seed)
    return (data if rows is None else data.subset(rows)), held_out


def hold_out_rows(data: ImageSet, recipe: Recipe, seed: int) -> tuple[Tensor | None, ImageSet | None]:
    """As `hold_out_images`, but of what to learn from only the rows, int64, or None for all: no copy."""
    if not recipe.validation:
        return None, None
    rest, held_out = split_stratified(data.labels, recipe.validation, seed)
    return rest, data.subset(held_out)


def check_parts(data: ImageSet, recipe: Recipe) -> None:
    """Raise where data and recipe do not belong together."""
    if len(data.classes) != recipe.model.classes:
        raise DataError(
            f"{data.name} has {len(data.classes)} classes, the network was made for {recipe.model.classes}"
        )
    weights = recipe.class_weights
    if isinstance(weights, tuple) and len(weights) != len(data.classes):
        raise RecipeError(
            f"class_weights are {len(weights)} numbers, {data.name} has {len(data.classes)} classes"
        )
    for name in ("glyph_variants", "segmentation_artefacts", "rehearsal"):
        if getattr(recipe, name) and data.classes != tuple("0123456789"):
            raise RecipeError(f"{name} are digits, and {data.name} has other classes; leave them out")
    if recipe.rehearsal and data.images.shape[2:] != (SIDE, SIDE):
        raise RecipeError(f"rehearsal needs images of {SIDE}×{SIDE} pixels; {data.name} has others")
    if recipe.distortions.flip and not data.flips:
        raise RecipeError(
            f"flip makes no sense on {data.name}: a mirrored image is another or none; leave it out"
        )
