"""Charts drawn by matplotlib: the training curves of one run or several, calibration and rejection."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lenet.insight.language import say, translate_text
from lenet.insight.plots.canvas import COLOURS, make_figure, save_figure, trim_axes
from lenet.insight.plots.charts import Chart, chart_curves, chart_reliability, chart_risk, chart_together
from lenet.phrases import Phrase
from lenet.training.loop import Epoch, Step
from lenet.uncertainty.calibration import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES: dict[str, Literal["-", "--", ":"]] = {"train": "-", "validation": "--", "test": ":"}


def plot_curves(history: Sequence[Epoch], title: str, steps: Sequence[Step] = ()) -> "Figure":
    """Loss and accuracy of every epoch, and of `steps` within epochs, a colour each for training, validation
    and test; below, training loss and the accuracies over one axis."""
    figure = make_figure(10, 7.6, title)
    places = figure.subplot_mosaic([["loss", "accuracy"], ["together", "together"]])
    _draw_charts((places["loss"], places["accuracy"]), chart_curves(history, steps), say("at the last epoch"))
    _draw_charts([places["together"]], [chart_together(history, steps)])
    return figure


def plot_runs(histories: Mapping[str, Sequence[Epoch]], title: str) -> "Figure":
    """Several runs in one figure: a colour for each run, a line style for each split of the data."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    # Ten colours that are told apart easily; beyond those, shades in the order of the runs.
    count = len(histories)
    palette = colormaps["tab10" if count <= 10 else "viridis"]
    colours = [palette(i if count <= 10 else i / (count - 1)) for i in range(count)]
    figure = make_figure(10, 4 + 0.22 * count, title)
    places = figure.subplots(1, 2)
    drawn: set[str] = set()
    for axes, empty in zip(places, chart_curves([]), strict=True):
        draw_chart(axes, empty)
    for colour, history in zip(colours, histories.values(), strict=True):
        for axes, chart in zip(places, chart_curves(history), strict=True):
            for line in filter(lambda series: series.joined, chart.series):
                mark = "." if line.marked else ""
                across, up = zip(*line.points, strict=True)
                axes.plot(across, up, color=colour, linestyle=STYLES[line.kind], marker=mark)
                drawn.add(line.kind)
    splits = [split for split in STYLES if split in drawn]
    kinds = [Line2D([], [], color="black", linestyle=STYLES[split]) for split in splits]
    runs = [Line2D([], [], color=colour, lw=3) for colour in colours]
    names = [translate_text(Phrase(split)) for split in splits]
    figure.legend(kinds, names, loc="outside right upper", frameon=False, title=say("images"))
    figure.legend(runs, list(histories), loc="outside lower left", frameon=False)
    return figure


def draw_curves(history: Sequence[Epoch], path: Path, title: str, steps: Sequence[Step] = ()) -> None:
    """Draw what `plot_curves` plots to the PNG `path`, whole or not at all."""
    save_figure(plot_curves(history, title, steps), path)


def draw_reliability(reliability: Reliability, path: Path, title: str = "") -> None:
    """Draw the risk-coverage curve and, beside it, the reliability diagram."""
    charts = (chart_risk(reliability.curve), chart_reliability(reliability))
    figure = make_figure(10, 4.2, title)
    _draw_charts(figure.subplots(1, 2), charts)
    save_figure(figure, path)


def draw_chart(axes: "Axes", chart: Chart) -> None:
    """Draw a chart's series, intervals and axes; no legend."""
    from matplotlib.ticker import MaxNLocator

    for series in chart.series:
        colour = COLOURS[series.kind]
        line = "" if not series.joined else "--" if series.kind == "ideal" else "-"
        mark = "" if not series.marked else "." if series.joined else "o"
        across, up = zip(*series.points, strict=True)
        axes.plot(across, up, color=colour, linestyle=line, marker=mark, label=translate_text(series.name))
        if series.intervals:
            axes.vlines(*zip(*series.intervals, strict=True), color=colour)
    axes.set(
        xlabel=translate_text(chart.x), ylabel=translate_text(chart.y), title=translate_text(chart.title)
    )
    if chart.linear_until is not None:
        axes.set_xscale("symlog", linthresh=chart.linear_until)
    if chart.whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif chart.percent:
        axes.xaxis.set_major_formatter(_write_percent)
    if chart.percent:
        axes.yaxis.set_major_formatter(_write_percent)
    if chart.limits is not None:
        axes.set(xlim=chart.limits[:2], ylim=chart.limits[2:])
    trim_axes(axes)


def _draw_charts(places: "Iterable[Axes]", charts: Sequence[Chart], legend: str = "") -> None:
    for axes, chart in zip(places, charts, strict=True):
        draw_chart(axes, chart)
        if len(chart.series) > 1 or (legend and chart.series):
            axes.legend(frameon=False, title=legend)


def _write_percent(share: float, _: float) -> str:
    return f"{100 * share:.6g}%"
