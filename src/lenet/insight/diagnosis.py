"""Diagnosis of a training: the faults that the measurements show, each with its remedy, the likeliest first.

The thresholds were set on the named recipes, which raise no fault, and on runs with a fault made on purpose.
The faults of activations follow Glorot and Bengio 2010 (saturated sigmoids, vanishing gradients) and Lu et
al. 2019, "Dying ReLU and initialization".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lenet.insight.faults import (
    CONSTANT,
    HEALTHY,
    LEARNT_SOMETHING,
    SHUFFLE,
    SLOW_UPDATE,
    SORTED,
    Fault,
    describe_dead_units,
    describe_purity,
    find_largest,
)
from lenet.insight.symptoms import Symptoms, compute_chance_loss, measure_symptoms
from lenet.phrases import ClassName, Phrase
from lenet.training.loop import Epoch
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder

AT_CHANCE = 0.97  # of the chance loss: above it the network has learnt nothing
RISEN = 0.05  # of accuracy above guessing: the loss of a sigmoid network falls an epoch later
EXPLODED = 1.5  # times the chance loss: much worse than guessing
DEAD_AT_CHANCE = 0.6  # dead units of one layer, in a network that has learnt nothing
SATURATED = 0.5
VANISHED = 20  # times that the last layer moves more than the first
PATIENCE = 5  # epochs that a sigmoid network may stay at chance; the slowest named recipe takes three


@dataclass(frozen=True)
class Diagnosis:
    """The measurements of a run and its faults; a healthy run has none."""

    run: str
    symptoms: Symptoms
    faults: tuple[Fault, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "symptoms": self.symptoms.to_dict()}


def diagnose(folder: RunFolder) -> Diagnosis:
    """Examine a run, finished or not. Raises what `measure_symptoms` raises."""
    symptoms = measure_symptoms(folder)
    return Diagnosis(str(folder.path), symptoms, tuple(judge(symptoms, folder.read_plan().recipe)))


def watch(folder: RunFolder, epoch: Epoch) -> Fault | None:
    """The likeliest fault of a running training after an epoch, None where none is found.

    Costs nothing where the loss is better than guessing; faults that only a finished run shows are left to
    `diagnose`.
    """
    recipe = folder.read_plan().recipe
    held_out = epoch.validation_accuracy if recipe.validation else epoch.test_accuracy
    accuracy = epoch.train_accuracy if held_out is None else held_out
    gain = accuracy - 1 / recipe.model.classes
    if not has_learnt_nothing(epoch.train_loss, compute_chance_loss(recipe), gain):
        return None
    return next(iter(diagnose(folder).faults), None)


def judge(symptoms: Symptoms, recipe: Recipe) -> Iterator[Fault]:
    """The faults that the symptoms show, the likeliest first."""
    if symptoms.diverged is not None:
        yield _find_divergence(symptoms, recipe)
        return
    if not symptoms.epochs:
        return
    accuracies = symptoms.held_out_accuracies or symptoms.train_accuracies
    gain = accuracies[-1] - 1 / recipe.model.classes
    if has_learnt_nothing(symptoms.train_losses[-1], symptoms.chance_loss, gain):
        yield from _judge_standstill(symptoms, recipe)
        return
    for find in LEARNT_SOMETHING:
        fault = find(symptoms, recipe)
        if fault is not None:
            yield fault


def has_learnt_nothing(loss: float, chance_loss: float, gain: float = 0.0) -> bool:
    """True where a training loss is no better than that of guessing, and the accuracy has not risen either.

    `gain` is the accuracy less that of guessing. It counts for nothing where the loss has exploded.
    """
    has_risen = gain > RISEN and loss <= EXPLODED * chance_loss
    return loss > AT_CHANCE * chance_loss and not has_risen


def _judge_standstill(symptoms: Symptoms, recipe: Recipe) -> Iterator[Fault]:
    """Why nothing was learnt: the first cause that the measurements support."""
    state = _describe_standstill(symptoms)
    rate, activation = recipe.lr, recipe.model.activation
    layer, dead = find_largest(symptoms.dead_units)
    flat, saturated = find_largest(symptoms.saturated)
    ratios = list(symptoms.update_ratios.values())
    if symptoms.batch_purity > SORTED and not recipe.shuffle:
        yield Fault(Phrase("sorted data"), _explain(state, describe_purity(symptoms)), SHUFFLE)
    elif dead >= DEAD_AT_CHANCE:
        yield Fault(
            Phrase("dead units"),
            Phrase(
                "{state}; {dead}: the learning rate {rate:g} is too large for {activation}",
                state=state,
                dead=describe_dead_units(layer, dead),
                rate=rate,
                activation=activation,
            ),
            Phrase(
                "begin again with `lr={rate:g}` or less; `activation=leaky-relu` or `initialisation=kaiming` "
                "help too",
                rate=rate / 10,
            ),
        )
    elif symptoms.train_losses[-1] > EXPLODED * symptoms.chance_loss:
        yield Fault(
            Phrase("learning rate too large"),
            Phrase(
                "{state}, worse than guessing: each step of {rate:g} overshoots the minimum",
                state=state,
                rate=rate,
            ),
            Phrase("begin again with `lr={rate:g}` or less", rate=rate / 10),
        )
        if saturated >= SATURATED:
            yield _describe_saturation(flat, saturated, activation)
    elif saturated >= SATURATED:
        yield _describe_saturation(flat, saturated, activation, state)
    elif ratios and max(ratios) < SLOW_UPDATE:
        yield Fault(
            Phrase("learning rate too small"),
            _explain(state, Phrase(HEALTHY, ratio=max(ratios))),
            Phrase("take `lr={rate:g}`", rate=rate * 100),
        )
    elif ratios and ratios[-1] > VANISHED * ratios[0] and ratios[0] < SLOW_UPDATE:
        yield Fault(
            Phrase("vanishing gradient"),
            Phrase(
                "{state}; a step moves the last layer by {last:.1g} of its weights and the first by only "
                "{first:.1g}: little of the gradient comes through {activation}",
                state=state,
                last=ratios[-1],
                first=ratios[0],
                activation=activation,
            ),
            Phrase(
                "take `activation=relu` with `optimizer=adam` and `lr=0.001`; to stay with {activation}, "
                "`initialisation=xavier` and a larger `lr` such as 0.9",
                activation=activation,
            ),
        )
    elif symptoms.epochs >= PATIENCE:
        yield Fault(
            Phrase("nothing learnt"),
            Phrase("{state}, though the weights of every layer change and few units are dead", state=state),
            Phrase(
                "look whether the labels belong to the images (`lenet predict --sample 50` draws some); if "
                "they do, take `activation=relu` with `optimizer=adam` and `lr=0.001`"
            ),
        )


def _find_divergence(symptoms: Symptoms, recipe: Recipe) -> Fault:
    return Fault(
        Phrase("diverged"),
        Phrase(
            "the loss is not finite in epoch {epoch}: the learning rate {rate:g} is too large for "
            "{activation} with {optimizer}",
            epoch=symptoms.epochs + 1,
            rate=recipe.lr,
            activation=recipe.model.activation,
            optimizer=recipe.optimizer,
        ),
        Phrase(
            "begin again with `lr={rate:g}`, or limit the gradient with `clip_norm=1`", rate=recipe.lr / 10
        ),
    )


def _describe_standstill(symptoms: Symptoms) -> str:
    state = Phrase(
        "after {epochs} the loss is {loss:.3g}, that of guessing is {chance:.3g}",
        epochs=Phrase("1 epoch" if symptoms.epochs == 1 else "{count} epochs", count=symptoms.epochs),
        loss=symptoms.train_losses[-1],
        chance=symptoms.chance_loss,
    )
    if symptoms.majority_predicted_share <= CONSTANT:
        return state
    name = ClassName(symptoms.majority_class)
    return Phrase("{state} and {name!r} is the answer to everything", state=state, name=name)


def _explain(state: str, cause: str) -> str:
    return Phrase("{state}; {cause}", state=state, cause=cause)


def _describe_saturation(layer: str, share: float, activation: str, state: str = "") -> Fault:
    saturated = Phrase(
        "{share:.0%} of the activations of {layer} lie where {activation} is flat and passes no gradient on",
        share=share,
        layer=layer,
        activation=activation,
    )
    return Fault(
        Phrase("saturated units"),
        _explain(state, saturated) if state else saturated,
        Phrase(
            "lower `lr`, bring the pixels to mean 0 and deviation 1 (`pixel_mean`, `pixel_std`), begin with "
            "`initialisation=xavier`, or take `activation=relu`"
        ),
    )
