"""Figures of studies and searches, and the file that a study's result is kept in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.experiments.comparison import Comparison
from lenet.experiments.space import Range, Search
from lenet.experiments.trials import TrialResult
from lenet.files import write_text
from lenet.insight.language import say, translate_text
from lenet.insight.plots.canvas import COLOURS, make_figure, save_figure, trim_axes
from lenet.phrases import Phrase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = (COLOURS["train"], COLOURS["validation"], COLOURS["test"], "#a463f2", "#9c6b4e")
MARKS = {"complete": ("o", Phrase("finished")), "pruned": ("x", Phrase("stopped early"))}


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a JSON file and a PNG named after the study, each whole or not at all."""
    write_text(folder / f"{comparison.study}.json", json.dumps(comparison.to_dict(), indent=2) + "\n")
    save_figure(plot_study(comparison), folder / f"{comparison.study}.png")


def plot_study(comparison: Comparison) -> Figure:
    """A row for each variant and a colour for each condition: the runs, their mean and standard deviation."""
    conditions, count = comparison.conditions, len(comparison.variants)
    figure = make_figure(8, 1.7 + (0.32 + 0.16 * len(conditions)) * count)
    axes = figure.add_subplot()
    for place, condition in enumerate(conditions):
        colour = PALETTE[place % len(PALETTE)]
        offset = 0.6 * ((place + 0.5) / len(conditions) - 0.5)
        levels = [row + offset for row in range(count)]
        axes.errorbar(
            [100 * variant.mean(condition) for variant in comparison.variants],
            levels,
            xerr=[100 * variant.spread(condition) for variant in comparison.variants],
            fmt="|",
            color=colour,
            capsize=4,
            markersize=13,
            linewidth=1.4,
            label=translate_text(Phrase(condition)),
        )
        for variant, level in zip(comparison.variants, levels, strict=True):
            values = [100 * share for share in variant.accuracies[condition]]
            axes.scatter(values, [level] * len(values), s=22, color=colour, alpha=0.55, linewidths=0)
    axes.set_yticks(range(count), [translate_text(Phrase(variant.label)) for variant in comparison.variants])
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlabel(
        say(
            "accuracy on {data}'s test images, %\n(dots: runs; bars: mean ± standard deviation)",
            data=comparison.data,
        )
    )
    axes.set_title(translate_text(Phrase(comparison.question)), fontsize=11, loc="left")
    trim_axes(axes)
    axes.grid(visible=False, axis="y")
    if len(conditions) > 1:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_search(search: Search, results: Sequence[TrialResult], path: Path) -> None:
    """Draw every trial's validation accuracy: in the order of the trials, and over each setting's values."""
    judged = [result for result in results if result.validation_accuracy is not None]
    names = {"recipe": search.recipe.name, "data": Path(search.recipe.data).name}
    title = say("{recipe} on {data}: {count} trials", count=len(judged), **names)
    figure = make_figure(3.4 * (1 + len(search.space)), 3.6, title)
    places = figure.subplots(1, 1 + len(search.space), sharey=True, squeeze=False)[0]
    for state, (mark, label) in MARKS.items():
        chosen = [result for result in judged if result.state == state]
        heights = [100 * (result.validation_accuracy or 0) for result in chosen]
        colour = COLOURS["validation" if state == "pruned" else "train"]
        style = {"s": 24, "marker": mark, "color": colour, "alpha": 0.8}
        places[0].scatter([result.number for result in chosen], heights, label=translate_text(label), **style)
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
        [result.number for result in judged],
        top,
        where="post",
        color="0.4",
        linewidth=1,
        label=say("best so far"),
    )
    places[0].set(xlabel=say("trial"), ylabel=say("accuracy on the validation images, %"))
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
        trim_axes(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)
