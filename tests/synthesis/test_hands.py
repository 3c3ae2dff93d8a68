"""A hand draws every digit in ink, with its own pen and slant, and the same from the same seed."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lenet.synthesis.hands import (
    Hand,
    Material,
    bend,
    cut_to_ink,
    gather_material,
    redraw_ink,
    transform,
)


def draw_bar(width: int) -> np.ndarray:
    """An upright stroke, (100, 80)."""
    ink = np.zeros((100, 80), np.float32)
    ink[20:80, 40 - width // 2 : 40 - width // 2 + width] = 1
    return ink


def test_images_are_sorted_by_label() -> None:
    images = np.zeros((6, 28, 28), np.uint8)
    material = gather_material(images, np.array([3, 0, 3, 9, 0, 0]))
    assert [numbers.tolist() for numbers in material.by_label] == [
        [1, 4, 5], [], [], [0, 2], [], [], [], [], [], [3]
    ]  # fmt: skip
    assert list(material.typefaces) == []


@given(seed=st.integers(0, 2**32), label=st.integers(0, 9), height=st.floats(8, 120))
@example(seed=72, label=0, height=8.0)  # the thinnest pen, which leaves less than a pixel of ink
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_hand_draws_ink_of_about_the_height(
    material: Material, seed: int, label: int, height: float
) -> None:
    ink = Hand(material, np.random.default_rng(seed)).draw(label, height)
    assert ink.dtype == np.float32
    assert 0 <= ink.min() <= ink.max() <= 1 + 1e-6
    assert ink.max() > 0.3
    assert 0.4 * height - 1 < ink.shape[0] < 2.2 * height + 4
    assert ink.shape[1] < 4 * height + 4


def test_equal_seeds_draw_equal_digits_and_one_hand_never_twice_the_same(material: Material) -> None:
    one, same, other = (Hand(material, np.random.default_rng(seed)) for seed in (5, 5, 6))
    first, second = one.draw(4, 40), one.draw(4, 40)
    assert np.array_equal(first, same.draw(4, 40))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.draw(4, 40))


def test_without_typefaces_no_hand_is_of_a_font(material: Material) -> None:
    sources = {Hand(material, np.random.default_rng(seed)).source for seed in range(60)}
    assert sources == {"images", "strokes"} | ({"fonts"} if material.typefaces else set())


@pytest.mark.parametrize("pen", [6, 12, 24])
def test_a_pen_is_changed_to_the_width_asked_for(pen: int) -> None:
    widths = (redraw_ink(draw_bar(12), pen) > 0.5).sum(axis=1)[30:70]
    assert np.abs(widths - pen).max() <= 2


def test_a_pen_never_breaks_a_stroke() -> None:
    assert (redraw_ink(draw_bar(12), 0.5) > 0.5).sum(axis=1)[30:70].min() >= 4
    blank = np.zeros((20, 20), np.float32)
    assert not redraw_ink(blank, 5).any()


def test_bending_keeps_the_ink_and_nothing_is_no_bend() -> None:
    ink, rng = draw_bar(10), np.random.default_rng(0)
    np.testing.assert_allclose(bend(ink, rng, 0.0), ink, atol=1e-4)
    bent = bend(ink, rng, 3.0)
    assert not np.array_equal(bent, ink)
    assert bent.sum() == pytest.approx(ink.sum(), rel=0.3)


def test_a_linear_map_moves_ink_as_it_says() -> None:
    ink = cut_to_ink(draw_bar(10))
    doubled = cut_to_ink(transform(ink, 2 * np.eye(2)))
    assert np.abs(np.array(doubled.shape) - 2 * np.array(ink.shape)).max() <= 2
    turned = cut_to_ink(transform(ink, np.array([[0.0, 1.0], [-1.0, 0.0]])))
    assert np.abs(np.array(turned.shape) - ink.shape[::-1]).max() <= 2
    tiny = cut_to_ink(transform(ink, 0.2 * np.eye(2)))
    assert 0.03 < tiny.sum() / ink.sum() < 0.05  # the area is a 25th


def test_no_ink_is_one_pixel() -> None:
    assert cut_to_ink(np.zeros((9, 9), np.float32)).shape == (1, 1)
