"""Printed lines go and strokes stay, whatever lies under or around them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lenet.reading.ruled_lines import find_ruled_lines, measure_runs

STROKES = {
    "2": [(70, 60), (95, 40), (125, 55), (118, 90), (70, 150), (135, 150)],
    "7": [(65, 45), (135, 45), (90, 155)],
    "4": [(80, 40), (65, 110), (140, 110), (120, 110), (122, 60), (118, 160)],
    "1": [(80, 70), (105, 40), (102, 160)],
    "0": [(100, 40), (70, 70), (70, 130), (100, 158), (130, 130), (130, 70), (100, 40)],
}


def draw(strokes: list[tuple[int, int]], size: tuple[int, int] = (200, 200), width: int = 9) -> np.ndarray:
    image = Image.new("1", size)
    ImageDraw.Draw(image).line(strokes, fill=1, width=width, joint="curve")
    return np.array(image)


def lined(ink: np.ndarray, *lines: tuple[float, float, float, float], width: int = 2) -> np.ndarray:
    image = Image.fromarray(ink)
    for line in lines:
        ImageDraw.Draw(image).line(line, fill=1, width=width)
    return np.array(image)


PRINTS = {
    "below": [(0, 152, 200, 152)],
    "through": [(0, 90, 200, 96)],
    "ruled": [(0, y, 200, y - 5) for y in (20, 70, 120, 170)],
    "squared": [(0, y, 200, y) for y in range(8, 200, 37)] + [(x, 0, x, 200) for x in range(21, 200, 37)],
    "boxed": [(40, 20, 160, 20), (160, 20, 160, 180), (160, 180, 40, 180), (40, 180, 40, 20)],
    "box that a stroke touches": [
        (66, 20, 160, 20),
        (160, 20, 160, 180),
        (160, 180, 66, 180),
        (66, 180, 66, 20),
    ],
}


@pytest.mark.parametrize("print_", PRINTS)
@pytest.mark.parametrize("digit", STROKES)
def test_prints_go_and_strokes_stay(digit: str, print_: str) -> None:
    ink = draw(STROKES[digit])
    both = lined(ink, *PRINTS[print_])
    left = both & ~find_ruled_lines(both)
    print_only = both & ~ink
    assert (left & ink).sum() > 0.9 * ink.sum()
    assert (left & print_only).sum() < 0.15 * print_only.sum()


@pytest.mark.parametrize("digit", STROKES)
def test_without_prints_nothing_goes(digit: str) -> None:
    assert not find_ruled_lines(draw(STROKES[digit])).any()


@pytest.mark.parametrize("digit", STROKES)
def test_bars_of_a_digit_cut_close_are_strokes(digit: str) -> None:
    ink = draw(STROKES[digit])
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    close = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert not find_ruled_lines(close).any()


def test_a_nought_and_an_eight_drawn_as_boxes_are_digits() -> None:
    nought = lined(np.zeros((120, 120), np.bool_), (30, 20, 90, 20), (90, 20, 90, 100), width=6)
    nought = lined(nought, (90, 100, 30, 100), (30, 100, 30, 20), width=6)
    assert not find_ruled_lines(nought).any()
    assert not find_ruled_lines(lined(nought, (30, 60, 90, 60), width=6)).any()


def test_a_line_under_a_string() -> None:
    ink = np.concatenate([draw(STROKES[digit])[30:] for digit in "2704"], axis=1)
    both = lined(ink, (0, 124, 800, 128), width=9)  # as thick as the pen
    left = both & ~find_ruled_lines(both)
    assert (left & ink).sum() > 0.85 * ink.sum()
    assert (left & ~ink).sum() < 0.2 * (both & ~ink).sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (13, 13), (12, 400)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    for ink in (np.ones(shape, np.bool_), np.zeros(shape, np.bool_), np.eye(*shape, dtype=np.bool_)):
        assert find_ruled_lines(ink).shape == shape


def test_run_lengths_are_counted_down_the_columns() -> None:
    ink = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], dtype=np.bool_)
    assert measure_runs(ink).tolist() == [[2, 0, 1], [2, 3, 0], [0, 3, 2], [1, 3, 2]]


@pytest.mark.parametrize("edges", [[], [(0, 0, 299, 0), (0, 99, 299, 99)]], ids=["alone", "between edges"])
def test_stems_as_tall_as_the_picture_are_strokes(edges: list[tuple[float, float, float, float]]) -> None:
    ink = np.zeros((100, 300), np.bool_)
    ink = lined(ink, *((x, 1, x + 4, 98) for x in (40, 100, 160)), width=7)
    ink = lined(ink, (210, 30, 270, 30), (270, 30, 230, 90), width=7)
    both = lined(ink, *edges, width=1)
    assert not (find_ruled_lines(both) & ink & ~lined(np.zeros_like(ink), *edges, width=1)).any()
