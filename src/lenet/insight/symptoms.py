"""Measurements of a run: its history, and the activations and updates on a thousand training images."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.insight.activations import trace_maps
from lenet.models.checkpoint import load_checkpoint
from lenet.models.network import LeNet
from lenet.training.initial import load_images, make_initial_model
from lenet.training.levenberg import LevenbergMarquardt
from lenet.training.loop import step
from lenet.training.optimisation import weigh_classes
from lenet.training.plan import Plan
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder
from lenet.training.start import TrainingState, start
from lenet.training.teachers import load_teachers

SAMPLE = 1000  # images; a unit that is 0 for all of them is 0 for almost all images
FLAT = 0.01  # of the maximum slope of a sigmoid or tanh: below it a unit counts as saturated


@dataclass(frozen=True)
class Symptoms:
    """Measured facts of a run; `lenet.insight.diagnosis` says what they mean."""

    epochs: int
    """Finished ones."""
    is_finished: bool
    diverged: str | None
    """The message of the run that ended because its loss was no longer finite."""
    chance_loss: float
    """The loss of a network to which all classes are equally likely."""
    train_losses: tuple[float, ...]
    train_accuracies: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    """Of the validation images, or of the test images where none are held out."""
    held_out_accuracies: tuple[float, ...]
    dead_units: dict[str, float]
    """ReLU layers: the share of units (channels behind a convolution) that are 0 for every image."""
    saturated: dict[str, float]
    """Sigmoid and tanh layers: the share of activations where the slope is below 1 % of its maximum."""
    update_ratios: dict[str, float]
    """By layer: the norm of one step at the recipe's learning rate, as a share of the norm of the weights."""
    majority_class: str
    """The class that is predicted most often."""
    majority_predicted_share: float
    """Of the predictions."""
    majority_label_share: float
    """The share of images that are of that class."""
    class_counts: dict[str, int]
    recalls: dict[str, float]
    """Of each class: on the test images once the run is finished, before that on the sample."""
    batch_purity: float
    """Share of the most frequent class in a batch, mean over the batches, in the order of the file."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; some stand under their earlier names, too, which programs may read."""
        earlier = {
            "silent": self.dead_units,
            "favourite": self.majority_class,
            "favourite_share": self.majority_predicted_share,
            "favourite_count_share": self.majority_label_share,
        }
        return asdict(self) | earlier


def measure_symptoms(folder: RunFolder) -> Symptoms:
    """Measure a run, finished or not. Reads the run and its data; changes neither.

    Raises RunError when the folder is no run, CheckpointError when its weights are damaged, DataError when
    its data are missing.
    """
    plan, history, evaluation = folder.read_plan(), folder.read_history(), folder.read_evaluation()
    recipe, data = plan.recipe, load_images(folder, plan, "train")
    held_out = "validation" if recipe.validation else "test"
    losses = [getattr(epoch, f"{held_out}_loss") for epoch in history]
    accuracies = [getattr(epoch, f"{held_out}_accuracy") for epoch in history]
    state = start(make_initial_model(folder, plan), recipe, load_teachers(folder, plan))
    folder.read_state(state)
    if history and not state.epoch:  # copied without the state that resuming needs
        weights = load_checkpoint(folder.last).model.state_dict()
        state.model.load_state_dict(weights)
        state.averaged.load_state_dict(weights)
    sample = sample_images(data, plan)
    outputs = trace_maps(state.averaged, sample.images)
    predicted = outputs["output"].argmax(dim=1)
    counts = predicted.bincount(minlength=len(data.classes))
    majority = int(counts.argmax())
    if evaluation is None:
        recalls = _measure_recalls(predicted, sample)
    else:
        recalls = {row["name"]: row["recall"] for row in evaluation.get("per_class", [])}
    return Symptoms(
        epochs=len(history),
        is_finished=evaluation is not None,
        diverged=folder.read_divergence(),
        chance_loss=compute_chance_loss(recipe),
        train_losses=tuple(epoch.train_loss for epoch in history),
        train_accuracies=tuple(epoch.train_accuracy for epoch in history),
        held_out_losses=tuple(loss for loss in losses if loss is not None),
        held_out_accuracies=tuple(accuracy for accuracy in accuracies if accuracy is not None),
        dead_units=find_dead_units(state.averaged, outputs),
        saturated=find_saturated(state.averaged, outputs),
        update_ratios=measure_updates(state, sample, recipe),
        majority_class=data.classes[majority],
        majority_predicted_share=counts[majority].item() / len(sample),
        majority_label_share=(sample.labels == majority).double().mean().item(),
        class_counts=dict(
            zip(data.classes, data.labels.bincount(minlength=len(data.classes)).tolist(), strict=True)
        ),
        recalls=recalls,
        batch_purity=measure_purity(data.labels, recipe.batch_size),
    )


