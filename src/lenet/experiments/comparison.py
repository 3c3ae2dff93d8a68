"""Runs a study and compares its variants: accuracies over the seeds, and the conclusion in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lenet.data.datasets import load, write_unbalanced
from lenet.experiments.distorted import measure_distorted, measure_inverted
from lenet.experiments.pool import Job, Outcome, run_jobs
from lenet.experiments.studies import Study
from lenet.insight.diagnosis import diagnose
from lenet.models.checkpoint import load_checkpoint
from lenet.training.run_folder import RunFolder

SIGNIFICANCE = 0.05
"""The probability of a false difference between equal variants, over all comparisons of a study."""
MIN_LEARNT_ACCURACY = 0.2
FREQUENT = 0.2  # share of one answer that is worth a sentence


@dataclass(frozen=True)
class Variant:
    """One variant of a study: the accuracy of each of its runs, by condition, in the order of the seeds."""

    label: str
    changes: dict[str, Any]
    accuracies: dict[str, tuple[float, ...]]
    """By condition ('test' first): accuracies, 0..1; 0 for a run that diverged."""
    failures: tuple[str, ...] = ()
    """The reason for each run that learnt nothing."""
    answers: dict[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    """By condition: the most frequent answer of each run, and its share, 0..1."""

    def mean(self, condition: str) -> float:
        """The mean over the runs."""
        return statistics.fmean(self.accuracies[condition])

    def spread(self, condition: str) -> float:
        """The standard deviation over the runs; 0 for a single run."""
        values = self.accuracies[condition]
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def write(self, condition: str) -> str:
        """Mean and standard deviation in percent, as text."""
        return f"{100 * self.mean(condition):.2f} ± {100 * self.spread(condition):.2f} %"


@dataclass(frozen=True)
class Comparison:
    """A finished study."""

    study: str
    question: str
    about: str
    data: str
    epochs: int
    seeds: int
    variants: tuple[Variant, ...]
    """The others are compared with the first."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions under which every variant was measured."""
        return tuple(self.variants[0].accuracies)

    @property
    def has_learnt_nothing(self) -> bool:
        """True when no run of any variant does better than MIN_LEARNT_ACCURACY on the test images."""
        condition = self.conditions[0]
        return all(max(variant.accuracies[condition]) <= MIN_LEARNT_ACCURACY for variant in self.variants)

    @property
    def conclusion(self) -> str:
        """The conclusion in words, computed from the accuracies."""
        return conclude(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the inverse is `from_dict`."""
        variants = [
            {
                **asdict(variant),
                "mean": {name: variant.mean(name) for name in self.conditions},
                "spread": {name: variant.spread(name) for name in self.conditions},
            }
            for variant in self.variants
        ]
        return {**asdict(self), "variants": variants, "conclusion": self.conclusion}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Comparison:
        """The comparison that `to_dict` wrote."""
        variants = tuple(
            Variant(
                row["label"],
                row["changes"],
                {name: tuple(shares) for name, shares in row["accuracies"].items()},
                tuple(row["failures"]),
                {name: tuple(map(tuple, pairs)) for name, pairs in row.get("answers", {}).items()},
            )
            for row in values["variants"]
        )
        names = ("study", "question", "about", "data", "epochs", "seeds")
        return cls(**{name: values[name] for name in names}, variants=variants)


def differ(a: Sequence[float], b: Sequence[float], comparisons: int = 1) -> bool:
    """True when two means differ significantly: Welch's t-test at 5 % over all comparisons (Bonferroni).

    Always false for single runs, which have no spread.
    """
    from scipy.stats import t  # the import takes a second

    if len(a) < 2 or len(b) < 2:
        return False
    difference = abs(statistics.fmean(a) - statistics.fmean(b))
    parts = [statistics.variance(values) / len(values) for values in (a, b)]
    if sum(parts) == 0:
        return difference > 0
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)
    )
    p = 2 * float(t.sf(difference / math.sqrt(sum(parts)), freedom))
    return p < SIGNIFICANCE / comparisons


def conclude(comparison: Comparison, say: Callable[[str], str] = str) -> str:
    """The conclusion in words: which variants are better, worse, or not different, for each condition.

    `say` translates the sentences, such as "{variants} do better than {base}", not the values in them.
    """
    first, *others = comparison.variants
    if comparison.seeds < 2:
        return say("One run of each says nothing about the spread; take more seeds.")
    condition = comparison.conditions[0]
    if comparison.has_learnt_nothing:
        variants = _list(comparison.variants, condition, say)
        sentences = [say("Nothing was learnt, so nothing is compared: {variants}.").format(variants=variants)]
    elif len(comparison.conditions) > 1:
        found = {name: _compare(first, others, name, say) for name in comparison.conditions}
        where = say("On digits {condition}: {found}.")
        sentences = [where.format(condition=name, found=text) for name, text in found.items()]
    else:
        text = _compare(first, others, condition, say)
        sentences = [say("{found}.").format(found=text[0].upper() + text[1:])]
    for variant in comparison.variants:
        for name, answers in variant.answers.items():
            if max(share for _, share in answers) > FREQUENT:
                quoted = say("“{name}” ({value})")
                most = say(", ").join(
                    quoted.format(name=answer, value=f"{100 * share:.1f} %") for answer, share in answers
                )
                sentence = say("On digits {condition} the most frequent answers of {variant} are {answers}.")
                sentences.append(sentence.format(condition=name, variant=_quote(variant), answers=most))
    for variant in comparison.variants:
        if variant.failures:
            values = {"count": len(variant.failures), "runs": comparison.seeds, "reason": variant.failures[0]}
            sentence = say("{variant} learnt nothing in {count} of {runs} runs: {reason}.")
            sentences.append(sentence.format(variant=_quote(variant), **values))
    return " ".join(sentences)


def _compare(first: Variant, others: Sequence[Variant], condition: str, say: Callable[[str], str]) -> str:
    better, worse, same = [], [], []
    for other in others:
        if not differ(first.accuracies[condition], other.accuracies[condition], len(others)):
            same.append(other)
        elif other.mean(condition) > first.mean(condition):
            better.append(other)
        else:
            worse.append(other)
    if not better and not worse:
        sentence = say("no difference beyond the spread: {variants}")
        return sentence.format(variants=_list([first, *same], condition, say))
    base = _list([first], condition, say)
    parts = []
    for group, one, several in (
        (better, say("{variants} does better than {base}"), say("{variants} do better than {base}")),
        (worse, say("{variants} does worse than {base}"), say("{variants} do worse than {base}")),
    ):
        if group:
            sentence = one if len(group) == 1 else several
            parts.append(sentence.format(variants=_list(group, condition, say), base=base))
            base = _quote(first)
    if same:
        sentence = say("no difference from {base} beyond the spread: {variants}")
        parts.append(sentence.format(base=base, variants=_list(same, condition, say)))
    return say("; ").join(parts)


def _list(variants: Sequence[Variant], condition: str, say: Callable[[str], str]) -> str:
    quoted = say("“{name}” ({value})")
    texts = [quoted.format(name=variant.label, value=variant.write(condition)) for variant in variants]
    if len(texts) == 1:
        return texts[0]
    return say("{variants} and {last}").format(variants=say(", ").join(texts[:-1]), last=texts[-1])


def _quote(variant: Variant) -> str:
    return f"“{variant.label}”"


def list_jobs(study: Study, seeds: int) -> dict[str, list[Job]]:
    """The jobs of a study, by variant."""
    return {label: [Job(study.plan(label), seed) for seed in range(seeds)] for label in study.variants}


def run_study(study: Study, seeds: int, folder: Path, workers: int) -> Iterator[Outcome]:
    """Train the missing runs of a study in `folder`; yield each as it finishes. Raises as `run_jobs`."""
    jobs = [job for group in list_jobs(study, seeds).values() for job in group]
    yield from run_jobs(jobs, folder, workers)


def prepare(study: Study, folder: Path) -> Study:
    """The study with its data; unbalanced data are first written to `folder`."""
    if not study.unbalanced:
        return study
    place = folder / f"{Path(study.recipe.data).name}-unbalanced"
    write_unbalanced(study.recipe.data, place)
    return study.with_changes({"data": str(place)})


def compare(study: Study, seeds: int, outcomes: Sequence[Outcome]) -> Comparison:
    """Compare the variants of a study by its outcomes; measures distorted images if the study says so."""
    found = {outcome.job.identity: outcome for outcome in outcomes}
    variants = []
    for label, jobs in list_jobs(study, seeds).items():
        runs = [found[job.identity] for job in jobs]
        accuracies = {"test": tuple(run.test_accuracy or 0.0 for run in runs)}
        if study.distorted:
            test = load(study.recipe.data, "test")
            measured = [measure_distorted(load_checkpoint(run.run), test) for run in runs]
            accuracies = {name: tuple(row[name] for row in measured) for name in measured[0]}
        answers = {}
        if study.inverted:
            test = load(study.recipe.data, "test")
            found_answers = [measure_inverted(load_checkpoint(run.run), test) for run in runs]
            names = found_answers[0]
            accuracies = {name: tuple(row[name].accuracy for row in found_answers) for name in names}
            answers = {name: tuple(row[name].most_frequent for row in found_answers) for name in names}
        failures = tuple(reason for run in runs if (reason := explain_failure(run)))
        variants.append(Variant(label, dict(study.variants[label]), accuracies, failures, answers))
    return Comparison(
        study=study.name,
        question=study.question,
        about=study.about,
        data=Path(study.recipe.data).name,
        epochs=study.recipe.epochs,
        seeds=seeds,
        variants=tuple(variants),
    )


def explain_failure(outcome: Outcome) -> str | None:
    """The diagnosis of a run that learnt nothing; None for other runs."""
    if outcome.diverged is None and (outcome.test_accuracy or 0) > MIN_LEARNT_ACCURACY:
        return None
    faults = diagnose(RunFolder(Path(outcome.run))).faults
    return faults[0].what if faults else None
