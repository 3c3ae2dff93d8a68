"""Texts in ink: what is written is what the text says, and each box is around its character."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.synthesis.hands import Hand, Material
from lenet.synthesis.marks import bend_line, draw_mark, draw_pen_lines
from lenet.synthesis.strings import KINDS, SPACINGS, choose_text, find_left_edges, place_beside, write_string

QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_shares_are_shares() -> None:
    assert sum(KINDS.values()) == pytest.approx(1)


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_texts_are_of_their_kind(seed: int) -> None:
    texts = {kind: choose_text(kind, np.random.default_rng(seed)) for kind in KINDS}
    digits = {kind: re.sub(r"\D", "", text) for kind, text in texts.items()}
    assert len(texts["single"]) == len(digits["single"]) == 1
    assert not digits["nothing"]
    assert texts["nothing"].strip()
    assert 1 <= len(digits["amount"]) <= 7
    assert digits["amount"][0] != "0"
    assert 2 <= len(digits["number"]) <= 10
    assert texts == {kind: choose_text(kind, np.random.default_rng(seed)) for kind in KINDS}


def test_every_number_of_digits_comes_up() -> None:
    rng = np.random.default_rng(0)
    amounts = {len(re.sub(r"\D", "", choose_text("amount", rng))) for _ in range(400)}
    numbers = {len(re.sub(r"\D", "", choose_text("number", rng))) for _ in range(400)}
    assert amounts == set(range(1, 8))
    assert numbers == set(range(2, 11))


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(list(KINDS)))
@QUIET
def test_boxes_are_around_their_characters_and_in_the_ink(material: Material, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    text = choose_text(kind, rng)
    written = write_string(text, kind, material, rng)
    assert written.kind == kind
    assert written.text == re.sub(r"\D", "", text)
    assert [box.character for box in written.boxes] == list(text.replace(" ", ""))
    height, width = written.ink.shape
    assert 0 <= written.ink.min() <= written.ink.max() <= 1 + 1e-6
    reach = 0.1 * written.height + 1  # strokes may be cut by the edge of the picture
    for box in written.boxes:
        assert -reach <= box.left < box.right <= width + reach
        assert -reach <= box.top < box.bottom <= height + reach
        rows, columns = (
            slice(max(0, int(low)), max(1, int(high)))
            for low, high in ((box.top, box.bottom), (box.left, box.right))
        )
        assert written.ink[rows, columns].max(initial=0) > 0.05 or min(box.right, box.bottom) < reach + 1


@given(seed=st.integers(0, 2**32))
@QUIET
def test_equal_seeds_write_alike(material: Material, seed: int) -> None:
    one, same = (write_string("$12.50-", "amount", material, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one.ink, same.ink)
    assert one.boxes == same.boxes
    assert (one.height, one.pen, one.slope) == (same.height, same.pen, same.slope)


def test_spacings_set_digits_apart_or_together(material: Material) -> None:
    widths = {name: [] for name in SPACINGS}
    for seed in range(15):
        for name, found in widths.items():
            written = write_string("60958", "number", material, np.random.default_rng(seed), name)
            found.append((written.boxes[-1].right - written.boxes[0].left) / written.height)
    assert np.mean(widths["apart"]) > np.mean(widths["close"]) > np.mean(widths["touching"])


def test_digits_stand_from_left_to_right(material: Material) -> None:
    for seed in range(20):
        written = write_string("123456", "number", material, np.random.default_rng(seed))
        middles = [(box.left + box.right) / 2 for box in written.boxes]
        assert middles == sorted(middles)


def test_a_character_is_placed_by_the_distance_of_strokes() -> None:
    slash = np.eye(20, dtype=np.float32)[::-1]  # from the lower left to the upper right
    beside = place_beside(("/", slash, 10, 0), slash, 0, 8.0, 20.0)
    boxes_apart = 10 + 20 + 8
    assert 10 + 8 <= beside < boxes_apart
    below = place_beside(("/", slash, 10, 0), slash, 40, 8.0, 20.0)
    assert below == 10 + 20 + 4  # no rows in common
    assert find_left_edges(np.array([[0, 0, 1], [0, 0, 0]], np.float32)).tolist() == [2, np.inf]


@pytest.mark.parametrize("mark", [*".,'-~=/$#*?", "R"])
def test_marks_are_ink_within_a_line(material: Material, mark: str) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        ink, top = draw_mark(mark, Hand(material, rng), 40, rng)
        assert ink.max() > 0.5
        assert -30 < top < 60
        assert max(ink.shape) < 100


def test_lines_bend_smoothly_and_are_as_wide_as_the_pen() -> None:
    curve = bend_line([(0.0, 0.0), (10.0, 20.0), (20.0, 0.0)])
    assert curve.shape == (16, 2)
    np.testing.assert_allclose(curve[[0, -1]], [(0, 0), (20, 0)])
    assert curve[:, 1].max() == pytest.approx(10, abs=0.1)  # halfway to the point between
    drawn = draw_pen_lines([[(0.0, 0.0), (40.0, 0.0)]], 6)
    assert 5 <= (drawn > 0.5).sum(axis=0)[10:-10].max() <= 8
