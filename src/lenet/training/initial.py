"""A run that begins with the weights of a checkpoint: what its folder keeps of it, and its images.

initial.safetensors   the checkpoint, so that the run does not depend on a file elsewhere
corrections/          the framed corrections as IDX files, so that it does not depend on the pictures either
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lenet.data.custom import CLASSES
from lenet.data.datasets import load
from lenet.data.idx import write_idx
from lenet.data.imageset import ImageSet
from lenet.data.sources import Split
from lenet.errors import RecipeError, RunError
from lenet.files import write_text
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_network
from lenet.models.network import LeNet
from lenet.training.evaluation import evaluate, match_classes
from lenet.training.plan import Plan
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder
from lenet.training.start import make_model
from lenet.uncertainty.reading_rejection import CARD_KEY


def check_network(recipe: Recipe, initial: Checkpoint | None) -> None:
    """Raise RecipeError where the recipe's network is not the checkpoint's, or the recipe needs one."""
    if initial is None:
        if recipe.rehearsal:
            raise RecipeError(
                f"{recipe.name} rehearses what a checkpoint knows; give one with `from`, such as reader"
            )
        return
    config = initial.model.config
    for name in (field.name for field in fields(config) if field.name not in ("classes", "initialisation")):
        here, there = getattr(recipe.model, name), getattr(config, name)
        if here != there:
            raise RecipeError(
                f"`{name}` is {here} in {recipe.name} and {there} in the checkpoint; weights fit one network "
                "only: leave the recipe out, or give another checkpoint"
            )


def write_initial(folder: RunFolder, initial: Checkpoint) -> str:
    """Write initial.safetensors to a run; returns its SHA-256."""
    save_network(initial, folder.initial)
    return hashlib.sha256(folder.initial.read_bytes()).hexdigest()


def write_corrections(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Write the corrections of a run, and its test images, as IDX files with MNIST's names."""
    folder.corrections.mkdir()
    write_text(folder.corrections / CLASSES, "".join(f"{name}\n" for name in train.classes))
    for prefix, data in (("train", train), ("t10k", test)):
        write_idx(folder.corrections / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
        write_idx(folder.corrections / f"{prefix}-labels-idx1-ubyte", data.labels.byte())


def make_initial_model(folder: RunFolder, plan: Plan) -> LeNet:
    """The network before the first step: the checkpoint's weights, or those that belong to the seed.

    Raises RunError when initial.safetensors is not what the run began with.
    """
    return make_model(plan.recipe, plan.seed) if (own := _load_initial(folder, plan)) is None else own.model


def load_images(folder: RunFolder, plan: Plan, split: Split) -> ImageSet:
    """The training or test images of a run, with the classes of its initial checkpoint if it has one.

    Raises what `load` and `make_initial_model` raise.
    """
    data, initial = load(plan.recipe.data, split), _load_initial(folder, plan)
    if initial is None:
        return data
    if Path(plan.recipe.data) == folder.corrections:
        data = replace(data, name=folder.corrections.name, full_image=initial.reads_whole_pictures)
    return match_classes(initial, data)


@dataclass(frozen=True)
class Accuracies:
    """The accuracy, 0..1, of the initial checkpoint and of the run's own, on `count` images."""

    count: int
    before: float
    after: float


@dataclass(frozen=True)
class Change:
    """What a run changed in its initial checkpoint."""

    train: Accuracies
    """On the images that were learnt from, without distortions."""
    test: Accuracies
    lost_thresholds: bool
    """True when the initial checkpoint has thresholds for rejection, which do not hold for other weights."""


def measure_change(folder: RunFolder, checkpoint: Path | str) -> Change | None:
    """Compare a run's `checkpoint` with the initial one; None where the run began with no checkpoint."""
    plan = folder.read_plan()
    before = _load_initial(folder, plan)
    if before is None:
        return None
    after = load_checkpoint(checkpoint)

    def measure(split: Split) -> Accuracies:
        data = load_images(folder, plan, split)
        return Accuracies(len(data), *(evaluate(one, data).accuracy for one in (before, after)))

    lost = {CARD_KEY, "rejection"} & before.card.keys() - after.card.keys()
    return Change(measure("train"), measure("test"), lost_thresholds=bool(lost))


def _load_initial(folder: RunFolder, plan: Plan) -> Checkpoint | None:
    if plan.initial_sha256 is None:
        return None
    try:
        digest = hashlib.sha256(folder.initial.read_bytes()).hexdigest()
    except OSError:
        digest = ""
    if digest != plan.initial_sha256:
        raise RunError(f"{folder.initial} is not what the run began with; restore it, or begin a new run")
    return load_checkpoint(folder.initial)
