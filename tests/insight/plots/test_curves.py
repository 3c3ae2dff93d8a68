"""Curves: every value that there is, in the colour that the legend says."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lenet.insight import progress
from lenet.insight.plots.canvas import COLOURS, render_figure
from lenet.insight.plots.charts import chart_curves, list_values
from lenet.insight.plots.curves import plot_curves, plot_runs
from lenet.insight.progress import keep_curves
from lenet.training.loop import Epoch, Step
from lenet.training.recipe import Recipe
from lenet.training.runs import begin_run, run_training

EPOCH = Epoch(1, 3, 0.1, 1.0, 0.5, None, None, 0.75, 0.25, True, 1.0, 1000.0)
HISTORY = [replace(EPOCH, epoch=number, train_loss=1 / number) for number in (1, 2, 3)]


def test_a_curve_is_there_for_what_was_measured():
    loss, accuracy, _ = plot_curves(HISTORY, "title").axes
    assert [line.get_color() for line in loss.lines] == [COLOURS["train"], COLOURS["test"]]
    assert np.allclose(loss.lines[0].get_xydata(), [[1, 1], [2, 1 / 2], [3, 1 / 3]])
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["train 50.00%", "test 25.00%"]
    assert list_values(HISTORY, "validation", "loss") == []


def test_there_are_points_within_an_epoch():
    """A loss at 40 % of the second epoch stands between those of the first and the second."""
    loss, accuracy, together = plot_curves(HISTORY[:2], "title", [Step(2, 3, 40, 100, 0.8, 0.6, 1000.0)]).axes
    assert np.allclose(loss.lines[0].get_xydata(), [[1, 1], [1.4, 0.8], [2, 1 / 2]])
    assert np.allclose(accuracy.lines[0].get_xydata(), [[1, 0.5], [1.4, 0.6], [2, 0.5]])
    assert np.allclose(together.lines[0].get_xydata(), [[1, 1], [1.4, 0.8], [2, 1 / 2]])
    first = plot_curves([], "title", [Step(1, 3, 40, 100, 0.8, 0.6, 1000.0)]).axes[0]
    assert np.allclose(first.lines[0].get_xydata(), [[0.4, 0.8]])


def test_loss_and_accuracies_stand_over_one_axis():
    together = plot_curves(HISTORY, "title").axes[2]
    names = [text.get_text() for text in together.get_legend().get_texts()]
    assert names == ["train loss", "train accuracy", "test accuracy"]
    assert len({line.get_color() for line in together.lines}) == 3


def test_the_best_epoch_is_marked_and_named():
    history = [
        replace(epoch, validation_loss=1.0, validation_accuracy=share, is_best=share < 0.9)
        for epoch, share in zip(HISTORY, (0.7, 0.8, 0.75), strict=True)
    ]
    history[2] = replace(history[2], is_best=False)
    accuracy = plot_curves(history, "title").axes[1]
    assert "best epoch 2: 80.00%" in [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert accuracy.lines[-1].get_xydata().tolist() == [[2, 0.8]]
    assert "best" not in str([one.name for one in chart_curves(HISTORY)[1].series])  # test images choose none


@pytest.mark.parametrize("count", [1, 2, 10, 11, 40])
def test_every_run_has_a_colour_of_its_own(count: int):
    histories = {f"run {number}": HISTORY for number in range(count)}
    figure = plot_runs(histories, "title")
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert len({tuple(line.get_color()) for line in lines}) == count
    halves, names = (legend.get_texts() for legend in figure.legends)
    assert [text.get_text() for text in halves] == ["train", "test"]
    assert [text.get_text() for text in names] == list(histories)
    assert render_figure(figure).startswith(b"\x89PNG")


def test_no_runs_are_drawn_as_nothing():
    assert render_figure(plot_curves([], "quick-$^{$-0"))
    assert render_figure(plot_runs({}, "none"))


def test_curves_are_drawn_while_it_trains(
    recipe: Recipe, bars_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_DRAWINGS", -math.inf)
    folder = begin_run(replace(recipe, data=str(bars_folder), epochs=2), device="cpu", runs_dir=tmp_path)
    pictures = []
    for record in keep_curves(run_training(folder), folder):
        if isinstance(record, Epoch):
            pictures.append((folder.path / "curves.png").read_bytes())
    assert pictures[0] != pictures[1]
    assert (folder.path / "curves.png").read_bytes() == pictures[1]


def test_long_histories_are_drawn_with_some_of_their_epochs():
    history = [replace(EPOCH, epoch=number, train_loss=1 / number) for number in range(1, 20_001)]
    lines = chart_curves(history)[0].series
    assert all(len(line.points) <= 1001 for line in lines)
    assert [line.points[0][0] for line in lines] == [1] * len(lines)
    assert [line.points[-1][0] for line in lines] == [20_000] * len(lines)
    plot_runs({"long": history, "other": history[:60]}, "")  # without a warning
