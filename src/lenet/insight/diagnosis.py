"""Diagnosis of a training: the faults that the measurements show, each with its remedy, the likeliest first.

The thresholds were set on the named recipes, which raise no fault, and on runs with a fault made on purpose.
The faults of activations follow Glorot and Bengio 2010 (saturated sigmoids, vanishing gradients) and Lu et
al. 2019, "Dying ReLU and initialization".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lenet.insight.symptoms import Symptoms, compute_chance_loss, measure_symptoms
from lenet.training.loop import Epoch
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder

AT_CHANCE = 0.97  # of the chance loss: above it the network has learnt nothing
EXPLODED = 1.5  # times the chance loss: much worse than guessing
DEAD_AT_CHANCE = 0.6  # dead units of one layer, in a network that has learnt nothing
DEAD = 0.9  # the same, in one that has learnt something
SATURATED = 0.5
SLOW_UPDATE = 1e-4  # norm of a step over norm of the weights; about 1e-3 is healthy
VANISHED = 20  # times that the last layer moves more than the first
CONSTANT = 0.98
GAP = 0.06  # of accuracy, between training and held-out images
RISE = 1.25  # of the held-out loss, over its minimum
RARE = 0.1  # a class with less than this share of the mean class
MISSED = 0.8  # of the mean recall
SORTED = 0.9
PATIENCE = 5  # epochs that a sigmoid network may stay at chance; the slowest named recipe takes three


@dataclass(frozen=True)
class Fault:
    """One fault: its name, what was measured, and what to do."""

    name: str
    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The fault in one line."""
        return f"{self.name}: {self.what}; {self.remedy}"


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
    chance = compute_chance_loss(folder.read_plan().recipe)
    if not has_learnt_nothing(epoch.train_loss, chance):
        return None
    return next(iter(diagnose(folder).faults), None)


def judge(symptoms: Symptoms, recipe: Recipe) -> Iterator[Fault]:
    """The faults that the symptoms show, the likeliest first."""
    if symptoms.diverged is not None:
        yield _find_divergence(symptoms, recipe)
        return
    if not symptoms.epochs:
        return
    if has_learnt_nothing(symptoms.train_losses[-1], symptoms.chance_loss):
        yield from _judge_standstill(symptoms, recipe)
        return
    for find in LEARNT_SOMETHING:
        fault = find(symptoms, recipe)
        if fault is not None:
            yield fault


def has_learnt_nothing(loss: float, chance_loss: float) -> bool:
    """True where a training loss is no better than that of guessing."""
    return loss > AT_CHANCE * chance_loss


def _judge_standstill(symptoms: Symptoms, recipe: Recipe) -> Iterator[Fault]:
    """Why nothing was learnt: the first cause that the measurements support."""
    state = _describe_standstill(symptoms)
    rate, activation = recipe.lr, recipe.model.activation
    layer, dead = _largest(symptoms.dead_units)
    flat, saturated = _largest(symptoms.saturated)
    ratios = list(symptoms.update_ratios.values())
    if symptoms.batch_purity > SORTED and not recipe.shuffle:
        yield Fault("sorted data", f"{state}; {_describe_purity(symptoms)}", "shuffle them: `shuffle=True`")
    elif dead >= DEAD_AT_CHANCE:
        yield Fault(
            "dead units",
            f"{state}; {dead:.0%} of the units of {layer} answer 0 to every image and can no longer learn: "
            f"the learning rate {rate:g} is too large for {activation}",
            f"begin again with `lr={rate / 10:g}` or less; `activation=leaky-relu` or "
            "`initialisation=kaiming` help too",
        )
    elif symptoms.train_losses[-1] > EXPLODED * symptoms.chance_loss:
        yield Fault(
            "learning rate too large",
            f"{state}, worse than guessing: each step of {rate:g} overshoots the minimum",
            f"begin again with `lr={rate / 10:g}` or less",
        )
        if saturated >= SATURATED:
            yield _describe_saturation(flat, saturated, activation)
    elif saturated >= SATURATED:
        yield _describe_saturation(flat, saturated, activation, state)
    elif ratios and max(ratios) < SLOW_UPDATE:
        yield Fault(
            "learning rate too small",
            f"{state}; a step moves no layer by more than {max(ratios):.1g} of its weights (about 0.001 is "
            "healthy)",
            f"take `lr={rate * 100:g}`",
        )
    elif ratios and ratios[-1] > VANISHED * ratios[0] and ratios[0] < SLOW_UPDATE:
        yield Fault(
            "vanishing gradient",
            f"{state}; a step moves the last layer by {ratios[-1]:.1g} of its weights and the first by only "
            f"{ratios[0]:.1g}: little of the gradient comes through {activation}",
            "take `activation=relu` with `optimizer=adam` and `lr=0.001`; to stay with "
            f"{activation}, `initialisation=xavier` and a larger `lr` such as 0.9",
        )
    elif symptoms.epochs >= PATIENCE:
        yield Fault(
            "nothing learnt",
            f"{state}, though the weights of every layer change and few units are dead",
            "look whether the labels belong to the images (`lenet predict --sample 50` draws some); if they "
            "do, take `activation=relu` with `optimizer=adam` and `lr=0.001`",
        )


