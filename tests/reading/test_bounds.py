"""Pages with as much on them as is read at all take bounded time, and pages with more are refused early."""

import random
import time
from pathlib import Path

import matplotlib
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from lenet.errors import PictureError
from lenet.reading.reader import Reader

MAX_SECONDS = 5.0  # of processor time
MARGIN = 20  # pixels of paper around the page


def draw_digits(rows: int, columns: int) -> Image.Image:
    """Lines of digits that fill the page."""
    source, page = random.Random(0), Image.new("L", (512, 512), 255)
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 512 // rows * 0.9)
    for row in range(rows):
        text = "".join(source.choices("0123456789", k=columns))
        ImageDraw.Draw(page).text((2, row * 512 // rows), text, 0, font)
    return ImageOps.expand(page, MARGIN, 255)


def draw_specks(every: int, size: int) -> Image.Image:
    """Squares at random distances: some touch, and some touch very many."""
    source, page = random.Random(0), Image.new("L", (512, 512), 255)
    for top in range(1, 512 - size, every):
        for left in range(1, 512 - size, every):
            x, y = left + source.randint(-1, 1), top + source.randint(-1, 1)
            page.paste(0, (x, y, x + size, y + size))
    return ImageOps.expand(page, MARGIN, 255)


@pytest.fixture(scope="module", params=["line", "reader"])
def reader(request: pytest.FixtureRequest) -> Reader:
    return Reader(request.param)


def test_a_page_of_300_digits(reader: Reader) -> None:
    page, began = draw_digits(20, 15), time.thread_time()
    assert len(reader.read(page).digits) == 300
    assert time.thread_time() - began < MAX_SECONDS


def test_a_page_of_300_digits_of_which_64_are_expected(reader: Reader) -> None:
    page, began = draw_digits(20, 15), time.thread_time()
    assert reader.read(page, length=64).rejected
    assert time.thread_time() - began < MAX_SECONDS


@pytest.mark.parametrize(("every", "size"), [(4, 3), (8, 6), (10, 8)])
def test_specks(every: int, size: int, reader: Reader) -> None:
    page, began = draw_specks(every, size), time.thread_time()
    with pytest.raises(PictureError, match="crop the picture to the writing"):
        reader.read(page)
    assert time.thread_time() - began < MAX_SECONDS
