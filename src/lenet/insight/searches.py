"""What came of a search: the trials as they came, and each setting's part in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lenet.training.curves import COLOURS, save_figure
from lenet.training.search import Range, Search
from lenet.training.trials import TrialResult

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
