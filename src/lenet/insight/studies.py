"""Studies from beginning to end: train what is missing, measure, compare, draw."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.data.datasets import load
from lenet.data.unbalanced import write_unbalanced
from lenet.files import write_text
from lenet.insight.comparison import Comparison, Variant
from lenet.insight.diagnosis import diagnose
from lenet.insight.disturbances import measure_disturbed
from lenet.models.checkpoint import load_checkpoint
from lenet.training.curves import COLOURS
from lenet.training.folder import RunFolder
from lenet.training.parallel import Job, Outcome, carry_out_jobs
from lenet.training.studies import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = (*COLOURS.values(), "#a463f2", "#9c6b4e")


def list_jobs(study: Study, seeds: int) -> dict[str, list[Job]]:
    """The trainings of a study, by variant."""
    return {label: [Job(study.plan(label), seed) for seed in range(seeds)] for label in study.variants}


def carry_out_study(study: Study, seeds: int, folder: Path, workers: int) -> Iterator[Outcome]:
    """Train what is missing of a study's runs in `folder`; yield each as it is done.

    Raises what `carry_out_jobs` raises.
    """
    jobs = [job for group in list_jobs(study, seeds).values() for job in group]
    yield from carry_out_jobs(jobs, folder, workers)


def prepare(study: Study, folder: Path) -> Study:
    """The study, with the data that only it needs written to `folder`."""
    if not study.unbalanced:
        return study
    place = folder / f"{Path(study.recipe.data).name}-unbalanced"
    write_unbalanced(study.recipe.data, place)
    return study.with_changes({"data": str(place)})


def compare(study: Study, seeds: int, outcomes: Sequence[Outcome]) -> Comparison:
    """Put the outcomes of a study together; measures what is measured besides the test images."""
    found = {(outcome.job.recipe.name, outcome.job.seed): outcome for outcome in outcomes}
    variants = []
    for label, jobs in list_jobs(study, seeds).items():
        runs = [found[job.recipe.name, job.seed] for job in jobs]
        accuracies = {"test": tuple(run.test_accuracy or 0.0 for run in runs)}
        if study.disturbed:
            test = load(study.recipe.data, "test")
            measured = [measure_disturbed(load_checkpoint(run.run), test) for run in runs]
            accuracies = {name: tuple(row[name] for row in measured) for name in measured[0]}
        failures = tuple(reason for run in runs if (reason := explain_failure(run)))
        variants.append(Variant(label, dict(study.variants[label]), accuracies, failures))
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
    """Why a run learnt nothing, in the doctor's words; None where it has learnt something."""
    if outcome.diverged is None and (outcome.test_accuracy or 0) > 0.2:
        return None
    faults = diagnose(RunFolder(Path(outcome.run))).faults
    return faults[0].what if faults else None


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a JSON file and a picture named after the study, each whole or not at all."""
    from lenet.training.curves import save_figure

    write_text(folder / f"{comparison.study}.json", json.dumps(comparison.to_dict(), indent=2) + "\n")
    save_figure(plot_comparison(comparison), folder / f"{comparison.study}.png")


def plot_comparison(comparison: Comparison) -> Figure:
    """A row for each variant: a dot for each run, mean and standard deviation beside."""
    from matplotlib.figure import Figure  # a second to import, needed only here

    conditions = comparison.conditions
    height = 1.7 + (0.32 + 0.16 * len(conditions)) * len(comparison.variants)
    figure = Figure(figsize=(8, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for place, condition in enumerate(conditions):
        colour = PALETTE[place % len(PALETTE)]
        offset = 0.6 * ((place + 0.5) / len(conditions) - 0.5)
        for row, variant in enumerate(comparison.variants):
            values = [100 * share for share in variant.accuracies[condition]]
            level = row + offset
            axes.errorbar(
                100 * variant.mean(condition),
                level,
                xerr=100 * variant.spread(condition),
                fmt="|",
                color=colour,
                capsize=4,
                markersize=13,
                linewidth=1.4,
                label=f"{condition}: mean ± standard deviation" if row == 0 else None,
            )
            axes.scatter(
                values,
                [level] * len(values),
                s=22,
                color=colour,
                alpha=0.55,
                linewidths=0,
                label=f"{condition}: one run" if row == 0 else None,
            )
    axes.set_yticks(range(len(comparison.variants)), [variant.label for variant in comparison.variants])
    axes.set_ylim(len(comparison.variants) - 0.5, -0.5)
    axes.set_xlabel(f"right, % of {comparison.data}'s test images")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(comparison.question, fontsize=11, loc="left")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
