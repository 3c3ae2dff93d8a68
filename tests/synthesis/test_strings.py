"""Composed pictures depend on the seed alone and show the digits that their texts name."""

import numpy as np
import pytest

from lenet.data.datasets import load
from lenet.synthesis.strings import PLAIN, SPACINGS, compose_string, compose_strings, draw_digit, draw_style

DIGITS = load("digits", "test")
IMAGES, LABELS = DIGITS.images[:, 0].numpy(), DIGITS.labels.numpy()


def test_equal_seeds_give_equal_pictures():
    lengths = [1, 2, 10, 4]
    made, again = (list(compose_strings(IMAGES, LABELS, DIGITS.classes, lengths, 3)) for _ in range(2))
    assert [len(text) for _, text in made] == lengths
    for (picture, text), (other, same) in zip(made, again, strict=True):
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, other)
        assert text == same
    other = list(compose_strings(IMAGES, LABELS, DIGITS.classes, lengths, 4))
    assert [text for _, text in made] != [text for _, text in other]


@pytest.mark.parametrize("seed", range(20))
def test_every_style_shows_ink_within_a_margin(seed: int):
    generator = np.random.default_rng(seed)
    style = draw_style(generator)
    picture = compose_string(IMAGES[:3], generator, list(SPACINGS)[seed % 3], style)
    assert np.ptp(picture) > 0.4 * abs(style.paper - style.ink)
    assert picture.shape[1] > picture.shape[0]


def test_spacings_set_digits_apart_or_together():
    widths = {
        spacing: compose_string(IMAGES[:8], np.random.default_rng(0), spacing).shape[1]
        for spacing in SPACINGS
    }
    assert widths["apart"] > widths["close"] > widths["touching"]


def test_a_blank_image_is_drawn_as_nothing():
    assert not draw_digit(np.zeros((28, 28), np.uint8), np.random.default_rng(0), PLAIN).any()


def test_long_names_are_separated():
    ((_, text),) = compose_strings(IMAGES, LABELS % 2, ("even", "odd"), [2], 0)
    assert set(text.split()) <= {"even", "odd"}
    assert len(text.split()) == 2
