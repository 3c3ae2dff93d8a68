"""The chain from a picture to its digits: what it keeps, what it leaves out, what it does not depend on."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw, ImageOps

from lenet.data.datasets import load_digits
from lenet.images.framing import SIDE
from lenet.reading.page import WHITE, to_dark_ink, to_grey
from lenet.reading.reader import Reader
from lenet.reading.reading import Digit
from lenet.reading.strokes import find_otsu_threshold

PICTURES = sorted((Path(__file__).parents[2] / "examples" / "pictures").iterdir())
READER = Reader()


def opened(path: Path) -> Image.Image:
    """An example as opaque upright RGB."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layers = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def look_at(picture: object) -> tuple[np.ndarray, Digit]:
    """The only digit of a picture: the crop that the network saw, and what it was read as."""
    reading, steps = READER.explain(picture, length=1)
    (crop,) = (step.image for step in steps if step.name == "digit")
    (digit,) = reading.digits
    return crop, digit


def crop_of(picture: object) -> np.ndarray:
    return look_at(picture)[0]


def box_of(picture: object) -> tuple[int, int, int, int]:
    return look_at(picture)[1].box


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """How much of the ink differs between two crops, 0..1."""
    apart = np.abs(one.astype(float) - other.astype(float)).sum()
    return float(apart / (one.sum(dtype=float) + other.sum(dtype=float)))


def mnist_like(digit: Image.Image) -> np.ndarray:
    """White on black, the longest side 20 pixels, the centre of mass at pixel 14, by whole pixels."""
    box = np.asarray(digit.resize((14, 20), Image.Resampling.BOX))
    mass = box / box.sum()
    left, top = (round(14 - float(mass.sum(axis=axis) @ np.arange(box.shape[1 - axis]))) for axis in (0, 1))
    image = np.zeros((28, 28), dtype=np.uint8)
    image[top : top + 20, left : left + 14] = box
    return image


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_crops_are_made_as_mnist_images_are(path: Path) -> None:
    crop = crop_of(path)
    assert crop.shape == (SIDE, SIDE)
    assert crop.dtype == np.uint8
    assert crop.max() > 240
    rows, columns = np.nonzero(crop > 110)
    assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    mass = crop / crop.sum()
    assert abs(mass.sum(axis=1) @ np.arange(28) - 14) < 0.5
    assert abs(mass.sum(axis=0) @ np.arange(28) - 14) < 0.5


def test_mnist_images_are_not_touched() -> None:
    drawn = Image.new("L", (140, 200))
    ImageDraw.Draw(drawn).line([(10, 20), (120, 20), (60, 190)], fill=255, width=24)
    image = mnist_like(drawn)
    assert np.array_equal(crop_of(image), image)
    assert np.array_equal(crop_of(255 - image), image)


def test_images_of_the_bundled_digits_survive() -> None:
    images = load_digits()[0][:100, 0].numpy()
    assert np.mean([difference(crop_of(image), image) for image in images]) < 0.25


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
class TestInvariance:
    def test_inverted(self, path: Path) -> None:
        image = opened(path)
        # Dark ink is divided by its paper; so is light ink, once turned round.
        assert difference(crop_of(image), crop_of(ImageOps.invert(image))) < 0.02

    def test_channels_swapped(self, path: Path) -> None:
        pixels = np.asarray(opened(path))
        assert difference(crop_of(pixels), crop_of(pixels[:, :, ::-1])) < 0.02

    @pytest.mark.parametrize("factor", [0.3, 0.5, 2, 4])
    def test_scaled(self, path: Path, factor: float) -> None:
        image = opened(path)
        if "off-centre" in path.name and factor < 0.5:
            pytest.skip("18 pixels high: the holes of this 8 are gone")
        scaled = ImageOps.scale(image, factor)
        assert difference(crop_of(image), crop_of(scaled)) < (0.16 if factor < 0.5 else 0.1)

    @pytest.mark.parametrize("frame", ["white", "black", (90, 110, 220), (250, 40, 40)])
    @pytest.mark.parametrize("width", [6, 80])
    def test_framed(self, path: Path, frame: object, width: int) -> None:
        image = opened(path)
        assert difference(crop_of(image), crop_of(ImageOps.expand(image, width, frame))) < 0.1

    def test_box_is_in_the_pixels_of_the_upright_picture(self, path: Path) -> None:
        image = opened(path)
        large = ImageOps.scale(image, 3)
        left, top, width, height = box_of(image)
        assert left >= 0
        assert top >= 0
        assert left + width <= image.width
        assert top + height <= image.height
        tripled = np.array(box_of(large))
        assert np.abs(tripled - 3 * np.array([left, top, width, height])).max() <= 8


def test_moved_ink_gives_the_same_crop_and_a_moved_box() -> None:
    page = Image.new("L", (300, 300), 255)
    ink = opened(PICTURES[7]).convert("L").resize((90, 120))
    crops = []
    for place in [(0, 0), (200, 10), (100, 90), (205, 175)]:
        here = page.copy()
        here.paste(ink, place)
        crop, digit = look_at(here)
        crops.append((crop, digit.box[0] - place[0], digit.box[1] - place[1], *digit.box[2:]))
    for image, *box in crops[1:]:
        assert difference(image, crops[0][0]) < 0.01
        assert box == list(crops[0][1:])


@pytest.mark.parametrize("level", [0, 1, 100, 254, 255])
@pytest.mark.parametrize("size", [(1, 1), (28, 28), (640, 2), (200, 300)])
def test_plain_pictures_hold_no_ink(level: int, size: tuple[int, int]) -> None:
    assert READER.read(Image.new("L", size, level)).text == ""


