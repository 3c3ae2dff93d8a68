"""What can be measured on a run: its history, and its network at work on a thousand training images."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.models.checkpoint import load_checkpoint
from lenet.models.network import LeNet
from lenet.training.optimisation import measure_loss, weigh_classes
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe
from lenet.training.run_folder import Plan, RunFolder
from lenet.training.start import TrainingState, make_model, start

SAMPLE = 1000  # images; a unit that answers to none of them answers to almost none
FLAT = 0.01  # of its steepest: where the slope of a sigmoid or tanh counts as gone


@dataclass(frozen=True)
class Symptoms:
    """Measured facts of a run; `lenet.insight.diagnosis` says what they mean."""

    epochs: int
    """Finished ones."""
    is_finished: bool
    diverged: str | None
    """What was said when the loss was no longer finite."""
    chance_loss: float
    """What the loss is when every class is as likely as every other to the network."""
    train_losses: tuple[float, ...]
    train_accuracies: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    """Of the validation images, or of the test images where none are held out."""
    held_out_accuracies: tuple[float, ...]
    silent: dict[str, float]
    """ReLU layers: the share of units (channels behind a convolution) that answer 0 to every image."""
    saturated: dict[str, float]
    """Sigmoid and tanh layers: the share of answers where the slope is below 1 % of the steepest."""
    update_ratios: dict[str, float]
    """By layer: how far one step at the recipe's rate moves the weights, as a share of their length."""
    favourite: str
    """The class that is answered most often."""
    favourite_share: float
    """Of the answers."""
    favourite_count_share: float
    """The share of images that are of that class."""
    class_counts: dict[str, int]
    recalls: dict[str, float]
    """Of each class: on the test images at the end of the run, before that on the sample."""
    batch_purity: float
    """Share of the most frequent class in a batch, mean over the batches, in the order of the file."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure_symptoms(folder: RunFolder) -> Symptoms:
    """Measure a run, going on or finished. Reads the run and its data; changes neither.

    Raises RunError when it is no run, CheckpointError when its weights are damaged, DataError where
    its data are not there.
    """
    plan, history, evaluation = folder.read_plan(), folder.read_history(), folder.read_evaluation()
    recipe, data = plan.recipe, load(plan.recipe.data, "train")
    held_out = "validation" if recipe.validation else "test"
    losses = [getattr(epoch, f"{held_out}_loss") for epoch in history]
    accuracies = [getattr(epoch, f"{held_out}_accuracy") for epoch in history]
    state = start(make_model(recipe, plan.seed), recipe)
    folder.read_state(state)
    if history and not state.epoch:  # handed on without the state that resuming needs
        weights = load_checkpoint(folder.last).model.state_dict()
        state.model.load_state_dict(weights)
        state.averaged.load_state_dict(weights)
    sample = sample_images(data, plan)
    outputs = trace(state.averaged, sample.images)
    predicted = outputs["output"].argmax(dim=1)
    counts = predicted.bincount(minlength=len(data.classes))
    favourite = int(counts.argmax())
    if evaluation is None:
        recalls = _measure_recalls(predicted, sample)
    else:
        recalls = {row["name"]: row["recall"] for row in evaluation["per_class"]}
    return Symptoms(
        epochs=len(history),
        is_finished=evaluation is not None,
        diverged=folder.read_divergence(),
        chance_loss=compute_chance_loss(recipe),
        train_losses=tuple(epoch.train_loss for epoch in history),
        train_accuracies=tuple(epoch.train_accuracy for epoch in history),
        held_out_losses=tuple(loss for loss in losses if loss is not None),
        held_out_accuracies=tuple(accuracy for accuracy in accuracies if accuracy is not None),
        silent=find_dead_units(state.averaged, outputs),
        saturated=find_saturated(state.averaged, outputs),
        update_ratios=measure_updates(state, sample, recipe),
        favourite=data.classes[favourite],
        favourite_share=counts[favourite].item() / len(sample),
        favourite_count_share=(sample.labels == favourite).double().mean().item(),
        class_counts=dict(
            zip(data.classes, data.labels.bincount(minlength=len(data.classes)).tolist(), strict=True)
        ),
        recalls=recalls,
        batch_purity=measure_purity(data.labels, recipe.batch_size),
    )


def compute_chance_loss(recipe: Recipe) -> float:
    """The recipe's loss where nothing is known: ln C, or the variance of one-hot targets."""
    answers = recipe.model.classes + recipe.model.reject_class
    if recipe.loss == "cross-entropy":
        return math.log(answers)
    return (answers - 1) / answers**2


def sample_images(data: ImageSet, plan: Plan) -> ImageSet:
    """A thousand training images, the same ones for the same seed."""
    order = torch.randperm(len(data), generator=random_stream(plan.seed, "diagnosis"))
    return data.subset(order[:SAMPLE])


def trace(model: LeNet, images: Tensor) -> dict[str, Tensor]:
    """What leaves each layer, as the network answers when it is not trained."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        outputs = model.trace(images)
    model.train(was_training)
    return outputs


def find_dead_units(model: LeNet, outputs: dict[str, Tensor]) -> dict[str, float]:
    """The share of dead units in each ReLU layer."""
    silent = {}
    for name, layer in model.named_children():
        if isinstance(layer, torch.nn.ReLU):
            answers = outputs[name].flatten(2).amax(dim=(0, 2)) if outputs[name].ndim > 2 else None
            largest = outputs[name].amax(dim=0) if answers is None else answers  # (units,)
            silent[name] = (largest <= 0).double().mean().item()
    return silent


def find_saturated(model: LeNet, outputs: dict[str, Tensor]) -> dict[str, float]:
    """The share of answers in each sigmoid or tanh layer that lie where the function is flat."""
    saturated = {}
    for name, layer in model.named_children():
        answers = outputs[name]
        if isinstance(layer, torch.nn.Sigmoid):
            slope = 4 * answers * (1 - answers)
        elif isinstance(layer, torch.nn.Tanh):
            slope = 1 - answers.square()
        else:
            continue
        saturated[name] = (slope < FLAT).double().mean().item()
    return saturated


def measure_updates(state: TrainingState[LeNet], sample: ImageSet, recipe: Recipe) -> dict[str, float]:
    """Take one step of the recipe's optimiser on a batch of the sample, and see how far the weights go."""
    layers = {
        name: layer
        for name, layer in state.model.named_children()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
    }
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    images, labels = sample.images[: recipe.batch_size], sample.labels[: recipe.batch_size]
    state.model.train()
    logits = state.model.with_reject_logit(state.model(images))
    weights = weigh_classes(recipe, sample.labels)
    state.optimizer.zero_grad()
    measure_loss(logits, labels, recipe.loss, recipe.label_smoothing, weights).backward()
    if recipe.clip_norm:
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip_norm)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.lr
    state.optimizer.step()
    moved = {name: (layer.weight.detach() - before[name]).norm() for name, layer in layers.items()}
    return {name: (moved[name] / before[name].norm()).item() for name in layers}


def measure_purity(labels: Tensor, batch_size: int) -> float:
    """How much of a batch is of one class, mean over the batches of an epoch without shuffling."""
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
