"""The training loop, in plain sight.

Order, distortions, dropout and first weights are pure functions of (seed, epoch, step): nothing random has
to be stored, and a run that goes on after a kill ends with the same bits as one that was never killed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from lenet.data.imageset import ImageSet
from lenet.errors import DataError, DivergedError, RecipeError
from lenet.models.network import LeNet, initialise
from lenet.processes import find_device
from lenet.synthesis.augmentation import augment
from lenet.training.batches import gather_images
from lenet.training.evaluation import compute_logits
from lenet.training.optimisation import learning_rate, measure_loss, weigh_classes
from lenet.training.randomness import check_seed, random_stream, sample_order, seeded_dropout
from lenet.training.recipe import Recipe

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


@dataclass
class TrainingState:
    """All that training changes. `averaged` is `model` itself where the recipe averages nothing."""

    model: LeNet
    averaged: LeNet
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    """Finished epochs."""
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf


def make_model(recipe: Recipe, seed: int) -> LeNet:
    """The recipe's network with the first weights that belong to `seed`."""
    with torch.random.fork_rng([]):  # torch draws first weights of its own, which are not used
        model = LeNet(recipe.model)
    initialise(model, recipe.initialisation, random_stream(seed, "weights"))
    return model


def start(model: LeNet, recipe: Recipe) -> TrainingState:
    """The state before the first step."""
    averaged = copy.deepcopy(model).requires_grad_(False) if recipe.ema_decay else model
    parameters, lr, decay = model.parameters(), recipe.lr, recipe.weight_decay
    match recipe.optimizer:
        case "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                parameters, lr, recipe.momentum, weight_decay=decay, fused=True
            )
        case "adam":
            optimizer = torch.optim.Adam(parameters, lr, weight_decay=decay, fused=True)
        case "adamw":
            optimizer = torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=True)
    return TrainingState(model, averaged, optimizer)


