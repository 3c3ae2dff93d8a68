"""The training loop, in plain sight.

Order, distortions, dropout and initial weights are pure functions of (seed, epoch, step): nothing random has
to be stored, and a run that is killed and resumed ends with the same bits as one that was never killed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lenet.data.imageset import ImageSet
from lenet.errors import DivergedError, ModelError
from lenet.models.adapter import Network, as_network, draws_at_random
from lenet.models.network import LeNet
from lenet.processes import find_device
from lenet.training.batches import gather_images, make_batch, open_streams
from lenet.training.evaluation import compute_logits
from lenet.training.levenberg import PATTERNS, LevenbergMarquardt
from lenet.training.optimisation import (
    learning_rate,
    measure_loss,
    move_average,
    weigh_classes,
)
from lenet.training.process_group import ALONE, ProcessGroup
from lenet.training.randomness import check_seed, seeded_dropout
from lenet.training.recipe import Recipe
from lenet.training.slices import SlicedBatches
from lenet.training.start import AnyNetwork, TrainingState, check_parts, hold_out_rows, start
from lenet.training.targets import soften_targets

SECONDS_BETWEEN_STEPS = 0.1  # how often `train_steps` reports within an epoch


@dataclass(frozen=True)
class Step:
    """How far the epoch is; figures are means over the epoch so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    examples_per_second: float


@dataclass(frozen=True)
class Epoch:
    """One finished pass. Training figures are means over the pass, in training mode, as it went."""

    epoch: int
    epochs: int
    learning_rate: float
    """Of the last step."""
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    is_best: bool
    """True when no earlier epoch had a better validation accuracy (or the same and a lower loss)."""
    seconds: float
    """Of training alone."""
    examples_per_second: float


def train(
    model: nn.Module,
    data: ImageSet,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    validation: ImageSet | None = None,
    test: ImageSet | None = None,
    teachers: Sequence[nn.Module] = (),
) -> Iterator[Epoch]:
    """Train `model` in place and yield each epoch as it ends; `break` stops early, nothing else is needed.

    Args:
        model: a LeNet, or any module from pixels (N, 1, H, W) to logits (N, classes), which gets pixels
            prepared as `recipe.model` says. Holds the learnt weights after each epoch; with `ema_decay`,
            their average.
        data: what to learn from.
        recipe: every number of the training.
        seed: decides order and distortions. The initial weights are the model's own; `make_model` draws them.
        device: auto, cpu, cuda, cuda:1, mps.
        validation: measured each epoch; decides `is_best` and the recipe's patience. By default as many
            images as the recipe's `validation` are held out of `data`, every class in proportion.
        test: measured each epoch for the curves; decides nothing.
        teachers: networks, as `model`, whose probabilities `distillation` mixes into the targets; copied.

    Raises DivergedError when the loss is no longer finite, RecipeError and DataError when the parts do not
    fit together, DeviceError when the device is not there.
    """
    network = as_network(model, recipe.model, len(data.classes)).to(find_device(device))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError(f"{type(model).__name__} has no weights that could be trained")
    learner = copy.deepcopy(network) if recipe.ema_decay else network
    copies = [as_network(copy.deepcopy(one), recipe.model, len(data.classes)) for one in teachers]
    state = start(learner, recipe, [teacher.to(find_device(device)) for teacher in copies])
    state.averaged = network
    rows = None
    if validation is None:
        rows, validation = hold_out_rows(data, recipe, seed)
    for record in train_steps(state, data, recipe, seed=seed, rows=rows, validation=validation, test=test):
        if isinstance(record, Epoch):
            yield record


