"""Frames and mats are peeled, and digits are not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lenet.reading.page import find_page


def photograph() -> np.ndarray:
    """Uneven, grainy paper with a stroke on it, (120, 90, 3)."""
    random = np.random.default_rng(0)
    paper = np.linspace(150, 210, 120)[:, None] + random.normal(0, 3, (120, 90))
    paper[30:90, 40:48] -= 120
    return np.repeat(paper.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def kept(pixels: np.ndarray) -> tuple[int, int, int, int]:
    (rows, columns), _ = find_page(pixels)
    return rows.start, rows.stop, columns.start, columns.stop


@pytest.mark.parametrize("level", [0, 128, 180, 255])
@pytest.mark.parametrize("margins", [(20, 20, 20, 20), (3, 40, 25, 9)])
def test_a_photograph_on_a_mat_of_any_colour(level: int, margins: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = margins
    pixels = np.pad(photograph(), ((top, bottom), (left, right), (0, 0)), constant_values=level)
    first, last, begin, end = kept(pixels)
    assert top <= first <= top + 6
    assert top + 114 <= last <= top + 120
    assert left <= begin <= left + 6
    assert left + 84 <= end <= left + 90


def test_paper_itself_is_no_frame() -> None:
    assert kept(photograph()) == (0, 120, 0, 90)


@pytest.mark.parametrize("box", [(50, 20, 62, 100), (20, 20, 100, 100)])
def test_digits_on_clean_paper_are_no_pages(box: tuple[int, int, int, int]) -> None:
    image = Image.new("RGB", (120, 120), "white")
    brush = ImageDraw.Draw(image)
    if box[2] - box[0] < 20:
        brush.rectangle(box, fill=(10, 10, 10))  # a 1
    else:
        brush.rectangle(box, outline=(10, 10, 10), width=9)  # an angular 0
    assert kept(np.asarray(image)) == (0, 120, 0, 120)
