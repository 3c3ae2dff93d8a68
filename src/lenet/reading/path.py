"""What is known about a number before it is read: how many digits, which pattern, that it is an amount."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet.errors import PictureError
from lenet.reading.lattice import Lattice

LONGEST = 64  # digits
PLACEHOLDER = "#"


@dataclass(frozen=True)
class Constraints:
    """`count` digits, or any number of them; `pattern` holds a # for each; an `amount` has no leading 0."""

    count: int | None = None
    pattern: str | None = None
    amount: bool = False

    def fill(self, digits: str) -> str:
        """The digits in the pattern's places; without a pattern as they are."""
        if self.pattern is None:
            return digits
        following = iter(digits)
        return "".join(next(following) if sign == PLACEHOLDER else sign for sign in self.pattern)


def check_constraints(length: int | None, pattern: str | None, amount: bool) -> Constraints:
    """What `length`, `pattern` and `amount` say together. Raises PictureError when they cannot be met."""
    if length is not None and not 1 <= length <= LONGEST:
        raise PictureError(f"length is {length}; it must be a number of digits from 1 to {LONGEST}")
    if pattern is None:
        return Constraints(length, None, amount)
    count = pattern.count(PLACEHOLDER)
    if not 1 <= count <= LONGEST:
        raise PictureError(f"pattern {pattern!r} has {count} digits; write each as #, like #####-####")
    if any(sign.isdigit() or not sign.isprintable() for sign in pattern):
        raise PictureError(f"pattern {pattern!r} may hold # and signs between, like #####-####")
    if length is not None and length != count:
        raise PictureError(f"length is {length}, but pattern {pattern!r} has {count} digits; give one")
    if amount:
        raise PictureError("an amount has no pattern; give amount or pattern")
    return Constraints(count, pattern)


SKIP = 8.0  # to leave out a segment as tall as the text; less for lower ones, as the square of their height
CUT = 1.5  # to cut connected strokes between two digits: most digits stand apart
JOIN = 20.0  # to take pieces for one digit that stand side by side, for each text height between them
WEIGHT = 0.7  # a digit of n segments counts n ** WEIGHT times: their crops are not independent
USUAL, LOWER = 0.75, 6.0  # what a digit lower than this share of the text costs for each share it is lower
LOWER_DIGITS = {"0": 1.0, "1": 15.0, "7": 15.0}  # a low 0 is usual, a low 1 or 7 rather a comma or a dash
NARROW, EACH = 1.2, 1.0  # what each digit costs where all writing is no wider for its height: mostly one
LEAST_PROBABILITY = 1e-4  # no single crop rules a path out
UNLIKELY = 0.02  # of the likeliest class's probability: classes below are not tried
HYPOTHESES = 16  # texts kept at each node


@dataclass(frozen=True)
class Taken:
    """A digit on the path: which arc, and its class."""

    arc: int
    label: int


@dataclass
class Hypothesis:
    """A text up to a node: the logarithms of all its paths together and of the best one, and that one."""

    total: float
    best: float
    path: tuple[Taken, ...]

    def join(self, total: float, best: float, path: tuple[Taken, ...]) -> None:
        """Count another path to the same text."""
        self.total = float(np.logaddexp(self.total, total))
        if best > self.best:
            self.best, self.path = best, path


def find_path(
    lattice: Lattice, probabilities: NDArray[np.float64], classes: Sequence[str], constraints: Constraints
) -> tuple[tuple[Taken, ...] | None, float]:
    """The digits of the likeliest text, and how clear it is where they stand; None if there is no such text.

    `probabilities` is (arcs, classes), and `classes` their names. The second is the share, 0..1, that
    readings of the same arcs have among all; how clear the classes are, their own probabilities tell.
    """
    told = search(lattice, probabilities, classes, constraints)
    if not told:
        return None, 0.0
    best = max(told, key=lambda one: one.total)
    chosen = [taken.arc for taken in best.path]
    alike = [one.total for one in told if [taken.arc for taken in one.path] == chosen]
    return best.path, math.exp(np.logaddexp.reduce(alike) - log_total(told))