def train_steps(
    state: TrainingState[AnyNetwork],
    data: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    rows: Tensor | None = None,
    validation: ImageSet | None = None,
    test: ImageSet | None = None,
    is_sliced: bool = False,
    group: ProcessGroup = ALONE,
) -> Iterator[Step | Epoch]:
    """Train from `state` on, changing it; as `train`, with a Step ten times a second in between.

    Args, in addition to those of `train`:
        rows: the images of `data` to learn from, int64 (N,); by default all.
        is_sliced: compute batches in slices, as several processes do.
        group: the processes that compute them; each must have the same `state`.
    """
    check_seed(seed)
    device = next(state.model.parameters()).device
    recipe = replace(recipe, model=state.model.config)  # the network that is there, whatever was planned
    check_parts(data, recipe)
    material = gather_images(data, recipe, seed, rows).to(device)
    weights = weigh_classes(recipe, material.labels)
    sliced = SlicedBatches(group, material, recipe, seed, weights) if is_sliced else None
    is_random = draws_at_random(state.model)
    steps = math.ceil(len(material.labels) / recipe.batch_size)
    for epoch in range(state.epoch + 1, recipe.epochs + 1):
        if _has_lost_patience(state, recipe):
            return
        streams = open_streams(len(material.labels), recipe, seed, epoch, device)
        exact = torch.float32 if device.type == "mps" else torch.float64  # Apple GPUs have no doubles
        totals = torch.zeros(2, dtype=exact, device=device)  # loss, right answers
        if sliced is not None:
            sliced.begin_epoch(epoch, device)
        examples, last_report = 0, 0.0
        began = time.perf_counter()
        state.model.train()
        if isinstance(state.optimizer, LevenbergMarquardt):
            assert isinstance(state.model, LeNet)  # as `start` has checked
            # The first images of the epoch, with the distortions that they will have.
            early = open_streams(len(material.labels), recipe, seed, epoch, device)
            patterns = make_batch(material, early.order[:PATTERNS], recipe, early)
            state.optimizer.measure(state.model, *patterns, recipe.loss)
        for number, indices in enumerate(streams.order.split(recipe.batch_size), 1):
            done = (epoch - 1) * steps + number - 1
            rate = learning_rate(recipe, done, steps)
            if sliced is not None:
                loss, right, count = sliced.differentiate(
                    state.model, state.teachers, indices, streams, number
                )
                descend(state, recipe, rate)
            else:
                images, labels = make_batch(material, indices, recipe, streams)
                targets, count = labels, len(labels)
                if state.teachers:
                    targets, labels = soften_targets(state.teachers, images, labels, recipe.distillation)
                with seeded_dropout(is_random, seed, epoch, number, device):
                    loss, logits = step(state, images, targets, recipe, rate, weights)
                right = (logits.argmax(dim=1) == labels).sum()
            if recipe.ema_decay:
                move_average(state.averaged, state.model, recipe.ema_decay, done + 1)

            examples += count
            totals[0] += loss * count
            totals[1] += right
            seconds = time.perf_counter() - began
            if seconds - last_report > SECONDS_BETWEEN_STEPS and number < steps:
                last_report = seconds
                mean_loss, accuracy = _means(totals, examples, epoch)
                yield Step(epoch, recipe.epochs, number, steps, mean_loss, accuracy, examples / seconds)
        mean_loss, accuracy = _means(totals, examples, epoch)
        seconds = time.perf_counter() - began
        if not all(parameter.isfinite().all() for parameter in state.model.parameters()):
            raise _diverged(epoch)

        state.epoch = epoch
        validation_loss, validation_accuracy = _measure(state.averaged, validation, recipe, group)
        test_loss, test_accuracy = _measure(state.averaged, test, recipe, group)
        is_best = _note_best(state, validation_loss, validation_accuracy)
        yield Epoch(
            epoch=epoch,
            epochs=recipe.epochs,
            learning_rate=rate,
            train_loss=mean_loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            is_best=is_best,
            seconds=seconds,
            examples_per_second=examples / seconds,
        )


def step(
    state: TrainingState[AnyNetwork],
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    rate: float,
    weights: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One step of the optimiser on a batch; with sdlm, one for each image. Changes `state`.

    Returns the loss and the logits, detached.

    Args:
        state: the network, in training mode, and its optimiser.
        images: what `make_batch` returns.
        targets: its labels (N,), or probabilities (N, C).
        recipe: loss, label smoothing and gradient clipping.
        rate: the learning rate of this step.
        weights: the weight of each class in the loss, (classes,).
    """
    if isinstance(state.optimizer, LevenbergMarquardt):
        assert isinstance(state.model, LeNet)
        return state.optimizer.learn(state.model, images, targets, recipe.loss, rate)
    logits = state.model.with_reject_logit(state.model(images))
    loss = measure_loss(logits, targets, recipe.loss, recipe.label_smoothing, weights)
    state.optimizer.zero_grad()
    loss.backward()
    descend(state, recipe, rate)
    return loss.detach(), logits.detach()


def descend(state: TrainingState[AnyNetwork], recipe: Recipe, rate: float) -> None:
    """Clip the gradients that are in the network, and change its weights."""
    if recipe.clip_norm:
        clip_grad_norm_(state.model.parameters(), recipe.clip_norm)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()


def _has_lost_patience(state: TrainingState[AnyNetwork], recipe: Recipe) -> bool:
    """True when the recipe's patience is used up: too many epochs since the best one."""
    return bool(recipe.patience and state.best_epoch and state.epoch - state.best_epoch >= recipe.patience)


def _means(totals: Tensor, examples: int, epoch: int) -> tuple[float, float]:
    """Mean loss and accuracy so far; the one place where a loss that is not finite shows."""
    loss, right = totals.tolist()
    if not math.isfinite(loss):
        raise _diverged(epoch)
    return loss / examples, right / examples


def _diverged(epoch: int) -> DivergedError:
    return DivergedError(
        f"the loss is not finite in epoch {epoch}: the learning rate is too large for this "
        "network; lower `lr`, or limit the gradient with `clip_norm=1`"
    )


def _measure(
    model: Network, data: ImageSet | None, recipe: Recipe, group: ProcessGroup
) -> tuple[float | None, float | None]:
    """Loss (the recipe's, without smoothing and weights) and accuracy on held-out images."""
    if data is None:
        return None, None
    logits, labels = compute_logits(model, data.images, group), data.labels.cpu()
    accuracy = (logits.argmax(dim=1) == labels).double().mean().item()
    return measure_loss(model.with_reject_logit(logits), labels, recipe.loss).item(), accuracy


def _note_best(state: TrainingState[AnyNetwork], loss: float | None, accuracy: float | None) -> bool:
    """Remember this epoch if it is the best so far by validation; with none, the last epoch is the best."""
    if loss is not None and accuracy is not None:
        if (accuracy, -loss) <= (state.best_accuracy, -state.best_loss):
            return False
        state.best_accuracy, state.best_loss = accuracy, loss
    state.best_epoch = state.epoch
    return True
