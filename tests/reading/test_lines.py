"""Digits in a row are one line, turned or not, and the line says how steep it is."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lenet.data.datasets import load_digits
from lenet.errors import PictureError
from lenet.reading.lines import Writing, find_lines
from lenet.reading.page import flatten_light, to_dark_ink, to_grey
from lenet.reading.strokes import find_strokes, measure_grain

DIGITS = load_digits()[0][:, 0].numpy()


def write_row(generator: np.random.Generator) -> np.ndarray:
    """Five digits in a row, each a little higher or lower than the others: dark on paper, (192, 480)."""
    ink = np.zeros((48, 120), np.uint8)
    for number, image in enumerate(DIGITS[generator.integers(len(DIGITS), size=5)]):
        top, left = 10 + int(generator.integers(-1, 2)), 22 * number + 2
        np.maximum(ink[top : top + 28, left : left + 28], image, out=ink[top : top + 28, left : left + 28])
    return (235 - 0.8 * ink.repeat(4, axis=0).repeat(4, axis=1)).astype(np.uint8)


def find(picture: np.ndarray, angle: float) -> list[Writing]:
    """The lines of a grey picture that is turned by `angle` degrees, counter-clockwise."""
    turned = Image.fromarray(picture).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=235)
    dark, _ = to_dark_ink(to_grey(np.repeat(np.asarray(turned)[:, :, None], 3, axis=2))[0])
    contrast, _ = flatten_light(dark)
    return find_lines(find_strokes(contrast, measure_grain(contrast))[0])


@pytest.mark.parametrize("angle", [-30, -15, 0, 10, 30])
def test_a_turned_row_is_one_line(angle: int) -> None:
    errors = []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        (line,) = find(write_row(generator), angle)
        errors.append(abs(math.degrees(math.atan(line.slope)) + angle))
    assert np.median(errors) < 2
    assert max(errors) < 10


@pytest.mark.parametrize("angle", [-20, 0, 20])
def test_turned_lines_below_each_other_stay_apart(angle: int) -> None:
    generator = np.random.default_rng(1)
    page = np.concatenate([write_row(generator), write_row(generator)])
    assert len(find(page, angle)) == 2


def test_a_single_component_is_level() -> None:
    page = Image.new("1", (200, 200))
    ImageDraw.Draw(page).line([(40, 160), (160, 40)], 1, 9)
    (line,) = find_lines(np.array(page))
    assert line.slope == 0
    assert (line.rows, line.columns) == (slice(37, 164), slice(37, 164))


def test_no_ink_is_no_line() -> None:
    assert find_lines(np.zeros((20, 30), np.bool_)) == []


def test_more_than_a_page_of_digits_is_refused() -> None:
    page = np.zeros((900, 900), np.bool_)
    for top in range(5, 890, 20):
        page[top : top + 10, 5:895:12] = True
        page[top : top + 10, 6:895:12] = True
    with pytest.raises(PictureError, match="lines of marks of 10 pixels are too much to read; crop"):
        find_lines(page)
