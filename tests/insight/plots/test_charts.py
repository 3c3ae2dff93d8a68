"""Charts: everything lies inside, and marks stand where they say."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.insight.plots.charts import HEIGHT, WIDTH, Chart, Series

numbers = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
points = st.lists(st.tuples(numbers, numbers), max_size=30)


@given(points=points, percent=st.booleans(), whole=st.booleans())
def test_everything_lies_inside(points: list[tuple[float, float]], percent: bool, whole: bool):
    chart = Chart("x", "y", [Series("line", "train", points)], percent=percent, whole=whole)
    for x, y in chart.places(chart.lines[0]):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert not re.search("nan|inf", chart.path(chart.lines[0]))
    across, up = chart.ticks()
    assert all(chart.box["left"] <= x <= chart.box["right"] for x, _ in across)
    assert all(0 <= y <= chart.box["bottom"] for y, _ in up)


@given(
    least=st.floats(-1000, 1000),
    length=st.floats(1e-3, 1000),
    percent=st.booleans(),
)
def test_a_mark_stands_where_its_number_is(least: float, length: float, percent: bool):
    chart = Chart("x", "y", [Series("line", "train", [(0, least), (1, least + length)])], percent=percent)
    _, up = chart.ticks()
    assert len(up) >= 2
    assert len({text for _, text in up}) == len(up)
    for place, text in up:
        value = float(text.replace(",", "").removesuffix("\u00a0%")) / (100 if percent else 1)
        assert chart.place(0, value)[1] == pytest.approx(place, abs=0.2)


def test_spans_are_cut_at_the_frame():
    line = Series("points", "train", [(0.5, 0.5)], joined=False, spans=[(0.5, -1, 2)])
    chart = Chart("x", "y", [line], limits=(0, 1, 0, 1))
    assert chart.bars(line) == [(chart.place(0.5, 0)[0], chart.place(0.5, 0)[1], chart.place(0.5, 1)[1])]


def test_a_single_epoch_has_axes():
    across, up = Chart("epoch", "loss", [Series("train", "train", [(1, 0.5)])], whole=True).ticks()
    assert [text for _, text in across] == ["1"]
    assert up