@pytest.mark.parametrize("seed", range(4))
def test_paper_with_grain_and_uneven_light_holds_no_ink(seed: int) -> None:
    random = np.random.default_rng(seed)
    light = np.linspace(0.5, 1, 320)[None, :] * np.linspace(0.9, 1, 240)[:, None]
    paper = 225 * light + random.normal(0, 3, (240, 320))
    assert READER.read(paper.clip(0, 255)).text == ""
    assert READER.read((255 - paper).clip(0, 255)).text == ""


def test_dust_and_things_at_the_edge_are_left_out() -> None:
    image = opened(PICTURES[7])
    clean, place = look_at(image)
    brush = ImageDraw.Draw(image)
    brush.rectangle((0, 300, 240, 320), fill=(20, 20, 20))  # the table below the sheet
    brush.rectangle((0, 0, 5, 320), fill=(60, 50, 40))  # its shadow on the left
    brush.line((0, 20, 240, 22), fill=(150, 150, 220), width=2)  # a ruled line
    for x, y in [(30, 280), (215, 45), (220, 250)]:
        brush.ellipse((x, y, x + 3, y + 3), fill=(0, 0, 0))
    crop, digit = look_at(image)
    assert digit.box == place.box
    assert difference(crop, clean) < 0.05


def test_a_stroke_beside_the_others_belongs_to_the_digit() -> None:
    image = Image.new("L", (200, 200), 255)
    brush = ImageDraw.Draw(image)
    brush.line([(80, 60), (75, 100), (120, 110), (110, 160), (75, 160)], fill=0, width=8)
    brush.line([(92, 56), (130, 50)], fill=0, width=8)  # the roof of the 5, not touching
    left, top, width, height = box_of(image)
    assert top <= 50
    assert left + width >= 128
    assert height >= 110


def test_a_nought_drawn_as_a_box_is_no_frame() -> None:
    image = Image.new("L", (120, 120), 255)
    ImageDraw.Draw(image).rectangle((40, 25, 80, 95), outline=0, width=7)
    crop = crop_of(image)
    assert crop[14, 14] == 0
    assert crop[14].max() > 200


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_straight_upright_stroke_fills_its_box(width: int) -> None:
    page = np.full((28, 28), 255, dtype=np.uint8)
    page[3:25, 12 : 12 + width] = 0
    assert box_of(page) == (12, 3, width, 22)


def test_faint_and_heavy_pens_end_with_like_strokes() -> None:
    shares = []
    for width in (2, 6, 14, 40):
        image = Image.new("L", (300, 300), 255)
        ImageDraw.Draw(image).arc((60, 60, 240, 240), 20, 340, fill=90, width=width)
        shares.append(float((crop_of(image) > 110).mean()))
    assert max(shares) < 2.5 * min(shares)  # of lines twenty times as wide


@pytest.mark.parametrize(("pen", "rest"), [(200, 60), (210, 90), (218, 120)])
def test_strokes_of_a_pixel_hold_together_where_the_pen_rested(pen: int, rest: int) -> None:
    page = np.full((28, 28), 255, dtype=np.uint8)
    page[4, 9:19] = page[4:24, 18] = pen  # a 7
    page[13:15, 18] = rest
    assert box_of(page) == (9, 4, 10, 20)


def test_equally_bright_colours_are_told_apart() -> None:
    pixels = np.full((60, 60, 3), (100, 140, 100), dtype=np.uint8)
    pixels[15:45, 27:33] = (170, 103, 110)
    assert abs(int(Image.fromarray(pixels).convert("L").getextrema()[1]) - 123) < 6
    grey, _ = to_grey(pixels)
    assert np.ptp(grey) > 0.1
    assert box_of(pixels) == (27, 15, 6, 30)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
@settings(max_examples=150, deadline=None)
def test_any_pixels_give_sound_readings(pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    reading, steps = READER.explain(pixels)
    for step in steps:
        assert step.name != "digit" or step.image.shape == (28, 28)
    for digit in reading.digits:
        left, top, across, down = digit.box
        assert min(left, top) >= 0
        assert left + across <= width
        assert top + down <= height
    assert len(steps) >= 6


@given(arrays.arrays(np.uint8, (12, 9, 3)))
@settings(max_examples=60, deadline=None)
def test_grey_of_the_inverse_is_the_inverse(pixels: np.ndarray) -> None:
    assert np.array_equal(to_grey(255 - pixels)[0], WHITE - to_grey(pixels)[0])


def test_steps_tell_their_reasons() -> None:
    _, steps = READER.explain(PICTURES[5])
    assert [step.name for step in steps] == [
        "decoded",
        "grey",
        "polarity",
        "flattened",
        "ink",
        "line",
        "digits",
        "digit",
    ]
    for step in steps:
        assert step.image.dtype == np.uint8
        assert step.image.ndim in (2, 3)
        assert step.reason
        assert "\n" not in step.reason
    assert "light ink" in steps[2].reason
    assert steps[0].image.shape[:2] == steps[1].image.shape


def test_polarity_follows_the_paper_around_not_its_brightness() -> None:
    page = np.tile(np.linspace(0.2, 1, 100, dtype=np.float32), (100, 1))
    page[30:70, 48:52] += 0.15  # lighter than its paper, darker than the bright side
    assert to_dark_ink(page)[1].startswith("light ink")
    page[30:70, 48:52] -= 0.3
    assert to_dark_ink(page)[1].startswith("dark ink")


def test_otsu_parts_two_heaps() -> None:
    random = np.random.default_rng(0)
    heaps = np.concatenate([random.normal(0.2, 0.03, 5000), random.normal(0.8, 0.05, 300)])
    counts, _ = np.histogram(heaps, bins=100, range=(0, 1))
    assert 28 < find_otsu_threshold(counts) < 70