def _find_divergence(symptoms: Symptoms, recipe: Recipe) -> Fault:
    assert symptoms.diverged is not None
    said = symptoms.diverged.split(":")[0]
    return Fault(
        "diverged",
        f"{said}: the learning rate {recipe.lr:g} is too large for {recipe.model.activation} with "
        f"{recipe.optimizer}",
        f"begin again with `lr={recipe.lr / 10:g}`, or limit the gradient with `clip_norm=1`",
    )


def _find_sorted(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    if recipe.shuffle or symptoms.batch_purity <= SORTED or symptoms.majority_label_share > SORTED:
        return None
    return Fault("sorted data", _describe_purity(symptoms), "shuffle them: `shuffle=True`")


def _find_dead(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    layer, share = _largest(symptoms.dead_units)
    if share < DEAD:
        return None
    return Fault(
        "dead units",
        f"{share:.0%} of the units of {layer} answer 0 to every image and can no longer learn",
        f"begin again with `lr={recipe.lr / 10:g}`, or with `activation=leaky-relu`",
    )


def _find_slowness(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    ratios = symptoms.update_ratios.values()
    slow = ratios and max(ratios) < SLOW_UPDATE and recipe.schedule in ("constant", "step")
    if not slow or symptoms.train_losses[-1] < 0.5 * symptoms.chance_loss:
        return None
    return Fault(
        "learning rate too small",
        f"the loss has only come from {symptoms.chance_loss:.2f} to {symptoms.train_losses[-1]:.2f}; a step "
        f"moves no layer by more than {max(ratios):.1g} of its weights (about 0.001 is healthy)",
        f"take `lr={recipe.lr * 10:g}`",
    )


def _find_constancy(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    if (
        symptoms.majority_predicted_share < CONSTANT
        or symptoms.majority_predicted_share < symptoms.majority_label_share + 0.02
    ):
        return None
    return Fault(
        "constant prediction",
        f"{symptoms.majority_predicted_share:.0%} of a thousand images are taken for "
        f"{symptoms.majority_class!r}, and {symptoms.majority_label_share:.0%} are",
        "weigh the classes by their counts, `class_weights=balanced`, or lower `lr`",
    )


def _find_imbalance(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    counts = symptoms.class_counts
    mean = sum(counts.values()) / len(counts)
    mean_recall = sum(symptoms.recalls.values()) / max(len(symptoms.recalls), 1)
    missed = {
        name: symptoms.recalls[name]
        for name in counts
        if counts[name] < RARE * mean and symptoms.recalls.get(name, 1) < MISSED * mean_recall
    }
    if not missed or recipe.class_weights != "none":
        return None
    name = min(missed, key=lambda rare: missed[rare])
    return Fault(
        "class imbalance",
        f"{name!r} has {counts[name]:,} training images where a class has {mean:,.0f} on average, and only "
        f"{missed[name]:.0%} of its images are found (all classes: {mean_recall:.0%})",
        "weigh the classes by their counts, `class_weights=balanced`, or collect more of it",
    )


def _find_overfitting(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    losses, accuracies = symptoms.held_out_losses, symptoms.held_out_accuracies
    if not losses or len(losses) != symptoms.epochs:
        return None
    gap = symptoms.train_accuracies[-1] - accuracies[-1]
    lowest = min(losses)
    if gap < GAP or losses[-1] < RISE * lowest:
        return None
    held_out = "validation" if recipe.validation else "test"
    return Fault(
        "overfitting",
        f"{symptoms.train_accuracies[-1]:.1%} of the training images are right and {accuracies[-1]:.1%} of "
        f"the {held_out} images, whose loss has risen from {lowest:.2f} (epoch {losses.index(lowest) + 1}) "
        f"to {losses[-1]:.2f}",
        "vary the images (`degrees=10`, `shift=0.05`), take `weight_decay=0.01` or `dropout=0.3`, or stop "
        "early with `validation` and `patience`",
    )


LEARNT_SOMETHING: tuple[Callable[[Symptoms, Recipe], Fault | None], ...] = (
    _find_sorted, _find_dead, _find_imbalance, _find_constancy, _find_slowness, _find_overfitting,
)  # fmt: skip


def _describe_standstill(symptoms: Symptoms) -> str:
    loss, chance = symptoms.train_losses[-1], symptoms.chance_loss
    answer = f" and {symptoms.majority_class!r} is the answer to everything" * (
        symptoms.majority_predicted_share > CONSTANT
    )
    epochs = "1 epoch" if symptoms.epochs == 1 else f"{symptoms.epochs} epochs"
    return f"after {epochs} the loss is {loss:.3g}, that of guessing is {chance:.3g}{answer}"


def _describe_saturation(layer: str, share: float, activation: str, state: str = "") -> Fault:
    return Fault(
        "saturated units",
        f"{state}{'; ' * bool(state)}{share:.0%} of the activations of {layer} lie where {activation} is "
        "flat and passes no gradient on",
        "lower `lr`, bring the pixels to mean 0 and deviation 1 (`pixel_mean`, `pixel_std`), begin with "
        "`initialisation=xavier`, or take `activation=relu`",
    )


def _describe_purity(symptoms: Symptoms) -> str:
    return (
        f"on average {symptoms.batch_purity:.0%} of a batch are of one class, because the images come sorted"
    )


def _largest(shares: dict[str, float]) -> tuple[str, float]:
    return max(shares.items(), key=lambda item: item[1], default=("", 0.0))
