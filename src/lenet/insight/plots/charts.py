"""Line charts as plain coordinates; a page draws them as SVG, in its own colours and letters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 460, 280  # of the drawing
LEFT, RIGHT, TOP, BOTTOM = 54, 24, 12, 42  # margins for the numbers and names of the axes
MARGIN = 0.04  # of the height, above and below what is drawn
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A line, or points, named; `kind` decides the colour: train, validation, test, ideal."""

    name: str
    kind: str
    points: Points
    joined: bool = True
    marked: bool = False
    """Whether a dot stands at each point."""
    spans: Sequence[tuple[float, float, float]] = ()
    """Vertical bars: where, from, to."""


@dataclass(frozen=True)
class Chart:
    """Lines over common axes."""

    x: str
    y: str
    lines: Sequence[Series]
    percent: bool = False
    """True when y, and x where it is no count, are shares of 1."""
    whole: bool = False
    """True when x counts something."""
    limits: tuple[float, float, float, float] | None = None
    """Least and most x, least and most y; by default what the points take."""
    frame: tuple[float, float, float, float] = field(init=False)

    def __post_init__(self) -> None:
        points = [point for line in self.lines for point in keep_finite(line.points)] or [(0.0, 0.0)]
        across, up = zip(*points, strict=True)
        left, right, bottom, top = self.limits or (min(across), max(across), min(up), max(up))
        left, right = _widen(left, right, 0)
        bottom, top = _widen(bottom, top, 0 if self.limits else MARGIN)
        object.__setattr__(self, "frame", (left, right, bottom, top))

    @property
    def box(self) -> dict[str, int]:
        """The drawing's size, and where its axes end."""
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "bottom": HEIGHT - BOTTOM,
        }

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point stands in the drawing, in pixels from the top left."""
        left, right, bottom, top = self.frame
        across = LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        down = TOP + (top - y) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    def places(self, line: Series) -> list[tuple[float, float]]:
        """The line's points in the drawing; those that are not finite are left out."""
        return [self.place(*point) for point in keep_finite(line.points)]

    def path(self, line: Series) -> str:
        """The line as SVG's `points`."""
        return " ".join(f"{x},{y}" for x, y in self.places(line))

    def bars(self, line: Series) -> list[tuple[float, float, float]]:
        """The line's vertical bars: where, and from where to where downwards."""
        _, _, bottom, top = self.frame
        return [
            (self.place(x, low)[0], self.place(x, max(low, bottom))[1], self.place(x, min(high, top))[1])
            for x, low, high in line.spans
        ]

    def ticks(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        """Marks of the x axis and of the y axis: where, and what stands there."""
        left, right, bottom, top = self.frame
        across = [(self.place(v, bottom)[0], t) for v, t in _mark(left, right, self.percent, self.whole)]
        up = [(self.place(left, v)[1], t) for v, t in _mark(bottom, top, self.percent, False)]
        return across, up


def keep_finite(points: Points) -> list[tuple[float, float]]:
    """The points whose both numbers are finite: a loss that diverged has no place in a drawing."""
    return [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _widen(least: float, most: float, share: float) -> tuple[float, float]:
    room = share * (most - least)
    return (least - room, most + room) if most > least else (least - 0.5, most + 0.5)


def _mark(least: float, most: float, percent: bool, whole: bool) -> list[tuple[float, str]]:
    """Round numbers between two, with their names."""
    from matplotlib.ticker import MaxNLocator

    factor = 100 if percent and not whole else 1
    locator = MaxNLocator(nbins=6, integer=whole, min_n_ticks=1 if whole else 2)
    values = locator.tick_values(least * factor, most * factor)
    step = abs(values[1] - values[0]) if len(values) > 1 else 1
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9)))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1  # as 0.25, whose first figure does not tell it
    room = 1e-9 * (most - least) * factor
    return [
        (value / factor, f"{value:,.{decimals}f}" + ("\u00a0%" if factor == 100 else ""))
        for value in values
        if least * factor - room <= value <= most * factor + room
    ]
