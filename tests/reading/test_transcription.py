"""The search over texts against brute force over all alignments of small tables of frames."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lenet.errors import PictureError
from lenet.reading.transcription import (
    MAX_DIGITS,
    NEVER,
    Constraints,
    Frames,
    Text,
    align,
    check_constraints,
    find_text,
    measure_count,
    measure_empty,
)

Alignment = tuple[int, ...]


def make_frames(chances: object) -> Frames:
    """Log-probabilities of rows of any positive weights."""
    weights = np.asarray(chances, np.float64)
    return np.log(weights / weights.sum(axis=1, keepdims=True))


def collapse(alignment: Alignment, blank: int) -> Text:
    """The text of an alignment: repeats go first, then blanks."""
    text, before = [], blank
    for label in alignment:
        if label not in (before, blank):
            text.append(label)
        before = label
    return tuple(text)


def sum_texts(frames: Frames) -> tuple[dict[Text, float], dict[Text, tuple[float, Alignment]]]:
    """By every alignment there is: the probability of each text, and its best alignment."""
    blank = frames.shape[1] - 1
    totals: dict[Text, float] = {}
    best: dict[Text, tuple[float, Alignment]] = {}
    for alignment in product(range(blank + 1), repeat=len(frames)):
        chance = math.exp(sum(row[label] for row, label in zip(frames, alignment, strict=True)))
        text = collapse(alignment, blank)
        totals[text] = totals.get(text, 0.0) + chance
        best[text] = max(best.get(text, (0.0, ())), (chance, alignment))
    return totals, best


SMALL = (
    st.integers(2, 3)
    .flatmap(
        lambda classes: arrays.arrays(
            np.float64, st.tuples(st.integers(1, 5), st.just(classes)), elements=st.floats(0.02, 1)
        )
    )
    .map(make_frames)
)
"""One or two digits and the blank in one to five frames: at most 243 alignments."""


def test_a_text_adds_up_all_its_alignments():
    frames = make_frames([[0.5, 0.1, 0.4], [0.3, 0.2, 0.5], [0.2, 0.3, 0.5]])
    # 0 in any run of frames, and blanks around it
    chance = (
        0.5 * 0.5 * 0.5
        + 0.4 * 0.3 * 0.5
        + 0.4 * 0.5 * 0.2
        + 0.5 * 0.3 * 0.5
        + 0.4 * 0.3 * 0.2
        + 0.5 * 0.3 * 0.2
    )
    text, found, fit = find_text(frames, Constraints())
    assert text == (0,)
    assert found == pytest.approx(chance)
    assert fit == pytest.approx(1 - 0.4 * 0.5 * 0.5)


def test_equal_digits_need_a_blank_between_them():
    sure = make_frames([[1, 0.001], [1, 0.001], [1, 0.001]])
    assert find_text(sure, Constraints())[0] == (0,)
    apart = make_frames([[1, 0.001], [0.001, 1], [1, 0.001]])
    assert find_text(apart, Constraints())[0] == (0, 0)
    assert measure_count(make_frames([[0.9, 0.1], [0.9, 0.1]]), 2) == NEVER
    different = make_frames([[1, 0.001, 0.001], [0.001, 1, 0.001]])
    assert find_text(different, Constraints())[0] == (0, 1)


@given(SMALL)
@settings(max_examples=80, deadline=None)
def test_the_best_text_is_that_of_brute_force(frames: Frames):
    totals, _ = sum_texts(frames)
    assert sum(totals.values()) == pytest.approx(1)
    text, chance, fit = find_text(frames, Constraints())
    assert text is not None
    written = {one: total for one, total in totals.items() if one}
    assert totals[text] == pytest.approx(max(written.values()))
    assert chance == pytest.approx(totals[text])
    assert 0 < chance <= 1
    assert fit == pytest.approx(1 - totals.get((), 0.0))
    assert math.exp(measure_empty(frames)) == pytest.approx(totals[()])


@given(SMALL, st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_the_texts_of_a_length_add_up_to_its_measure(frames: Frames, count: int):
    totals, _ = sum_texts(frames)
    of_length = {text: total for text, total in totals.items() if len(text) == count}
    assert math.exp(max(-700.0, measure_count(frames, count))) == pytest.approx(
        sum(of_length.values()), abs=1e-12
    )
    text, chance, fit = find_text(frames, Constraints(count))
    if not of_length:
        assert (text, chance, fit) == (None, 0.0, 0.0)
        return
    assert text is not None
    assert totals[text] == pytest.approx(max(of_length.values()))
    assert chance == pytest.approx(totals[text] / sum(of_length.values()))
    assert fit == pytest.approx(sum(of_length.values()))


@given(SMALL)
@settings(max_examples=80, deadline=None)
def test_digits_are_where_the_best_alignment_has_them(frames: Frames):
    _, best = sum_texts(frames)
    blank = frames.shape[1] - 1
    for text, (chance, _) in best.items():
        if not text:
            continue
        spans = align(frames, text)
        alignment = np.full(len(frames), blank)
        for label, span in zip(text, spans, strict=True):
            assert span.start < span.stop
            alignment[span] = label
        assert all(one.stop <= other.start for one, other in pairwise(spans))
        assert collapse(tuple(alignment.tolist()), blank) == text
        assert math.exp(frames[np.arange(len(frames)), alignment].sum()) == pytest.approx(chance)


@given(SMALL)
@settings(max_examples=60, deadline=None)
def test_an_amount_has_no_leading_zero(frames: Frames):
    totals, _ = sum_texts(frames)
    allowed = {text: total for text, total in totals.items() if text == (0,) or (text and text[0] != 0)}
    text, _, _ = find_text(frames, Constraints(amount=True))
    assert text in allowed
    assert totals[text] == pytest.approx(max(allowed.values()))


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(11)), elements=st.floats(-40, 40)))
@settings(max_examples=60, deadline=None)
def test_any_frames_give_probabilities(scores: np.ndarray):
    frames = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    for constraints in (Constraints(), Constraints(1), Constraints(3), Constraints(amount=True)):
        text, chance, fit = find_text(frames, constraints)
        assert 0 <= chance <= 1
        assert 0 <= fit <= 1
        if text is not None:
            assert constraints.count in (None, len(text))
            spans = align(frames, text)
            assert [span.start < span.stop for span in spans] == [True] * len(text)


def test_a_known_number_of_digits_is_found_however_improbable_they_are():
    faint = np.full((6, 11), 1e-7)
    faint[:, 3], faint[4, 8] = 1e-6, 1e-5
    faint[:, -1] = 1 - faint[:, :-1].sum(axis=1)
    assert find_text(np.log(faint), Constraints())[0] in (None, ())
    for count, expected in ((1, (8,)), (2, (3, 8))):
        text, probability, fit = find_text(np.log(faint), Constraints(count))
        assert text == expected
        assert 0 < probability < 1
        assert fit < 1e-3


def test_more_digits_than_frames_are_no_text():
    frames = make_frames(np.ones((3, 11)))
    assert find_text(frames, Constraints(4)) == (None, 0.0, 0.0)
    assert find_text(frames, Constraints(3))[0] is not None


def test_a_pattern_is_filled_in_and_gives_the_number_of_digits():
    constraints = check_constraints(None, "##-#", False)
    assert constraints.count == 3
    assert constraints.fill("123") == constraints.fill(["1", "2", "3"]) == "12-3"
    assert Constraints().fill("123") == "123"
    assert Constraints().fill(["one", "2"]) == "one 2"
    assert check_constraints(2, None, True) == Constraints(2, None, True)
    for length, pattern, amount in ((0, None, False), (MAX_DIGITS + 1, None, False), (2, "#", False)):
        with pytest.raises(PictureError):
            check_constraints(length, pattern, amount)
