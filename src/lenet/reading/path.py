"""The most probable text of a segmentation graph, by beam search, and constraints on that text.

Costs are in nats: they are subtracted from log-probabilities.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lenet.errors import PictureError
from lenet.reading.lattice import Lattice

MAX_DIGITS = 64
PLACEHOLDER = "#"
SKIP_COST = 8.0  # to skip a segment of text height; times the square of the height of a lower one
CUT_COST = 1.5  # to cut connected strokes between two digits, since most digits are separate
GAP_COST = 20.0  # per text height of a gap between the segments of one digit
RUN_EXPONENT = 0.7  # a digit of n segments counts n ** RUN_EXPONENT times: its segments are not independent
USUAL_HEIGHT, LOW_COST = 0.75, 6.0  # text heights; the cost per text height that a digit is lower
LOW_DIGIT_COSTS = {"0": 1.0, "1": 15.0, "7": 15.0}  # a low 0 is usual; a low 1 or 7 may be a comma or dash
NARROW_ASPECT, DIGIT_COST = 1.2, 1.0  # the cost per digit if the writing is no wider: it may be one digit
MIN_PROBABILITY = 1e-4  # a lower bound, so that no single crop excludes a path
MIN_RATIO = 0.02  # of the most probable class: less probable classes are not tried
BEAM_WIDTH = 16  # texts kept per node
MAX_STEPS = 20_000  # arcs times the known number of digits: bounds the time to about two seconds


@dataclass(frozen=True)
class Constraints:
    """`count` digits, or any number; `pattern` has a # for each digit; an `amount` has no leading 0."""

    count: int | None = None
    pattern: str | None = None
    amount: bool = False

    def fill(self, digits: str) -> str:
        """The digits in the places of the pattern; unchanged without a pattern."""
        if self.pattern is None:
            return digits
        following = iter(digits)
        return "".join(next(following) if sign == PLACEHOLDER else sign for sign in self.pattern)


def check_constraints(length: int | None, pattern: str | None, amount: bool) -> Constraints:
    """The constraints of `length`, `pattern` and `amount`. Raises PictureError if they are invalid."""
    if length is not None and not 1 <= length <= MAX_DIGITS:
        raise PictureError(f"length is {length}; it must be a number of digits from 1 to {MAX_DIGITS}")
    if pattern is None:
        return Constraints(length, None, amount)
    count = pattern.count(PLACEHOLDER)
    if not 1 <= count <= MAX_DIGITS:
        raise PictureError(f"pattern {pattern!r} has {count} digits; write each as #, like #####-####")
    if any(sign.isdigit() or not sign.isprintable() for sign in pattern):
        raise PictureError(f"pattern {pattern!r} may hold # and signs between, like #####-####")
    if length is not None and length != count:
        raise PictureError(f"length is {length}, but pattern {pattern!r} has {count} digits; give one")
    if amount:
        raise PictureError("an amount has no pattern; give amount or pattern")
    return Constraints(count, pattern)


@dataclass(frozen=True)
class PathStep:
    """A digit of a path: the number of its arc and its class."""

    arc: int
    label: int


Path: TypeAlias = tuple["Path", PathStep] | None
"""A path as its last step and the path before it, which all its continuations share; None is empty."""


def list_steps(path: Path) -> tuple[PathStep, ...]:
    """The steps of a path in order."""
    steps = []
    while path is not None:
        path, step = path
        steps.append(step)
    return tuple(reversed(steps))


@dataclass
class Texts:
    """Numbers texts of classes, so that the time to extend or compare a text does not grow with its length.

    Text 0 is empty. Per text: `lengths`, and `firsts`, the class of its first digit.
    """

    lengths: list[int] = field(default_factory=lambda: [0])
    firsts: list[int] = field(default_factory=lambda: [-1])
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)

    def extend(self, text: int, label: int) -> int:
        """The number of `text` followed by `label`."""
        number = self.numbers.setdefault((text, label), len(self.lengths))
        if number == len(self.lengths):
            self.lengths.append(self.lengths[text] + 1)
            self.firsts.append(self.firsts[text] if text else label)
        return number


@dataclass
class Hypothesis:
    """A text up to a node: the log-probability of all its paths, that of the best path, and the best path."""

    total: float
    best: float
    path: Path

    def join(self, total: float, best: float, path: Path) -> None:
        """Add another path to the same text."""
        more, less = max(self.total, total), min(self.total, total)
        self.total = more + math.log1p(math.exp(less - more))
        if best > self.best:
            self.best, self.path = best, path