def compute_chance_loss(recipe: Recipe) -> float:
    """The recipe's loss of the best answer that is the same for every image: ln C of uniform probabilities,
    the variance of one-hot targets, or half the summed variances of targets of 1 and -1."""
    outputs = recipe.model.classes + recipe.model.reject_class
    match recipe.loss:
        case "cross-entropy":
            return math.log(outputs)
        case "bipolar-squared-error":
            return 2 * (outputs - 1) / outputs
    return (outputs - 1) / outputs**2


def sample_images(data: ImageSet, plan: Plan) -> ImageSet:
    """A thousand training images, the same ones for the same seed."""
    order = torch.randperm(len(data), generator=random_stream(plan.seed, "diagnosis"))
    return data.subset(order[:SAMPLE])


def find_dead_units(model: LeNet, outputs: dict[str, Tensor]) -> dict[str, float]:
    """The share of dead units in each ReLU layer, of the outputs (N, units) or (N, channels, h, w)."""
    dead = {}
    for name, layer in model.named_children():
        if isinstance(layer, torch.nn.ReLU):
            others = [axis for axis in range(outputs[name].ndim) if axis != 1]
            maxima = outputs[name].amax(dim=others)  # (units,)
            dead[name] = (maxima <= 0).double().mean().item()
    return dead


def find_saturated(model: LeNet, outputs: dict[str, Tensor]) -> dict[str, float]:
    """The share of activations in each sigmoid or tanh layer that lie where the function is flat."""
    saturated = {}
    for name, layer in model.named_children():
        values = outputs[name]
        if isinstance(layer, torch.nn.Sigmoid):
            slope = 4 * values * (1 - values)
        elif isinstance(layer, torch.nn.Tanh):
            slope = 1 - values.square()
        else:
            continue
        saturated[name] = (slope < FLAT).double().mean().item()
    return saturated


def measure_updates(state: TrainingState[LeNet], sample: ImageSet, recipe: Recipe) -> dict[str, float]:
    """Take one step of the recipe's optimiser on a batch of the sample; measure how far the weights move.

    Changes the weights of `state`.
    """
    layers = {
        name: layer
        for name, layer in state.model.named_children()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
    }
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    images, labels = sample.images[: recipe.batch_size], sample.labels[: recipe.batch_size]
    state.model.train()
    if isinstance(state.optimizer, LevenbergMarquardt):
        state.optimizer.measure(state.model, images, labels, recipe.loss)
    step(state, images, labels, recipe, recipe.lr, weigh_classes(recipe, sample.labels))
    moved = {name: (layer.weight.detach() - before[name]).norm() for name, layer in layers.items()}
    return {name: (moved[name] / before[name].norm()).item() for name in layers}


def measure_purity(labels: Tensor, batch_size: int) -> float:
    """The share of a batch's most frequent class, mean over the batches of an epoch without shuffling."""
    batches = labels.split(batch_size)
    shares: list[float] = [batch.bincount().max().item() / len(batch) for batch in batches]
    return sum(shares) / len(shares)


def _measure_recalls(predicted: Tensor, sample: ImageSet) -> dict[str, float]:
    recalls = {}
    for number, name in enumerate(sample.classes):
        members = sample.labels == number
        if members.any():
            recalls[name] = (predicted[members] == number).double().mean().item()
    return recalls
