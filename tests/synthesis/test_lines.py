"""Strips with known texts: from the seed alone, as reading would cut them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.data.datasets import load_digits
from lenet.images.strips import TEXT_HEIGHT
from lenet.models.line_config import ROWS
from lenet.synthesis.hands import Material
from lenet.synthesis.lines import (
    MAX_COLUMNS,
    compose_line,
    compose_picture,
    compose_pictures,
    cut_line,
)
from lenet.synthesis.paper import Picture
from lenet.synthesis.strings import KINDS, Box, Written


@given(seed=st.integers(0, 2**32), number=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_is_a_function_of_its_arguments(material: Material, seed: int, number: int) -> None:
    one, same = (compose_line(material, seed, "train", number) for _ in range(2))
    if one is None or same is None:
        assert one is same
        return
    assert np.array_equal(one.image, same.image)
    assert one.text == same.text
    assert one.image.dtype == np.uint8
    assert len(one.image) == ROWS
    assert one.image.shape[1] <= MAX_COLUMNS
    assert one.text == "" or one.text.isdigit()
    assert len(one.text) <= 10


def test_other_numbers_and_purposes_give_other_lines(material: Material) -> None:
    def compose(seed: int, purpose: str, number: int) -> bytes:
        line = compose_line(material, seed, purpose, number)
        return b"" if line is None else line.image.tobytes()

    lines = [compose(0, "train", 0), compose(0, "train", 1), compose(1, "train", 0), compose(0, "test", 0)]
    assert len(set(lines)) == 4


def test_nearly_all_numbers_have_a_line_and_few_have_no_digit(material: Material) -> None:
    lines = [compose_line(material, 0, "train", number) for number in range(80)]
    found = [line for line in lines if line is not None]
    assert len(found) > 70
    assert all(line.image.any() for line in found)
    assert 0 < sum(not line.text for line in found) < 20


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_of_the_kind_asked_for(material: Material, kind: str) -> None:
    for seed in range(5):
        picture = compose_picture(material, np.random.default_rng(seed), kind)
        assert picture.written.kind == kind
        assert (len(picture.written.text) == 1) or kind != "single"
        assert (picture.written.text == "") == (kind == "nothing")


def test_composed_pictures_come_with_their_texts() -> None:
    images, labels = load_digits()
    made, again = (
        list(compose_pictures(images[:, 0].numpy(), labels.numpy(), 4, 6, seed=3)) for _ in range(2)
    )
    assert [len(text) == 1 for _, text in made[:4]] == [True] * 4
    assert all(len(text) >= 2 for _, text in made[4::2])  # numbers
    assert all(len(text) >= 1 and text[0] != "0" for _, text in made[5::2])  # amounts
    for (picture, text), (other, same) in zip(made, again, strict=True):
        assert np.array_equal(picture, other)
        assert text == same
    others = list(compose_pictures(images[:, 0].numpy(), labels.numpy(), 4, 6, seed=4))
    assert [text for _, text in others] != [text for _, text in made]


def picture_of(ink: np.ndarray, inverted: bool = False, light: float = 0.8) -> Picture:
    grey = light * (1 - 0.6 * ink)
    image = (255 * (1 - grey if inverted else grey)).astype(np.uint8)
    height = float(np.ptp(np.flatnonzero((ink > 0.4).any(axis=1))) + 1) if (ink > 0.4).any() else 20.0
    written = Written("number", ink, (Box("1", 0, 0, 9, 9), Box("1", 9, 0, 18, 9)), height, 4)
    return Picture(image, written, np.full(ink.shape, light, np.float32), inverted)


def test_a_line_is_cut_with_full_ink_at_any_light() -> None:
    ink = np.zeros((100, 200), np.float32)
    ink[30:70, 50:56] = ink[30:70, 90:96] = 1
    for inverted in (False, True):
        for light in (0.4, 0.9):
            strip = cut_line(picture_of(ink, inverted, light), np.random.default_rng(0))
            assert strip is not None
            assert strip.text == "11"
            assert strip.image.max() > 240
            assert np.median(strip.image) < 20
            rows = np.flatnonzero((strip.image > 127).any(axis=1))
            assert abs(np.ptp(rows) + 1 - TEXT_HEIGHT) < 5


def test_dust_and_nothing_are_no_line() -> None:
    ink = np.zeros((100, 200), np.float32)
    assert cut_line(picture_of(ink), np.random.default_rng(0)) is None
    ink[50:52, 50:52] = 1
    assert cut_line(picture_of(ink), np.random.default_rng(0)) is None


def test_a_line_too_long_is_none() -> None:
    ink = np.zeros((60, 2000), np.float32)
    ink[20:40, 10:1990:10] = 1
    assert cut_line(picture_of(ink), np.random.default_rng(0)) is None