def find_path(
    lattice: Lattice, probabilities: NDArray[np.float64], classes: Sequence[str], constraints: Constraints
) -> tuple[tuple[PathStep, ...] | None, float, float]:
    """The path of the most probable text (None if no text fits), the confidence of its segmentation, its fit.

    `probabilities` is (arcs, classes), and `classes` the names of the classes. The confidence, 0..1, is the
    share of all texts on the same arcs; the confidence of the classes is in their own probabilities. The fit,
    0..1, is the probability of all texts with the known number of digits, as a share of all texts.
    Raises PictureError when there are too many arcs to search them for the known number of digits.
    """
    if constraints.count is not None and len(lattice.arcs) * constraints.count > MAX_STEPS:
        raise PictureError(
            f"too many marks to find {constraints.count} digits among them; crop the picture to the writing"
        )
    hypotheses = search(lattice, probabilities, classes, constraints)
    if not hypotheses:
        return None, 0.0, 0.0
    best = max(hypotheses, key=lambda one: one.total)
    path = list_steps(best.path)
    chosen = [step.arc for step in path]
    same_arcs = [one.total for one in hypotheses if [step.arc for step in list_steps(one.path)] == chosen]
    within, fit = log_total(hypotheses), 1.0
    if constraints.count is not None:
        every = search(lattice, probabilities, classes, Constraints())
        fit = math.exp(min(0.0, within - log_total(every)))
    return path, math.exp(np.logaddexp.reduce(same_arcs) - within), fit


def log_total(hypotheses: list[Hypothesis]) -> float:
    """The logarithm of the total probability of all hypotheses."""
    return float(np.logaddexp.reduce([one.total for one in hypotheses]))


def search(
    lattice: Lattice, probabilities: NDArray[np.float64], classes: Sequence[str], constraints: Constraints
) -> list[Hypothesis]:
    """The most probable texts of at least one digit within the constraints, unsorted, by beam search."""
    count = len(lattice.heights)
    wide, high = (np.ptp(lattice.boxes[:, side::2]) if count else 0 for side in (0, 1))
    # The heights of letters are not known.
    low_costs = [LOW_DIGIT_COSTS.get(name, LOW_COST) if name.isdigit() else 0.0 for name in classes]
    each = DIGIT_COST if wide <= NARROW_ASPECT * high else 0.0
    starting: list[list[int]] = [[] for _ in range(count)]
    for number, arc in enumerate(lattice.arcs):
        starting[arc.first].append(number)
    texts = Texts()
    nodes: list[dict[int, Hypothesis]] = [{} for _ in range(count + 1)]
    nodes[0][0] = Hypothesis(0.0, 0.0, None)
    for node in range(count):
        here = keep_best(nodes[node], texts, constraints)
        skipped = -SKIP_COST * min(1.0, float(lattice.heights[node])) ** 2
        for text, one in here:
            add_path(nodes[node + 1], text, one.total + skipped, one.best + skipped, one.path)
        for number in starting[node]:
            arc = lattice.arcs[number]
            after = arc.last + 1
            cost = GAP_COST * arc.gap + each
            cost += CUT_COST if after < count and lattice.pieces[arc.last] == lattice.pieces[after] else 0.0
            row = probabilities[number]
            for label in np.flatnonzero(row >= max(MIN_RATIO * row.max(), 1e-9)).tolist():
                gain = (after - node) ** RUN_EXPONENT * math.log(max(float(row[label]), MIN_PROBABILITY))
                gain -= cost + low_costs[label] * max(0.0, USUAL_HEIGHT - arc.height)
                step = PathStep(number, label)
                for text, one in here:
                    length = texts.lengths[text]
                    if constraints.count is not None and length >= constraints.count:
                        continue
                    if constraints.amount and length == 1 and classes[texts.firsts[text]] == "0":
                        continue
                    longer = texts.extend(text, label)
                    add_path(nodes[after], longer, one.total + gain, one.best + gain, (one.path, step))
        nodes[node].clear()  # bounds the memory
    # If the empty text is the most probable, the best other text is returned, and later rejected.
    return [
        one for text, one in nodes[count].items() if text and constraints.count in (None, texts.lengths[text])
    ]


def keep_best(
    hypotheses: dict[int, Hypothesis], texts: Texts, constraints: Constraints
) -> list[tuple[int, Hypothesis]]:
    """The most probable texts of a node; with a known number of digits, the most probable of each length.

    A short text cannot always be completed to the known length, so every length is kept.
    """
    ranked = sorted(hypotheses.items(), key=lambda item: -item[1].total)
    if constraints.count is None:
        return ranked[:BEAM_WIDTH]
    seen: dict[int, int] = {}
    kept = []
    for text, one in ranked:
        length = texts.lengths[text]
        seen[length] = seen.get(length, 0) + 1
        if seen[length] <= BEAM_WIDTH // 2:
            kept.append((text, one))
    return kept


def add_path(node: dict[int, Hypothesis], text: int, total: float, best: float, path: Path) -> None:
    """Add a path to a node."""
    if text in node:
        node[text].join(total, best, path)
    else:
        node[text] = Hypothesis(total, best, path)
