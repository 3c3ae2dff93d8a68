"""Texts with digits, as people write them in a row: numbers and amounts, their marks, and where each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.synthesis.hands import Hand, Ink, Material
from lenet.synthesis.marks import add_line, bend_line, draw_mark

KINDS = {"single": 0.28, "amount": 0.36, "number": 0.3, "nothing": 0.06}
"""What is written, and its share: one digit, an amount of money, a number of 2 to 10 digits, no digit."""
AMOUNT_LENGTHS = (0.02, 0.06, 0.17, 0.27, 0.27, 0.16, 0.05)  # shares of 1 to 7 digits
FIRST_DIGITS = np.log10(1 + 1 / np.arange(1, 10))  # of amounts (Benford 1938): shares of 1 to 9
NUMBER_LENGTHS = (0.25, 0.2, 0.16, 0.13, 0.09, 0.06, 0.05, 0.03, 0.03)  # shares of 2 to 10 digits
HEADS = ("$", "#", "*", "-", "$ ")
TAILS = (".", ".", "-", ".-", "=", ".=", "--", ",-", "~", ".~", ",")
SEPARATORS = (".", ".", ",", " ", "")
BETWEEN = ("-", ".", ",", "/", " ")
NO_DIGITS = ("-", ".", ",", "=", "~", "*", "#", "?")
"""Marks that a line without digits consists of; ? is a scribble."""
LETTERS = "ACEHKMNPRVWXchkmnprvwx"  # those that look like no digit
UNITS = ("No", "Rs", "kr", "EUR", "cm", "kn", "x", "N", "am", "pm")
SPACINGS = {"apart": (0.25, 0.1), "close": (0.1, 0.06), "touching": (-0.02, 0.04)}
"""Mean and standard deviation of the gaps between digits, in digit heights."""
SPACING_SHARES = {"apart": 0.45, "close": 0.4, "touching": 0.15}
STEPS = 0.34, 0.22
"""Digit heights from the middle of a digit to that of the next, at least; the second where one is a 1."""


@dataclass(frozen=True)
class Box:
    """A character and its box in pixels."""

    character: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, eq=False)
class Written:
    """A text in ink: `ink` (h, w), its characters, the digits' height and the pen's width in pixels."""

    kind: str
    ink: Ink
    boxes: tuple[Box, ...]
    height: float
    pen: float
    slope: float = 0.0
    """Rows that the base line falls for each column."""

    @property
    def text(self) -> str:
        """The digits, from left to right."""
        return "".join(box.character for box in self.boxes if box.character.isdigit())


def choose_text(kind: str, rng: np.random.Generator) -> str:
    """A text of one of KINDS; spaces, marks and letters are written, and are no digits."""

    def draw(count: int) -> str:
        return "".join(map(str, rng.integers(10, size=count)))

    if kind == "single":
        return draw(1)
    if kind == "nothing":
        signs = list(LETTERS) if rng.random() < 0.5 else NO_DIGITS
        return "".join(rng.choice(signs, size=int(rng.integers(1, 6))))
    if kind == "amount":
        count = 1 + int(rng.choice(len(AMOUNT_LENGTHS), p=AMOUNT_LENGTHS))
        zeros = min(int(rng.integers(1, count + 1)), count - 1) if rng.random() < 0.4 else 0
        digits = str(rng.choice(9, p=FIRST_DIGITS) + 1) + draw(count - 1 - zeros) + "0" * zeros
        if count > 3:
            digits = digits[:-3] + str(rng.choice(SEPARATORS)) + digits[-3:]
        head = str(rng.choice(HEADS)) if rng.random() < 0.1 else ""
        return head + digits + (str(rng.choice(TAILS)) if rng.random() < 0.78 else "")
    digits = draw(2 + int(rng.choice(len(NUMBER_LENGTHS), p=NUMBER_LENGTHS)))
    if rng.random() < 0.2:
        place = int(rng.integers(1, len(digits)))
        digits = digits[:place] + str(rng.choice(BETWEEN)) + digits[place:]
    head = str(rng.choice(HEADS)) if rng.random() < 0.1 else ""
    if rng.random() < 0.05:
        head, digits = (
            (str(rng.choice(UNITS)) + " ", digits)
            if rng.random() < 0.5
            else ("", f"{digits} {rng.choice(UNITS)}")
        )
    return head + digits


def write_string(
    text: str, kind: str, material: Material, rng: np.random.Generator, spacing: str | None = None
) -> Written:
    """Write a text in a new hand, as `choose_text` makes it.

    Digits stand beside each other as closely as `spacing` (a name in SPACINGS) says, by the distance of their
    strokes, so that leaning ones reach over each other. Some hands write zeros small, raised or joined.
    """
    hand = Hand(material, rng)
    largest = 110 if kind == "single" else 56
    height = float(np.exp(rng.uniform(np.log(17), np.log(largest))))
    spacing = spacing or str(rng.choice(list(SPACING_SHARES), p=list(SPACING_SHARES.values())))
    placed = place_characters(text, hand, height, SPACINGS[spacing], rng)
    climb = rng.normal(0, 0.05)
    tops = [round(top - climb * left) for _, _, left, top in placed]
    highest = min(tops)
    margins = draw_margins(kind, height, rng)
    left, above, right, below = (max(0, margin) for margin in margins)
    width = max(column + ink.shape[1] for _, ink, column, _ in placed) + left + right
    lowest = max(top + ink.shape[0] for top, (_, ink, _, _) in zip(tops, placed, strict=True))
    canvas = np.zeros((lowest - highest + above + below, width), np.float32)
    boxes: list[Box] = []
    for row, (character, ink, column, _) in zip(tops, placed, strict=True):
        y, x = row - highest + above, column + left
        here = canvas[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(here, ink, out=here)
        boxes.append(Box(character, x, y, x + ink.shape[1], y + ink.shape[0]))
    pen = hand.pen * height
    add_flourishes(canvas, boxes, kind, height, pen, rng)
    left, top, right, bottom = (max(0, -margin) for margin in margins)
    cut = canvas[top : max(top + 1, len(canvas) - bottom), left : max(left + 1, canvas.shape[1] - right)]
    moved = [Box(b.character, b.left - left, b.top - top, b.right - left, b.bottom - top) for b in boxes]
    return Written(kind, np.ascontiguousarray(cut), tuple(moved), height, pen, -float(climb))


def draw_margins(kind: str, height: float, rng: np.random.Generator) -> list[int]:
    """The paper on the left, above, right and below, in pixels; below 0, ends of strokes are cut off."""
    single = kind == "single"
    tight = rng.random() < (0.3 if single else 0.5)
    low, high = (-0.05, 0.35) if tight else (0.2, 1.6 if single else 0.9)
    return [int(margin) for margin in height * rng.uniform(low, high, 4)]


Placed = tuple[str, Ink, int, int]
"""A character, its ink, its left edge, and its top below the top of the line, in pixels."""


def place_characters(
    text: str, hand: Hand, height: float, spacing: tuple[float, float], rng: np.random.Generator
) -> list[Placed]:
    """Draw the characters of a text and place them from left to right."""
    small_zeros = rng.random() < 0.4
    zero_size, zero_place = rng.uniform(0.45, 0.85), rng.choice([0.0, 0.5, 1.0])
    up, size = np.abs(rng.normal(0, (0.06, 0.07)))
    placed: list[Placed] = []
    before, reach = None, 0.0
    for number, character in enumerate(text):
        if character == " ":
            reach += height * rng.uniform(0.25, 0.7)
            before = None
            continue
        if character.isdigit():
            own = height * float(np.exp(rng.normal(0, size)))
            fall = rng.normal(0, up) * height
            if character == "0" and number and small_zeros:
                fall -= (1 - zero_size) * own * (1 - zero_place)
                own *= zero_size * float(np.exp(rng.normal(0, 0.08)))
            ink = hand.draw(int(character), own)
            top = round(height - ink.shape[0] + fall)
            gap = rng.normal(*spacing) * height
        else:
            ink, at = draw_mark(character, hand, height, rng)
            top = round(at)
            gap = (abs(rng.normal(0.1, 0.08)) if rng.random() < 0.8 else rng.normal(0, 0.05)) * height
        left = round(reach if before is None else place_beside(before, ink, top, gap, height))
        if before is not None and character.isdigit() and before[0].isdigit():
            step = height * STEPS["1" in (character, before[0])]
            left = max(left, round(before[2] + find_middle(before[1]) + step - find_middle(ink)))
        left = max(left, 0)
        before = (character, ink, left, top)
        placed.append(before)
        reach = float(left + ink.shape[1])
    return placed


def place_beside(before: Placed, ink: Ink, top: int, gap: float, height: float) -> float:
    """The left edge of `ink` such that its strokes are `gap` pixels from those of the character before."""
    _, other, left, other_top = before
    right = left + other.shape[1]
    first, last = max(other_top, top), min(other_top + other.shape[0], top + ink.shape[0])
    if last - first <= 2:
        return float(right + gap / 2)
    ends = find_left_edges(other[first - other_top : last - other_top, ::-1])
    begins = find_left_edges(ink[first - top : last - top])
    reach = np.where(np.isfinite(ends), other.shape[1] - ends, -np.inf)
    span = max(3, int(0.2 * height))  # strokes in neighbouring rows keep their distance, too
    reach = cv2.dilate(reach.astype(np.float32)[:, None], np.ones((span, 1), np.uint8))[:, 0]
    nearest = float((reach - begins).max())
    if not np.isfinite(nearest):
        return float(right + gap)
    nearest = max(left + nearest + gap, left + 0.25 * other.shape[1])
    return float(min(nearest, right + abs(gap) + 0.1 * height))


def find_middle(ink: Ink) -> float:
    """The mean column of the ink."""
    columns = ink.sum(axis=0)
    return float(columns @ np.arange(len(columns)) / max(float(columns.sum()), 1e-6))


def find_left_edges(ink: Ink) -> NDArray[np.float64]:
    """The first column with ink in each row; infinite where there is none."""
    seen = ink > 0.4
    return np.where(seen.any(axis=1), seen.argmax(axis=1), np.inf)


def add_flourishes(
    ink: Ink, boxes: Sequence[Box], kind: str, height: float, pen: float, rng: np.random.Generator
) -> None:
    """Join some neighbours, strike a dash from the last digit, or lead in to the first one."""
    joined = rng.random() < 0.2
    for one, other in pairwise(boxes):
        if not (one.character.isdigit() and other.character.isdigit()):
            continue
        often = 0.7 if joined and one.character == other.character == "0" else 0.03
        if rng.random() < often and other.left - one.right < 0.6 * height:
            start, end = (
                np.array([box.left, box.top])
                + rng.uniform(low, high) * [box.right - box.left, box.bottom - box.top]
                for box, low, high in ((one, (0.6, 0), (1, 0.5)), (other, (0, 0), (0.5, 0.4)))
            )
            middle = (start + end) / 2 + (0, rng.uniform(-0.15, 0.35) * height)
            add_line(ink, bend_line(np.stack([start, middle, end])), pen * rng.uniform(0.6, 1))
    digits = [box for box in boxes if box.character.isdigit()]
    if not digits:
        return
    first, last = digits[0], digits[-1]
    if kind == "amount" and rng.random() < 0.18:
        at = last.top + (last.bottom - last.top) * rng.uniform(0.3, 1)
        reach = min(ink.shape[1] - 1.0, last.right + rng.uniform(0.3, 1.2) * height)
        add_line(ink, np.array([(last.right - 2, at), (reach, at + rng.normal(0, 0.06) * height)]), pen)
    if rng.random() < 0.03:
        across = first.left + np.array([-rng.uniform(0.2, 0.6), -rng.uniform(0, 0.2), 0.02]) * height
        down = first.top + (first.bottom - first.top) * rng.uniform((0.4, 0.3, 0.0), (0.9, 0.9, 0.5))
        add_line(ink, bend_line(np.column_stack([across, down])), 0.8 * pen)
