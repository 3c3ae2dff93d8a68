"""Transcribes the frames of a line network: the most probable text within constraints, and its places.

Each frame holds the log-probabilities of the ten digits and, last, of the blank. Many alignments of frames
give one text: repeats are left out, and then blanks (connectionist temporal classification,
Graves et al. 2006).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet.errors import PictureError

Frames = NDArray[np.float64]
"""Log-probabilities (frames, classes + 1); the last class is the blank."""
Text = tuple[int, ...]

MAX_DIGITS = 64
PLACEHOLDER = "#"
BEAM_WIDTH = 12  # texts kept per frame; with a known number of digits, half of it for each length
MIN_PROBABILITY = math.log(1e-4)  # digits that are less probable in a frame are not tried there
# (with a known number of digits, the most probable one of each frame is)
NEVER = -1e30


@dataclass(frozen=True)
class Constraints:
    """`count` digits, or any number; `pattern` has a # for each digit; an `amount` has no leading 0."""

    count: int | None = None
    pattern: str | None = None
    amount: bool = False

    def fill(self, names: Sequence[str]) -> str:
        """The names of digits in the places of the pattern; without one in a row, longer names apart."""
        if self.pattern is None:
            return ("" if all(len(name) == 1 for name in names) else " ").join(names)
        following = iter(names)
        return "".join(next(following) if sign == PLACEHOLDER else sign for sign in self.pattern)


def check_constraints(length: int | None, pattern: str | None, amount: bool) -> Constraints:
    """The constraints of `length`, `pattern` and `amount`. Raises PictureError if they are invalid."""
    if length is not None and not 1 <= length <= MAX_DIGITS:
        raise PictureError(f"length is {length}; it must be a number of digits from 1 to {MAX_DIGITS}")
    if pattern is None:
        return Constraints(length, None, amount)
    count = pattern.count(PLACEHOLDER)
    if not 1 <= count <= MAX_DIGITS:
        raise PictureError(f"pattern {pattern[:80]!r} has {count} digits; write each as #, like #####-####")
    if any(sign.isdigit() or not sign.isprintable() for sign in pattern):
        raise PictureError(f"pattern {pattern[:80]!r} may hold # and signs between, like #####-####")
    if length is not None and length != count:
        raise PictureError(f"length is {length}, but pattern {pattern[:80]!r} has {count} digits; give one")
    if amount:
        raise PictureError("an amount has no pattern; give amount or pattern")
    return Constraints(count, pattern)


def find_text(frames: Frames, constraints: Constraints) -> tuple[Text | None, float, float]:
    """The most probable text within the constraints, its probability, and that of a fitting number of digits.

    The probability, 0..1, is the share of the text in all texts with that number of digits. Without a known
    number, all texts compete, the empty one as well, and the second value is that of a text with any digit.
    Returns None for the text if no text fits.
    """
    found = search(frames, constraints)
    count = constraints.count
    fitting = {text: total for text, total in found.items() if text and count in (None, len(text))}
    if not fitting:
        return None, 0.0, 0.0
    best = max(fitting, key=lambda text: fitting[text])
    chance = measure_empty(frames) if count is None else measure_count(frames, count)
    fit = 1 - math.exp(min(0.0, chance)) if count is None else math.exp(min(0.0, chance))
    total = fitting[best] if count is None else fitting[best] - max(chance, fitting[best])
    return best, math.exp(min(0.0, total)), fit


