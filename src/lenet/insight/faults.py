"""The faults of a network that has learnt something, each with its remedy.

The thresholds were set on the named recipes, which raise no fault but for d2l-relu, which
loses maps, and on runs with a fault made on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from lenet.insight.symptoms import Symptoms
from lenet.models.layers import CONVOLUTION_KINDS
from lenet.phrases import ClassName, Phrase
from lenet.training.recipe import Recipe

SLOW_UPDATE = 1e-4  # norm of a step over norm of the weights; about 1e-3 is healthy
SORTED = 0.9
DEAD = 0.9  # dead units of one layer
DEAD_MAPS = 0.25  # of the maps of one convolution
CONSTANT = 0.98
GAP = 0.06  # of accuracy, between training and held-out images
RISE = 1.25  # of the held-out loss, over its minimum
EPOCHS_RISING = 3  # since the minimum; a single epoch may be worse by chance
RARE = 0.1  # a class with less than this share of the mean class
MISSED = 0.8  # of the mean recall
SHUFFLE = Phrase("shuffle them: `shuffle=True`")
BEGIN_AGAIN = "begin again with `lr={rate:g}`, or with `activation=leaky-relu`"
HEALTHY = "a step moves no layer by more than {ratio:.1g} of its weights (about 0.001 is healthy)"


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


def describe_purity(symptoms: Symptoms) -> str:
    """How sorted the batches are, in words."""
    return Phrase(
        "on average {purity:.0%} of a batch are of one class, because the images come sorted",
        purity=symptoms.batch_purity,
    )


def describe_dead_units(layer: str, share: float) -> str:
    """The share of dead units in a layer, in words."""
    return Phrase(
        "{share:.0%} of the units of {layer} answer 0 to every image and can no longer learn",
        share=share,
        layer=layer,
    )


def find_largest(shares: dict[str, float]) -> tuple[str, float]:
    """The layer with the largest share, and the share."""
    return max(shares.items(), key=lambda item: item[1], default=("", 0.0))


def _find_sorted(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    if recipe.shuffle or symptoms.batch_purity <= SORTED or symptoms.majority_label_share > SORTED:
        return None
    return Fault(Phrase("sorted data"), describe_purity(symptoms), SHUFFLE)


def _find_dead(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    layer, share = find_largest(symptoms.dead_units)
    if share < DEAD:
        return None
    return Fault(
        Phrase("dead units"),
        describe_dead_units(layer, share),
        Phrase(BEGIN_AGAIN, rate=recipe.lr / 10),
    )


def _find_slowness(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    ratios = symptoms.update_ratios.values()
    slow = ratios and max(ratios) < SLOW_UPDATE and recipe.schedule in ("constant", "step")
    if not slow or symptoms.train_losses[-1] < 0.5 * symptoms.chance_loss:
        return None
    return Fault(
        Phrase("learning rate too small"),
        Phrase(
            "the loss has only come from {first:.2f} to {last:.2f}; {moved}",
            first=symptoms.chance_loss,
            last=symptoms.train_losses[-1],
            moved=Phrase(HEALTHY, ratio=max(ratios)),
        ),
        Phrase("take `lr={rate:g}`", rate=recipe.lr * 10),
    )


def _find_constancy(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    if (
        symptoms.majority_predicted_share < CONSTANT
        or symptoms.majority_predicted_share < symptoms.majority_label_share + 0.02
    ):
        return None
    return Fault(
        Phrase("constant prediction"),
        Phrase(
            "{predicted:.0%} of a thousand images are taken for {name!r}, and {labelled:.0%} are",
            predicted=symptoms.majority_predicted_share,
            labelled=symptoms.majority_label_share,
            name=ClassName(symptoms.majority_class),
        ),
        Phrase("weigh the classes by their counts, `class_weights=balanced`, or lower `lr`"),
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
        Phrase("class imbalance"),
        Phrase(
            "{name!r} has {count:,} training images where a class has {mean:,.0f} on average, and only "
            "{recall:.0%} of its images are found (all classes: {mean_recall:.0%})",
            name=ClassName(name),
            count=counts[name],
            mean=mean,
            recall=missed[name],
            mean_recall=mean_recall,
        ),
        Phrase("weigh the classes by their counts, `class_weights=balanced`, or collect more of it"),
    )


def _find_overfitting(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    losses, accuracies = symptoms.held_out_losses, symptoms.held_out_accuracies
    if not losses or len(losses) != symptoms.epochs:
        return None
    gap = symptoms.train_accuracies[-1] - accuracies[-1]
    lowest = min(losses)
    if losses[-1] < RISE * lowest:
        return None
    held_out, best = Phrase("validation" if recipe.validation else "test"), losses.index(lowest) + 1
    risen = Phrase(
        "risen from {lowest:.2g} (epoch {best}) to {last:.2g}", lowest=lowest, best=best, last=losses[-1]
    )
    if gap >= GAP:
        return Fault(
            Phrase("overfitting"),
            Phrase(
                "{train:.1%} of the training images are right and {accuracy:.1%} of the {held_out} images, "
                "whose loss has {risen}",
                train=symptoms.train_accuracies[-1],
                accuracy=accuracies[-1],
                held_out=held_out,
                risen=risen,
            ),
            Phrase(
                "vary the images (`degrees=10`, `shift=0.05`), take `weight_decay=0.01` or `dropout=0.3`, or "
                "stop early with `validation` and `patience`"
            ),
        )
    if symptoms.epochs - best < EPOCHS_RISING:
        return None
    return Fault(
        Phrase("rising {held_out} loss", held_out=held_out),
        Phrase(
            "the {held_out} loss has {risen}, while the training loss is {train:.2g}: more of the mistakes "
            "are made with high confidence",
            held_out=held_out,
            risen=risen,
            train=symptoms.train_losses[-1],
        ),
        Phrase("stop early with `validation` and `patience`, or take `weight_decay=0.01`"),
    )


def _find_dead_maps(symptoms: Symptoms, recipe: Recipe) -> Fault | None:
    rows = recipe.model.layers()
    convolutions = {after.name: row for row, after in pairwise(rows) if row.kind in CONVOLUTION_KINDS}
    layer, share = find_largest({n: s for n, s in symptoms.dead_units.items() if n in convolutions})
    if not DEAD_MAPS <= share < DEAD:
        return None
    count, name = convolutions[layer].output_shape[0], convolutions[layer].name
    return Fault(
        Phrase("dead maps"),
        Phrase(
            "{dead} of the {count} maps of {name} answer 0 to every image and can no longer learn",
            dead=round(share * count),
            count=count,
            name=name,
        ),
        Phrase(BEGIN_AGAIN, rate=recipe.lr / 10),
    )


LEARNT_SOMETHING: tuple[Callable[[Symptoms, Recipe], Fault | None], ...] = (
    _find_sorted, _find_dead, _find_imbalance, _find_constancy, _find_slowness, _find_overfitting,
    _find_dead_maps,
)  # fmt: skip
