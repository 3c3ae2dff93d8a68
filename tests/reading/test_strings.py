"""Strings of digits, composed of digits whose labels are known, are read; so are single digits."""

import os
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lenet.data.datasets import load, load_digits
from lenet.errors import PictureError
from lenet.models.stored import find_checkpoint
from lenet.reading.reader import Reader

Picture = NDArray[np.uint8]
Writer = Callable[[str], Picture]
SPACINGS = {"apart": (3, 9), "close": (0, 4), "touching": (-3, 1)}  # pixels between digits of 20 pixels
ZOOM = 3


def compose(images: Iterable[Picture], random: np.random.Generator, spacing: str = "apart") -> Picture:
    """Dark digits in a row on light paper (h, w), three times the size of `images` (28, 28), white on black.

    Each stands a little higher or lower than the one before. Where a spacing is negative, digits overlap.
    """
    images = list(images)
    canvas = np.zeros((28 + 20, 40 + 32 * len(images)), np.uint8)
    right = 10
    for number, image in enumerate(images):
        columns = np.flatnonzero((image > 100).any(axis=0))
        gap = int(random.integers(*SPACINGS[spacing], endpoint=True)) if number else 0
        left = right + gap - int(columns[0])
        top = 10 + int(random.integers(-2, 3))
        here = canvas[top : top + 28, max(0, left) : left + 28]
        np.maximum(here, image[:, max(0, -left) :], out=here)
        right = left + int(columns[-1]) + 1
    paper = 235 - 0.8 * canvas[:, : right + 10].astype(np.float64).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    grain = random.normal(0, 3, paper.shape)
    return (paper + grain).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["line", "reader"])
def reader(request: pytest.FixtureRequest) -> Reader:
    """The line network alone, and with a LeNet that names the digits it finds."""
    return Reader(find_checkpoint(request.param))


@pytest.fixture(scope="module")
def clear() -> dict[str, list[Picture]]:
    """Of the digits that come with scikit-learn, those that are read surely, alone on paper."""
    reader = Reader()
    images, labels = load_digits()
    found: dict[str, list[Picture]] = {str(digit): [] for digit in range(10)}
    random = np.random.default_rng(0)
    readings = reader.read_many(compose([image], random) for image in images[:400, 0].numpy())
    for image, label, reading in zip(images[:, 0].numpy(), labels.tolist(), readings, strict=False):
        if reading.text == str(label) and reading.confidence > 0.9:
            found[str(label)].append(image)
    return found


@pytest.fixture
def write(clear: dict[str, list[Picture]]) -> Callable[..., Picture]:
    """Writes a text as a picture, by the hands of several people."""

    def write(text: str, spacing: str = "apart", seed: int = 0) -> Picture:
        random = np.random.default_rng(seed)
        images = [clear[sign][random.integers(len(clear[sign]))] for sign in text]
        return compose(images, random, spacing)

    return write


def draw_texts(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(map(str, random.integers(0, 10, random.integers(2, 8)))) for _ in range(count)]


@pytest.mark.parametrize(("spacing", "share"), [("apart", 0.8), ("close", 0.8), ("touching", 0.5)])
def test_strings_of_clear_digits_are_read(
    reader: Reader, write: Callable[..., Picture], spacing: str, share: float
) -> None:
    texts = draw_texts(60, seed=1)
    readings = reader.read_many(write(text, spacing, seed) for seed, text in enumerate(texts))
    right = [reading.text == text for reading, text in zip(readings, texts, strict=True)]
    assert np.mean(right) >= share


@pytest.mark.skipif("LENET_DATA" not in os.environ, reason="MNIST is not here")
def test_strings_of_mnist_test_digits_are_read(reader: Reader) -> None:
    data = load("mnist", "test")
    images, labels = data.images[:, 0].numpy(), data.labels.numpy()
    random = np.random.default_rng(3)
    right = []
    for _ in range(40):
        chosen = random.integers(len(images), size=4)
        reading = reader.read(compose(images[chosen], random))
        right.append(reading.text == "".join(map(str, labels[chosen])))
    assert np.mean(right) >= 0.85


def test_boxes_stand_in_reading_order_around_their_digits(
    reader: Reader, write: Callable[..., Picture]
) -> None:
    picture = write("2038")
    reading = reader.read(picture)
    assert reading.text == "2038"
    for before, after in zip(reading.digits, reading.digits[1:], strict=False):
        assert before.box[0] + before.box[2] <= after.box[0] + 3
    for digit in reading.digits:
        left, top, width, height = digit.box
        assert (picture[top : top + height, left : left + width] < 150).any()
        assert 30 < height < 75
    assert 0 < reading.confidence <= min(digit.probability for digit in reading.digits)