def search(frames: Frames, constraints: Constraints) -> dict[Text, float]:
    """Beam search: the log-probabilities of the most probable texts."""
    blank = frames.shape[1] - 1
    beam: dict[Text, tuple[float, float]] = {(): (0.0, NEVER)}  # ends with a blank, ends with its last digit
    tried = frames[:, :-1] > MIN_PROBABILITY
    if constraints.count is not None:  # then there are digits, however improbable
        tried[np.arange(len(frames)), frames[:, :-1].argmax(axis=1)] = True
    active = [np.flatnonzero(row).tolist() for row in tried]
    for row, labels in zip(frames.tolist(), active, strict=True):
        following: dict[Text, tuple[float, float]] = {}
        for text, (rested, held) in beam.items():
            total = add_logs(rested, held)
            before = following.get(text, (NEVER, NEVER))
            stays = held + row[text[-1]] if text else NEVER
            following[text] = add_logs(before[0], total + row[blank]), add_logs(before[1], stays)
            if len(text) >= (constraints.count or MAX_DIGITS):
                continue
            if constraints.amount and text == (0,):
                continue
            for label in labels:
                gain = (rested if text and text[-1] == label else total) + row[label]
                if gain > NEVER:
                    longer = (*text, label)
                    rested_, held_ = following.get(longer, (NEVER, NEVER))
                    following[longer] = rested_, add_logs(held_, gain)
        beam = keep_best(following, constraints)
    return {text: add_logs(*ends) for text, ends in beam.items()}


def keep_best(
    texts: dict[Text, tuple[float, float]], constraints: Constraints
) -> dict[Text, tuple[float, float]]:
    """The most probable texts; with a known number of digits, the most probable of each length.

    A short text cannot always be completed to the known number, so every length is kept.
    """
    if len(texts) <= BEAM_WIDTH:
        return texts
    ranked = sorted(texts.items(), key=lambda item: -max(item[1]))
    if constraints.count is None:
        return dict(ranked[:BEAM_WIDTH])
    seen: dict[int, int] = {}
    kept = {}
    for text, ends in ranked:
        seen[len(text)] = seen.get(len(text), 0) + 1
        if seen[len(text)] <= BEAM_WIDTH // 2:
            kept[text] = ends
    return kept


def add_logs(one: float, other: float) -> float:
    """The logarithm of the sum of two numbers, from their logarithms."""
    more, less = (one, other) if one > other else (other, one)
    return more if less <= NEVER else more + math.log1p(math.exp(less - more))


def measure_empty(frames: Frames) -> float:
    """The log-probability that there is no digit."""
    return float(frames[:, -1].sum())


def measure_count(frames: Frames, count: int) -> float:
    """The log-probability of all texts of `count` digits: the sum over all their alignments."""
    chances = np.exp(frames)
    rested = np.zeros(count + 1)  # by digits so far: the last frame is a blank
    held = np.zeros((count + 1, frames.shape[1] - 1))  # by digits so far and the last one
    rested[0], scale = 1.0, 0.0
    for row in chances:
        total = rested + held.sum(axis=1)
        begun = np.zeros_like(held)  # a digit follows any other, and itself only after a blank
        begun[1:] = np.maximum(total[:-1, None] - held[:-1], 0)
        held = (held + begun) * row[:-1]
        rested = total * row[-1]
        size = rested.sum() + held.sum()
        if not size:
            return NEVER
        held, rested, scale = held / size, rested / size, scale + math.log(size)
    share = rested[count] + held[count].sum()
    return scale + math.log(share) if share else NEVER


def align(frames: Frames, text: Text) -> list[slice]:
    """The frames of each digit in the most probable alignment of a text."""
    states = np.full(2 * len(text) + 1, frames.shape[1] - 1)  # blanks and digits, in turn
    states[1::2] = text
    skips = np.zeros(len(states), np.bool_)
    skips[3::2] = states[3::2] != states[1:-2:2]  # no blank is needed between different digits
    score = np.full(len(states), -np.inf)
    score[:2] = frames[0, states[:2]]
    origins = np.zeros((len(frames), len(states)), np.int64)
    for number, row in enumerate(frames[1:], 1):
        one = np.concatenate([[-np.inf], score[:-1]])
        two = np.where(skips, np.concatenate([[-np.inf, -np.inf], score[:-2]])[: len(score)], -np.inf)
        choices = np.stack([score, one, two])
        origins[number] = choices.argmax(axis=0)
        score = choices.max(axis=0) + row[states]
    state = len(states) - 1 if score[-1] >= score[-2] else len(states) - 2
    path = np.zeros(len(frames), np.int64)
    for number in range(len(frames) - 1, -1, -1):
        path[number] = state
        state -= origins[number, state]
    places = [np.flatnonzero(path == 2 * digit + 1) for digit in range(len(text))]
    return [slice(int(place[0]), int(place[-1]) + 1) for place in places]
