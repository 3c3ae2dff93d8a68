"""Drawn digits are what their labels say."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lenet.synthesis.glyphs import (
    VARIANTS,
    bend_stroke,
    draw_four,
    draw_glyphs,
    draw_nine,
    draw_one,
    draw_seven,
    draw_two,
    draw_zero,
)


def draw(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return draw_glyphs(count, (28, 28), torch.Generator().manual_seed(seed))


def test_as_many_as_asked_for_and_the_same_again() -> None:
    images, labels = draw(200)
    assert images.shape == (200, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.bincount(minlength=10).tolist() == [
        round(200 * VARIANTS[k][1]) if k in VARIANTS else 0 for k in range(10)
    ]
    assert all(torch.equal(first, second) for first, second in zip(draw(200), (images, labels), strict=True))
    assert not torch.equal(draw(200, seed=1)[0], images)
    assert len({image.numpy().tobytes() for image in images}) == 200
    assert (images.amax(dim=(1, 2, 3)) > 200).all()


def test_a_smooth_stroke_goes_through_its_points() -> None:
    corners = [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]
    stroke = bend_stroke(corners, np.random.default_rng(0), jitter=0)
    assert stroke[0] == pytest.approx(corners[0], abs=1e-9)
    assert stroke[-1] == pytest.approx(corners[-1], abs=1e-9)
    assert max(y for _, y in stroke) == pytest.approx(1, abs=0.02)
    assert bend_stroke(corners, np.random.default_rng(0)) != stroke


def test_a_zero_goes_around_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        oval, *bars = draw_zero(rng)
        angles = np.unwrap([np.arctan2(0.5 - y, x - 0.5) for x, y in oval])
        assert 1.5 * np.pi < np.ptp(angles) < 2.5 * np.pi
        assert np.hypot(*(np.array(oval) - 0.5).T).min() > 0.1  # nothing but a bar goes through
        assert len(bars) <= 1


def test_a_one_has_its_stem_under_the_tip_and_its_flag_to_the_left() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        (flag, *_, tip, foot), *base = draw_one(rng)
        assert flag[0] < -0.05
        assert 0 < flag[1] < 0.95
        assert tip == pytest.approx((0, 0), abs=1e-9)
        assert -0.1 < foot[0] < 0.13  # where a 7 leans to the left
        assert len(base) <= 1


def test_a_two_ends_on_the_right_at_its_foot() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        (stroke,) = draw_two(rng)
        across, down = np.array(stroke).T
        assert down.argmin() < len(down) / 2 < down.argmax()
        assert across[-1] > across[: len(across) // 3].mean()
        assert down[-1] > 0.8


def test_a_seven_has_a_bar_on_top_leans_and_is_crossed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        stroke, (left, right) = draw_seven(rng)
        points = np.array(stroke)
        corner = points[points[:, 0].argmax()]
        assert corner[1] < 0.45
        assert tuple(stroke[-1]) == tuple(points[points[:, 1].argmax()])
        assert stroke[-1][0] < corner[0]
        assert left[0] < right[0]
        assert 0.2 < right[1] <= left[1] + 0.15 < 0.95


def test_a_four_has_its_stem_right_of_its_corner() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        bent, (top, foot) = draw_four(rng)
        assert min(x for x, _ in bent) < top[0]
        assert top[1] < max(y for _, y in bent) < foot[1]


def test_a_nine_has_a_loop_on_top_and_one_tail() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        points = np.array([point for stroke in draw_nine(rng) for point in stroke])
        above, below = points[points[:, 1] < 0.4], points[points[:, 1] > 0.7]
        assert np.ptp(above[:, 0]) > 0.3
        assert np.ptp(below[:, 0]) < 0.45
        assert points[-1][1] == pytest.approx(1, abs=0.1)


def test_all_forms_are_drawn() -> None:
    assert sum(share for _, share in VARIANTS.values()) == pytest.approx(1)
