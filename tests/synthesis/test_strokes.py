"""Forms of digits are read from their notation, and their variants stay digits."""

import numpy as np
import pytest

from lenet.synthesis.strokes import FORMS, draw_form, draw_strokes, measure_spline, parse_form

every_form = pytest.mark.parametrize("text", [text for forms in FORMS.values() for _, text in forms.values()])


def test_every_digit_has_many_forms() -> None:
    assert list(FORMS) == list(range(10))
    assert min(len(forms) for forms in FORMS.values()) >= 9
    assert all(share > 0 for forms in FORMS.values() for share, _ in forms.values())


@every_form
def test_a_variant_stands_on_its_line_and_has_a_digits_width(text: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        strokes = draw_form(text, rng)
        assert all(stroke.ndim == 2 and stroke.shape[1] == 2 and len(stroke) >= 2 for stroke in strokes)
        points = np.concatenate(strokes)
        assert points.min(axis=0) == pytest.approx([0, 0], abs=1e-9)
        assert points[:, 1].max() == pytest.approx(1)
        assert points[:, 0].max() < 2


def test_names_ranges_corners_and_strokes() -> None:
    form = parse_form("s=10:20,0 0,50! s+5:9,50 / s,0 s,100")
    assert form.low.tolist() == [0.1, 0, 0, 0.5, 0.05, 0.5, 0, 0, 0, 1]
    assert (form.high - form.low).round(9).tolist() == [0.1, 0, 0, 0, 0.04, 0, 0, 0, 0, 0]
    assert form.links == ((4, 0), (6, 0), (8, 0))
    assert form.strokes == ((slice(0, 2), slice(1, 3)), (slice(3, 5),))


@pytest.mark.parametrize("text", ["0,0 x", "0,0 1;2,3", "0,0 ,3"])
def test_a_misprint_is_found(text: str) -> None:
    with pytest.raises(ValueError, match="is no coordinate"):
        parse_form(text)


def test_a_smooth_stroke_goes_through_its_points() -> None:
    corners = np.array([(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)])
    curve = measure_spline(3) @ corners
    assert np.hypot(*(curve[:, None] - corners).transpose(2, 0, 1)).min(axis=0) == pytest.approx(0, abs=1e-9)
    assert curve[1:-1, 1].min() > 0


@pytest.mark.parametrize("label", range(10))
def test_the_generator_decides(label: int) -> None:
    first, again, other = (draw_strokes(label, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert len(first) != len(other) or not np.array_equal(first[0], other[0])


def test_an_upright_hand_does_not_lean() -> None:
    text = "0,0 0,100"
    upright, slanted = (
        np.ptp([draw_form(text, np.random.default_rng(seed), slant)[0][-1, 0] for seed in range(50)])
        for slant in (0.0, 0.5)
    )
    assert upright < 0.2 < slanted