def measure_fit(
    lattice: Lattice, probabilities: NDArray[np.float64], classes: Sequence[str], constraints: Constraints
) -> float:
    """How likely texts within the constraints are, as a share of all texts: small where they do not fit."""
    if constraints.count is None:
        return 1.0
    within = search(lattice, probabilities, classes, constraints)
    every = search(lattice, probabilities, classes, Constraints())
    return math.exp(min(0.0, log_total(within) - log_total(every)))


def log_total(told: list[Hypothesis]) -> float:
    """The logarithm of all of them together."""
    return float(np.logaddexp.reduce([one.total for one in told]))


def search(
    lattice: Lattice, probabilities: NDArray[np.float64], classes: Sequence[str], constraints: Constraints
) -> list[Hypothesis]:
    """The likeliest texts of at least one digit within the constraints, in no order."""
    count = len(lattice.heights)
    wide, high = (np.ptp(lattice.boxes[:, side::2]) if count else 0 for side in (0, 1))
    # Letters may be low; only of digits it is known.
    lower = [LOWER_DIGITS.get(name, LOWER) if name.isdigit() else 0.0 for name in classes]
    each = EACH if wide <= NARROW * high else 0.0
    starting: list[list[int]] = [[] for _ in range(count)]
    for number, arc in enumerate(lattice.arcs):
        starting[arc.first].append(number)
    nodes: list[dict[tuple[int, ...], Hypothesis]] = [{} for _ in range(count + 1)]
    nodes[0][()] = Hypothesis(0.0, 0.0, ())
    for node in range(count):
        # A text too short to be completed is no better than none, so texts of all lengths stay in the race.
        here = keep_best(nodes[node], constraints)
        skipped = -SKIP * min(1.0, float(lattice.heights[node])) ** 2
        for text, one in here:
            reach(nodes[node + 1], text, one.total + skipped, one.best + skipped, one.path)
        for number in starting[node]:
            arc = lattice.arcs[number]
            after = arc.last + 1
            price = JOIN * arc.gap + each
            price += CUT if after < count and lattice.pieces[arc.last] == lattice.pieces[after] else 0.0
            row = probabilities[number]
            for label in np.flatnonzero(row >= max(UNLIKELY * row.max(), 1e-9)).tolist():
                gain = (after - node) ** WEIGHT * math.log(max(float(row[label]), LEAST_PROBABILITY))
                gain -= price + lower[label] * max(0.0, USUAL - arc.height)
                for text, one in here:
                    if constraints.count is not None and len(text) >= constraints.count:
                        continue
                    if constraints.amount and len(text) == 1 and classes[text[0]] == "0":
                        continue
                    taken = (*one.path, Taken(number, label))
                    reach(nodes[after], (*text, label), one.total + gain, one.best + gain, taken)
    # Where leaving everything out is likeliest, the best guess is still told; it will be rejected.
    return [one for text, one in nodes[count].items() if text and constraints.count in (None, len(text))]


def keep_best(
    hypotheses: dict[tuple[int, ...], Hypothesis], constraints: Constraints
) -> list[tuple[tuple[int, ...], Hypothesis]]:
    """The likeliest texts; with a known number of digits the likeliest of each length."""
    ranked = sorted(hypotheses.items(), key=lambda item: -item[1].total)
    if constraints.count is None:
        return ranked[:HYPOTHESES]
    seen: dict[int, int] = {}
    kept = []
    for text, one in ranked:
        seen[len(text)] = seen.get(len(text), 0) + 1
        if seen[len(text)] <= HYPOTHESES // 2:
            kept.append((text, one))
    return kept


def reach(
    node: dict[tuple[int, ...], Hypothesis],
    text: tuple[int, ...],
    total: float,
    best: float,
    path: tuple[Taken, ...],
) -> None:
    """Note a path to a node."""
    if text in node:
        node[text].join(total, best, path)
    else:
        node[text] = Hypothesis(total, best, path)
