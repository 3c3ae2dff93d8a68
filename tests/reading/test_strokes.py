"""What lies along the edge of a picture goes; what is written over it stays."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from lenet.reading.strokes import find_frame, find_strokes, measure_grain


def draw(size: tuple[int, int], *bars: tuple[int, int, int, int]) -> np.ndarray:
    image = Image.new("1", size)
    for bar in bars:
        ImageDraw.Draw(image).rectangle(bar, fill=1)
    return np.array(image)


def find_edge(ink: np.ndarray) -> np.ndarray:
    return find_frame(ink.astype(np.float32), ink)


ONE = (30, 20, 36, 80)
TABLE = (0, 70, 199, 99)
LINE = (0, 98, 180, 99)


def test_a_table_below_the_sheet_is_a_frame() -> None:
    table = draw((200, 100), TABLE)
    ones = draw((200, 100), (30, 10, 36, 60), (80, 10, 86, 60))
    assert np.array_equal(find_edge(ones | table), table)


def test_a_table_and_the_shadow_at_its_side_are_a_frame() -> None:
    corner = draw((200, 100), (0, 90, 199, 99), (0, 0, 5, 99))
    ones = draw((200, 100), (30, 10, 36, 60), (80, 10, 86, 60))
    frame = find_edge(ones | corner)
    assert (frame & corner).sum() > 0.95 * corner.sum()  # where they cross, a little may be left
    assert not (frame & ones).any()


def test_digits_that_stand_on_a_line_along_the_edge_stay() -> None:
    line = draw((200, 100), LINE)
    apart = draw((200, 100), ONE)
    standing = draw((200, 100), (80, 30, 86, 99), (120, 30, 126, 99))
    frame = find_edge(line | apart | standing)
    assert (frame & line).sum() > 0.85 * line.sum()
    assert not (frame & (standing | apart) & ~line).any()


def test_what_goes_from_side_to_side_is_no_frame_by_that() -> None:
    apart = draw((200, 100), ONE)
    across = draw((200, 100), (0, 50, 199, 56))
    assert not find_edge(apart | across).any()


def test_a_digit_cut_close_is_no_frame() -> None:
    assert not find_edge(draw((60, 60), (0, 0, 59, 8), (40, 0, 50, 59))).any()


def test_strokes_are_found_above_grain_and_print() -> None:
    random = np.random.default_rng(0)
    contrast = random.normal(0, 0.02, (100, 200)).astype(np.float32)
    contrast[::7] += 0.15  # a pattern on the paper
    ink = draw((200, 100), ONE, (80, 20, 86, 80))
    contrast[ink] = 0.8
    strokes, reason = find_strokes(contrast, measure_grain(contrast))
    assert np.array_equal(strokes, ink)
    assert "darker than paper" in reason


def test_the_soft_corner_of_a_shadow_is_no_stroke() -> None:
    ink = draw((200, 100), ONE).astype(np.float32)
    corner = np.add.outer(np.arange(100), np.arange(200)) > 260
    shadow = ndimage.gaussian_filter(corner.astype(np.float32), 6) * 0.8
    shadows = find_frame(ink + shadow, ink + shadow > 0.3)
    assert np.array_equal(shadows, shadow > 0.3)


def test_a_digit_cut_by_the_edge_is_no_shadow() -> None:
    ink = draw((200, 100), ONE, (190, 40, 199, 80)).astype(np.float32)
    for blur in (0.5, 2):
        contrast = ndimage.gaussian_filter(ink, blur)
        assert not find_frame(contrast, contrast > 0.3).any()


@pytest.mark.parametrize("bar", [(0, 0, 2, 99), (0, 20, 1, 60), (197, 30, 199, 99), (40, 0, 120, 2)])
def test_a_thin_bar_along_the_edge_is_a_frame(bar: tuple[int, int, int, int]) -> None:
    thin, ones = draw((200, 100), bar), draw((200, 100), ONE, (80, 20, 86, 80))
    assert np.array_equal(find_edge(ones | thin), thin)


def test_a_digit_along_the_edge_is_no_frame() -> None:
    assert not find_edge(draw((200, 100), ONE, (80, 20, 86, 80), (0, 40, 6, 80))).any()
    assert not find_edge(draw((60, 24), (0, 13, 1, 22), (20, 10, 21, 22))).any()  # pens of two pixels
