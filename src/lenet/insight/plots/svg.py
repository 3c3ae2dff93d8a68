"""Charts as coordinates that a page draws as SVG, in its own colours and letters."""

import math
from functools import cached_property
from typing import TYPE_CHECKING

from lenet.insight.plots.charts import Chart, Points, Series

if TYPE_CHECKING:
    from matplotlib.scale import SymmetricalLogTransform

WIDTH, HEIGHT = 460, 280  # of the drawing
LEFT, RIGHT, TOP, BOTTOM = 74, 24, 12, 42  # margins for the numbers and names of the axes
MARGIN = 0.04  # of the height, above and below the points


class Drawing:
    """One chart placed in a box of pixels, from the top left."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        points = [point for one in chart.series for point in keep_finite(one.points)] or [(0.0, 0.0)]
        across, up = zip(*points, strict=True)
        left, right, bottom, top = chart.limits or (min(across), max(across), min(up), max(up))
        self.frame = (*_widen(left, right, 0), *_widen(bottom, top, 0 if chart.limits else MARGIN))

    @property
    def box(self) -> dict[str, int]:
        """The drawing's size, and where its axes end."""
        ends = {"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM}
        return {"width": WIDTH, "height": HEIGHT, **ends}

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point stands, in pixels from the top left."""
        left, right, bottom, top = self.frame
        share = (self._scale(x) - self._scale(left)) / (self._scale(right) - self._scale(left))
        across = LEFT + share * (WIDTH - LEFT - RIGHT)
        down = TOP + (top - y) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    def places(self, series: Series) -> list[tuple[float, float]]:
        """Where the series' points stand; those that are not finite are left out."""
        return [self.place(*point) for point in keep_finite(series.points)]

    def path(self, series: Series) -> str:
        """The line as SVG's `points`."""
        return " ".join(f"{x},{y}" for x, y in self.places(series))

    def bars(self, series: Series) -> list[tuple[float, float, float]]:
        """The series' intervals, cut at the frame: x, and the two ends downwards."""
        _, _, bottom, top = self.frame
        return [
            (self.place(x, low)[0], self.place(x, max(low, bottom))[1], self.place(x, min(high, top))[1])
            for x, low, high in series.intervals
        ]

    def ticks(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        """Marks of the x axis and of the y axis: where, and what stands there."""
        left, right, bottom, top = self.frame
        chart = self.chart
        if chart.linear_until is None:
            marks = _mark(left, right, chart.percent, chart.whole)
        else:
            marks = [(value, f"{100 * value:g}\u00a0%") for value in self._find_decades()]
        across = [(self.place(value, bottom)[0], text) for value, text in marks]
        up = [(self.place(left, v)[1], text) for v, text in _mark(bottom, top, chart.percent, False)]
        return across, up

    @cached_property
    def _transform(self) -> "SymmetricalLogTransform | None":
        from matplotlib.scale import SymmetricalLogTransform

        until = self.chart.linear_until
        return None if until is None else SymmetricalLogTransform(10, until, 1)

    def _scale(self, x: float) -> float:
        return x if self._transform is None else float(self._transform.transform(x))

    def _find_decades(self) -> list[float]:
        from matplotlib.ticker import SymmetricalLogLocator

        left, right, _, _ = self.frame
        values = SymmetricalLogLocator(self._transform).tick_values(left, right)
        return [float(value) for value in values if left <= value <= right]


def keep_finite(points: Points) -> list[tuple[float, float]]:
    """The points of two finite numbers: a loss that diverged has no place in a drawing."""
    return [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _widen(low: float, high: float, share: float) -> tuple[float, float]:
    room = share * (high - low)
    return (low - room, high + room) if high > low else (low - 0.5, high + 0.5)


def _mark(low: float, high: float, percent: bool, whole: bool) -> list[tuple[float, str]]:
    """Round numbers between two, with their names."""
    from matplotlib.ticker import MaxNLocator

    factor = 100 if percent and not whole else 1
    locator = MaxNLocator(nbins=6, integer=whole, min_n_ticks=1 if whole else 2)
    values = locator.tick_values(low * factor, high * factor)
    step = abs(values[1] - values[0]) if len(values) > 1 else 1
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9)))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1  # as 0.25, whose first digit is not all of it
    room = 1e-9 * (high - low) * factor
    return [
        (value / factor, f"{value:,.{decimals}f}" + ("\u00a0%" if factor == 100 else ""))
        for value in values
        if low * factor - room <= value <= high * factor + room
    ]
