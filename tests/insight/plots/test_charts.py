"""Charts: everything lies inside, and marks stand where they say."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import binomtest

from lenet.insight.plots.charts import (
    MAX_POINTS,
    MAX_REJECTED,
    Chart,
    Series,
    chart_curves,
    chart_reliability,
    chart_risk,
)
from lenet.insight.plots.curves import draw_chart
from lenet.insight.plots.svg import HEIGHT, WIDTH, Drawing
from lenet.training.loop import Epoch
from lenet.uncertainty.calibration import Bin, Reliability, bin_confidence
from lenet.uncertainty.risk import RiskCurve, compute_risk

numbers = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
points = st.lists(st.tuples(numbers, numbers), max_size=30)


@given(points=points, percent=st.booleans(), whole=st.booleans())
def test_everything_lies_inside(points: list[tuple[float, float]], percent: bool, whole: bool):
    line = Series("line", "train", points)
    chart = Drawing(Chart("", "x", "y", [line], percent=percent, whole=whole))
    for x, y in chart.places(line):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert not re.search("nan|inf", chart.path(line))
    across, up = chart.ticks()
    assert all(chart.box["left"] <= x <= chart.box["right"] for x, _ in across)
    assert all(0 <= y <= chart.box["bottom"] for y, _ in up)


@given(
    least=st.floats(-1000, 1000),
    length=st.floats(1e-3, 1000),
    percent=st.booleans(),
)
def test_a_mark_stands_where_its_number_is(least: float, length: float, percent: bool):
    line = Series("line", "train", [(0, least), (1, least + length)])
    chart = Drawing(Chart("", "x", "y", [line], percent=percent))
    _, up = chart.ticks()
    assert len(up) >= 2
    assert len({text for _, text in up}) == len(up)
    for place, text in up:
        value = float(text.replace(",", "").removesuffix("\u00a0%")) / (100 if percent else 1)
        assert chart.place(0, value)[1] == pytest.approx(place, abs=0.2)


def test_intervals_are_cut_at_the_frame():
    line = Series("points", "train", [(0.5, 0.5)], joined=False, intervals=[(0.5, -1, 2)])
    chart = Drawing(Chart("", "x", "y", [line], limits=(0, 1, 0, 1)))
    assert chart.bars(line) == [(chart.place(0.5, 0)[0], chart.place(0.5, 0)[1], chart.place(0.5, 1)[1])]


def test_a_single_epoch_has_axes():
    chart = Chart("", "epoch", "loss", [Series("train", "train", [(1, 0.5)])], whole=True)
    across, up = Drawing(chart).ticks()
    assert [text for _, text in across] == ["1"]
    assert up


def test_curves_are_those_of_the_history():
    epoch = Epoch(1, 3, 0.1, 1.0, 0.5, None, None, 0.75, 0.25, True, 1.0, 1000.0)
    loss, accuracy = chart_curves([epoch])
    assert [(one.name, one.points) for one in loss.series] == [
        ("train 1.0000", [(1, 1.0)]),
        ("test 0.7500", [(1, 0.75)]),
    ]
    assert [one.name for one in accuracy.series] == ["train 50.00%", "test 25.00%"]


def make_curve(count: int, sharpness: float) -> tuple[torch.Tensor, torch.Tensor, RiskCurve]:
    generator = torch.Generator().manual_seed(count)
    probabilities = (sharpness * torch.randn(count, 10, generator=generator)).softmax(dim=1)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    return probabilities, labels, compute_risk(probabilities, labels)


def test_reliability_has_the_exact_interval():
    _, _, curve = make_curve(50, 2.0)
    bins = (Bin(20, 0.7, 0.75), Bin(30, 0.99, 1.0))
    ideal, found = chart_reliability(Reliability(curve, bins)).series
    assert ideal.points[-1] == (1, 1)
    assert found.points == [(0.7, 0.75), (0.99, 1.0)]
    for (x, low, high), part in zip(found.intervals, bins, strict=True):
        exact = binomtest(round(part.accuracy * part.count), part.count).proportion_ci(0.95, "exact")
        assert (x, low, high) == (part.confidence, pytest.approx(exact.low), pytest.approx(exact.high))


@pytest.mark.parametrize(("count", "sharpness"), [(1, 1.0), (14, 1.0), (5000, 8.0), (200, 1000.0)])
def test_the_risk_curve_is_that_of_its_thresholds(count: int, sharpness: float):
    *_, curve = make_curve(count, sharpness)
    chart = chart_risk(curve)
    line, *reached = chart.series
    assert len(line.points) <= 2 * MAX_POINTS + 3
    for rejected, error in line.points[:-1:2]:  # ends of steps
        place = int((curve.rejected - rejected).abs().argmin())
        assert (rejected, error) == (float(curve.rejected[place]), float(curve.errors[place]))
    assert line.points[0] == (0.0, float(curve.errors[0]))
    assert line.points[-1][0] == MAX_REJECTED
    for one in reached:
        ((rejected, error),) = one.points
        assert rejected == curve.reject_rate(error)
        assert one.name == f"{error:.1%} wrong, {rejected:.2%} rejected"
    drawing = Drawing(chart)
    across, _ = drawing.ticks()
    assert {text for _, text in across} >= {"0\u00a0%", "100\u00a0%"}
    for x, y in [place for one in chart.series for place in drawing.places(one)]:
        assert drawing.box["left"] <= x <= drawing.box["right"]
        assert drawing.box["top"] <= y <= drawing.box["bottom"]


def test_both_renderers_place_points_alike():
    """A point stands at the same share of the axes in the SVG and in matplotlib's figure."""
    probabilities, labels, curve = make_curve(2000, 4.0)
    reliability = Reliability(curve, bin_confidence(probabilities, labels))
    for chart in (chart_risk(curve), chart_reliability(reliability)):
        axes = Figure().add_subplot()
        draw_chart(axes, chart)
        drawing = Drawing(chart)
        box = drawing.box
        for point in chart.series[-1].points:
            x, y = drawing.place(*point)
            shares = (
                (x - box["left"]) / (box["right"] - box["left"]),
                (box["bottom"] - y) / (box["bottom"] - box["top"]),
            )
            drawn = axes.transAxes.inverted().transform(axes.transData.transform(point))
            assert np.allclose(drawn, shares, atol=2e-3)