def train(
    model: LeNet,
    data: ImageSet,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    validation: ImageSet | None = None,
    test: ImageSet | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place and yield each epoch as it ends; `break` stops early, nothing else is needed.

    Args:
        model: holds the learnt weights after each epoch; with `ema_decay`, their average.
        data: what to learn from; all of it, so split off `validation` before.
        recipe: every number of the training.
        seed: decides order and distortions. The first weights are the model's own; `make_model` draws them.
        device: auto, cpu, cuda, cuda:1, mps.
        validation: measured each epoch; decides `is_best` and the recipe's patience.
        test: measured each epoch for the curves; decides nothing.

    Raises DivergedError when the loss is no longer finite, RecipeError and DataError when the parts do not
    fit together, DeviceError when the device is not there.
    """
    learner = copy.deepcopy(model) if recipe.ema_decay else model
    state = start(learner.to(find_device(device)), recipe)
    state.averaged = model.to(find_device(device))
    for record in train_steps(state, data, recipe, seed=seed, validation=validation, test=test):
        if isinstance(record, Epoch):
            yield record


def train_steps(
    state: TrainingState,
    data: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    validation: ImageSet | None = None,
    test: ImageSet | None = None,
) -> Iterator[Step | Epoch]:
    """Train from `state` on, changing it; as `train`, with a Step ten times a second in between."""
    check_seed(seed)
    device = next(state.model.parameters()).device
    recipe = replace(recipe, model=state.model.config)  # the network that is there, whatever was planned
    check_parts(data, recipe)
    images, labels, bank = (part.to(device) for part in gather_images(data, recipe, seed))
    weights = weigh_classes(recipe, labels)
    steps = math.ceil(len(labels) / recipe.batch_size)
    for epoch in range(state.epoch + 1, recipe.epochs + 1):
        if _has_lost_patience(state, recipe):
            return
        order = sample_order(len(labels), recipe.shuffle, seed, epoch).to(device)
        distort = random_stream(seed, "distortions", epoch, device=device)
        choose = random_stream(seed, "negatives", epoch, device=device)
        exact = torch.float32 if device.type == "mps" else torch.float64  # Apple GPUs have no doubles
        totals = torch.zeros(2, dtype=exact, device=device)  # loss, right answers
        examples, last_report = 0, 0.0
        began = time.perf_counter()
        state.model.train()
        for step, indices in enumerate(order.split(recipe.batch_size), 1):
            batch, targets = images[indices], labels[indices]
            if extra := round(recipe.negatives * len(indices)):
                chosen = torch.randint(len(bank), (extra,), generator=choose, device=device)
                batch = torch.cat([batch, bank[chosen]])
                targets = functional.pad(targets, (0, extra), value=recipe.model.classes)
            if not recipe.distortions.is_none:
                batch = augment(batch.float() / 255, recipe.distortions, distort)
            rate = learning_rate(recipe, (epoch - 1) * steps + step - 1, steps)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            with seeded_dropout(recipe.model.dropout, seed, epoch, step, device):
                logits = state.model.with_reject_logit(state.model(batch))
            loss = measure_loss(logits, targets, recipe.loss, recipe.label_smoothing, weights)
            state.optimizer.zero_grad()
            loss.backward()
            if recipe.clip_norm:
                clip_grad_norm_(state.model.parameters(), recipe.clip_norm)
            state.optimizer.step()
            if recipe.ema_decay:
                _average(state, recipe.ema_decay, (epoch - 1) * steps + step)

            examples += len(targets)
            totals[0] += loss.detach() * len(targets)
            totals[1] += (logits.detach().argmax(dim=1) == targets).sum()
            seconds = time.perf_counter() - began
            if seconds - last_report > SECONDS_BETWEEN_STEPS and step < steps:
                last_report = seconds
                mean_loss, accuracy = _means(totals, examples, epoch, step)
                yield Step(epoch, recipe.epochs, step, steps, mean_loss, accuracy, examples / seconds)
        mean_loss, accuracy = _means(totals, examples, epoch, steps)
        seconds = time.perf_counter() - began
        if not all(parameter.isfinite().all() for parameter in state.model.parameters()):
            raise _diverged(epoch, steps)

        state.epoch = epoch
        validation_loss, validation_accuracy = _measure(state.averaged, validation, recipe)
        test_loss, test_accuracy = _measure(state.averaged, test, recipe)
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


def _has_lost_patience(state: TrainingState, recipe: Recipe) -> bool:
    """True when the recipe's patience is used up: too many epochs since the best one."""
    return bool(recipe.patience and state.best_epoch and state.epoch - state.best_epoch >= recipe.patience)


def _average(state: TrainingState, decay: float, step: int) -> None:
    """Move the averaged weights towards the model's. Early steps average less, or the start would linger."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for average, parameter in zip(state.averaged.parameters(), state.model.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)


def _means(totals: Tensor, examples: int, epoch: int, step: int) -> tuple[float, float]:
    """Mean loss and accuracy so far; the one place where a loss that is not finite shows."""
    loss, right = totals.tolist()
    if not math.isfinite(loss):
        raise _diverged(epoch, step)
    return loss / examples, right / examples


def _diverged(epoch: int, step: int) -> DivergedError:
    return DivergedError(
        f"the loss is not finite in epoch {epoch}, by step {step}: the learning rate is too large for this "
        "network; lower `lr`, or limit the gradient with `clip_norm=1`"
    )


def _measure(model: LeNet, data: ImageSet | None, recipe: Recipe) -> tuple[float | None, float | None]:
    """Loss (the recipe's, without smoothing and weights) and accuracy on held-out images."""
    if data is None:
        return None, None
    logits, labels = compute_logits(model, data.images), data.labels.cpu()
    accuracy = (logits.argmax(dim=1) == labels).double().mean().item()
    return measure_loss(model.with_reject_logit(logits), labels, recipe.loss).item(), accuracy


def _note_best(state: TrainingState, loss: float | None, accuracy: float | None) -> bool:
    """Remember this epoch if it is the best so far by validation; with none, the last epoch is the best."""
    if loss is not None and accuracy is not None:
        if (accuracy, -loss) <= (state.best_accuracy, -state.best_loss):
            return False
        state.best_accuracy, state.best_loss = accuracy, loss
    state.best_epoch = state.epoch
    return True


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
    for name in ("glyph_variants", "segmentation_artefacts"):
        if getattr(recipe, name) and data.classes != tuple("0123456789"):
            raise RecipeError(f"{name} are digits, and {data.name} has other classes; leave them out")
    if recipe.distortions.flip and not data.flips:
        raise RecipeError(
            f"flip makes no sense on {data.name}: a mirrored image is another or none; leave it out"
        )
