"""Characters drawn from a font that every machine with the package has: matplotlib's DejaVu Sans."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from scipy.ndimage import label

from lenet.data.fonts import describe_fonts, list_fonts
from lenet.errors import DataError
from lenet.synthesis.font_glyphs import Pen, Typeface, choose_pen, draw_character, open_typeface

DEJAVU = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@pytest.fixture(scope="module")
def typeface() -> Typeface:
    return Typeface(DEJAVU.read_bytes(), "DejaVu")


class Steady:
    """A random generator whose normal deviates are 0: the pen as it is given."""

    def normal(self, _mean: float, deviations: tuple[float, ...]) -> np.ndarray:
        return np.zeros(len(deviations))


STEADY: np.random.Generator = Steady()  # type: ignore[assignment]


def holes(ink: np.ndarray) -> int:
    """The number of areas of paper that ink encloses; a corner of a few pixels may close off."""
    areas, _ = label(np.pad(ink, 1) < 0.5)
    return int((np.bincount(areas.ravel())[1:] > 5).sum()) - 1


@pytest.mark.parametrize("height", [12, 32, 96])
def test_a_character_is_cut_to_its_ink(typeface: Typeface, height: int) -> None:
    rng = np.random.default_rng(1)
    for character in "0123456789.,-=#$/*":
        ink = draw_character(typeface, character, height, rng)
        assert ink.dtype == np.float32
        assert 0 <= ink.min() <= ink.max() <= 1
        assert min(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max()) > 0


def test_digits_have_the_height_asked_for_and_points_are_small(typeface: Typeface) -> None:
    plain = Pen()
    for digit in "0123456789":
        assert abs(draw_character(typeface, digit, 40, STEADY, plain).shape[0] - 40) <= 2
    assert draw_character(typeface, ".", 40, STEADY, plain).shape[0] < 12
    assert draw_character(typeface, "-", 40, STEADY, plain).shape[0] < 12


def test_rise_places_characters_on_the_line(typeface: Typeface) -> None:
    rise = {character: typeface.find_shape(character).rise for character in "1.,-g"}
    assert abs(rise["1"]) < 0.02
    assert abs(rise["."]) < 0.02
    assert rise[","] < -0.05
    assert 0.2 < rise["-"] < 0.5
    assert rise["g"] < -0.2


def test_drawing_is_deterministic(typeface: Typeface) -> None:
    again = Typeface(DEJAVU.read_bytes())
    for seed in range(5):
        first, second, third = (
            draw_character(face, "8", 28, np.random.default_rng(number))
            for face, number in ((typeface, seed), (again, seed), (typeface, seed + 100))
        )
        assert np.array_equal(first, second)
        assert not np.array_equal(first, third)
    assert choose_pen(np.random.default_rng(3)) == choose_pen(np.random.default_rng(3))


def test_what_is_drawn_is_the_character(typeface: Typeface) -> None:
    """The topology of every digit survives every pen."""
    rng = np.random.default_rng(0)
    for digit, expected in zip("0123456789", (1, 0, 0, 0, 1, 0, 1, 0, 2, 1), strict=True):
        assert [holes(draw_character(typeface, digit, 48, rng)) for _ in range(20)] == [expected] * 20


def test_pen_slant_and_stretch(typeface: Typeface) -> None:
    plain = draw_character(typeface, "1", 64, STEADY, Pen())
    ink = {width: draw_character(typeface, "0", 64, STEADY, Pen(width)).sum() for width in (0.08, 0.12, 0.2)}
    assert ink[0.08] < ink[0.12] < ink[0.2]
    stretched = draw_character(typeface, "1", 64, STEADY, Pen(stretch=1.25))
    assert abs(stretched.shape[1] / plain.shape[1] - 1.25) < 0.05
    rows = np.arange(64) / 63
    for slant in (-0.25, 0.25):
        leaning = draw_character(typeface, "/", 64, STEADY, replace(Pen(), slant=slant))
        upright = draw_character(typeface, "/", 64, STEADY, Pen())
        centres = [
            (each[:64] * np.arange(each.shape[1])).sum(axis=1) / each[:64].sum(axis=1)
            for each in (leaning, upright)
        ]
        slopes = [np.polyfit(rows[10:-10], centre[10:-10], 1)[0] / 64 for centre in centres]
        assert slopes[0] - slopes[1] == pytest.approx(-slant, abs=0.03)


def test_a_thin_stroke_is_no_thinner_than_what_can_be_seen(typeface: Typeface) -> None:
    assert draw_character(typeface, ".", 2, STEADY, Pen(0.01)).size >= 1
    assert draw_character(typeface, "1", 12, STEADY, Pen(0.01)).max() > 0.5


@pytest.mark.parametrize("character", ["\u4e00", " ", "\ufffe"])
def test_a_character_that_the_font_lacks(typeface: Typeface, character: str) -> None:
    with pytest.raises(DataError, match="DejaVu: the font has no"):
        draw_character(typeface, character, 32, np.random.default_rng(0))


@pytest.mark.parametrize("content", [b"", b"wOF2" + bytes(100), DEJAVU.read_bytes()[:2000]])
def test_no_font(content: bytes) -> None:
    with pytest.raises(DataError, match="broken: not a font") as caught:
        Typeface(content, "broken")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    describe_fonts().found == "missing", reason="neither LENET_DATA nor the cache has the fonts"
)
def test_every_font_of_the_table_draws_every_character() -> None:
    """All but those that the table says it omits; and the digits are ten different ones."""
    for name, font in list_fonts().items():
        typeface = open_typeface(name)
        for character in set("0123456789.,-=#$/*+€£xk") - set(font.omits):
            assert draw_character(typeface, character, 32, STEADY, Pen()).max() > 0.5
        drawn = {draw_character(typeface, digit, 32, STEADY, Pen()).tobytes() for digit in "0123456789"}
        assert len(drawn) == 10