def test_lines_are_read_from_top_to_bottom(reader: Reader, write: Callable[..., Picture]) -> None:
    above, below = write("2603", seed=2), write("508", seed=3)
    page = np.full((420, 500), 235, np.uint8)
    page[20 : 20 + above.shape[0], 20 : 20 + above.shape[1]] = above
    page[220 : 220 + below.shape[0], 60 : 60 + below.shape[1]] = below
    assert reader.read(page).text == "2603508"


def test_a_known_length_decides_between_readings(reader: Reader, write: Callable[..., Picture]) -> None:
    picture = write("2038")
    assert reader.read(picture, length=4).text == "2038"
    for length in (2, 9):
        reading = reader.read(picture, length=length)
        assert reading.rejected
        assert str(length) in reading.reason
        assert len(reading.digits) in (0, length)


def test_a_pattern_gives_the_text_its_signs(reader: Reader, write: Callable[..., Picture]) -> None:
    picture = write("203860514")
    assert reader.read(picture).text == reader.read(picture, length=9).text == "203860514"
    assert reader.read(picture, pattern="#####-####").text == "20386-0514"


def test_an_amount_is_its_digits_alone(reader: Reader, write: Callable[..., Picture]) -> None:
    digits = write("2600")
    picture = np.full((digits.shape[0], digits.shape[1] + 140), 235, np.uint8)
    picture[:, : digits.shape[1]] = digits
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    right = digits.shape[1]
    pen.ellipse((right - 8, 95, right, 103), fill=40)
    pen.line((right + 30, 75, right + 110, 72), fill=40, width=7)
    assert reader.read(image, amount=True).text == "2600"


def test_a_comma_is_no_1(reader: Reader, write: Callable[..., Picture]) -> None:
    before, after = write("26", seed=3), write("053", seed=4)
    height = max(before.shape[0], after.shape[0])
    for lean in (4, 8, 12):
        picture = np.full((height + 30, before.shape[1] + after.shape[1]), 235, np.uint8)
        picture[: before.shape[0], : before.shape[1]] = before
        picture[: after.shape[0], before.shape[1] :] = after
        image = Image.fromarray(picture)
        x, y = before.shape[1], 92
        ImageDraw.Draw(image).line((x, y, x - lean, y + 26), fill=30, width=7)
        assert reader.read(image).text == "26053"


@pytest.mark.parametrize(
    "known",
    [
        {"length": 0},
        {"length": 65},
        {"pattern": ""},
        {"pattern": "ab"},
        {"pattern": "#1#"},
        {"pattern": "#\n#"},
        {"pattern": "###", "length": 4},
        {"pattern": "###", "amount": True},
    ],
    ids=str,
)
def test_what_cannot_be_known_is_told_in_one_line(reader: Reader, known: dict[str, object]) -> None:
    with pytest.raises(PictureError) as caught:
        reader.read(np.zeros((9, 9), np.uint8), **known)
    assert "\n" not in str(caught.value)


def test_a_digit_in_two_strokes_is_one_digit(reader: Reader) -> None:
    image = Image.new("L", (120, 160), 250)
    pen = ImageDraw.Draw(image)
    pen.line([(30, 20), (22, 90), (92, 90)], fill=20, width=9, joint="curve")
    pen.line([(72, 50), (70, 140)], fill=20, width=9)
    assert reader.read(image).text == "4"
    bar = Image.new("L", (140, 180), 250)
    pen = ImageDraw.Draw(bar)
    pen.line([(40, 30), (36, 80)], fill=20, width=9)
    pen.arc((20, 70, 100, 160), 230, 130, fill=20, width=9)
    pen.line([(52, 22), (104, 20)], fill=20, width=9)
    assert len(reader.read(bar).digits) == 1


@pytest.mark.parametrize("picture", [np.full((40, 90), 250, np.uint8), np.zeros((3, 3), np.uint8)], ids=str)
def test_without_ink_nothing_is_read(reader: Reader, picture: Picture) -> None:
    for known in ({}, {"length": 5}, {"pattern": "##-##"}, {"amount": True}):
        reading = reader.read(picture, **known)
        assert (reading.text, reading.confidence, reading.rejected) == ("", 0, True)


def test_reading_twice_is_reading_alike(reader: Reader, write: Callable[..., Picture]) -> None:
    picture = write("5120347", "touching", seed=4)
    assert reader.read(picture) == reader.read(picture) == reader.read_many([picture, picture])[1]


def test_the_steps_show_lines_and_digits(reader: Reader, write: Callable[..., Picture]) -> None:
    picture = write("2038")
    reading, steps = reader.explain(picture)
    assert reading == reader.read(picture)
    names = [step.name for step in steps]
    assert names[:5] == ["decoded", "grey", "polarity", "flattened", "ink"]
    assert names[5:] == ["line", "digits", *["digit"] * 4]
    coloured = steps[6].image
    assert coloured.shape == (*picture.shape, 3)
    assert len(np.unique(coloured.reshape(-1, 3), axis=0)) == 5  # paper, and four digits
