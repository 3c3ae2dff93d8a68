"""Studies from beginning to end: train what is missing, measure, compare, draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.experiments.comparison import Comparison
from lenet.experiments.space import Range, Search
from lenet.experiments.trials import TrialResult
from lenet.files import write_text
from lenet.insight.plots.canvas import save_figure
from lenet.insight.plots.curves import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = (*COLOURS.values(), "#a463f2", "#9c6b4e")


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a JSON file and a picture named after the study, each whole or not at all."""
    write_text(folder / f"{comparison.study}.json", json.dumps(comparison.to_dict(), indent=2) + "\n")
    save_figure(plot_study(comparison), folder / f"{comparison.study}.png")


def plot_study(comparison: Comparison) -> Figure:
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


MARKS = {"complete": ("o", "finished"), "pruned": ("x", "given up early")}


def draw_search(search: Search, results: Sequence[TrialResult], path: Path) -> None:
    """Draw every trial's validation accuracy: in the order of the trials, and over each setting's values."""
    from matplotlib.figure import Figure  # a second to import, needed only here

    judged = [result for result in results if result.validation_accuracy is not None]
    figure = Figure(figsize=(3.4 * (1 + len(search.space)), 3.6), dpi=110, layout="constrained")
    figure.suptitle(f"{search.recipe.name} on {Path(search.recipe.data).name}: {len(judged)} trials")
    places = figure.subplots(1, 1 + len(search.space), sharey=True, squeeze=False)[0]
    for state, (mark, label) in MARKS.items():
        chosen = [result for result in judged if result.state == state]
        heights = [100 * (result.validation_accuracy or 0) for result in chosen]
        colour = COLOURS["validation" if state == "pruned" else "train"]
        style = {"s": 24, "marker": mark, "color": colour, "alpha": 0.8}
        places[0].scatter([result.number for result in chosen], heights, label=label, **style)
        for axes, part in zip(places[1:], search.space, strict=True):
            values = [result.settings[part.name] for result in chosen]
            # Words stand in the order they were given in.
            if not isinstance(part, Range):
                values = [part.labels.index(value) for value in values]
            axes.scatter(values, heights, **style)
    best, top = 0.0, []
    for result in judged:
        best = max(best, 100 * (result.validation_accuracy or 0))
        top.append(best)
    places[0].step(
        [result.number for result in judged], top, where="post", color="0.4", linewidth=1, label="best so far"
    )
    places[0].set(xlabel="trial", ylabel="right, % of the validation images")
    for axes, part in zip(places[1:], search.space, strict=True):
        axes.set_xlabel(part.name)
        if isinstance(part, Range):
            if part.is_log:
                axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")  # powers would be formulas
            axes.xaxis.set_minor_formatter("")
        else:
            axes.set_xticks(range(len(part.labels)), part.labels)
            axes.set_xlim(-0.5, len(part.labels) - 0.5)
    for axes in places:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)
