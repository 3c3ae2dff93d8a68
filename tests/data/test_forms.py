"""Drawn digits are what their labels say."""

import numpy as np
import torch
from torch import Tensor

from lenet.data.forms import FORMS, draw_forms, draw_four, draw_one, draw_seven


def draw(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return draw_forms(count, (28, 28), torch.Generator().manual_seed(seed))


def test_as_many_as_asked_for_and_the_same_again() -> None:
    images, labels = draw(200)
    assert images.shape == (200, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.bincount().tolist() == [0, 90, 0, 0, 50, 0, 0, 60]
    assert all(torch.equal(first, second) for first, second in zip(draw(200), (images, labels), strict=True))
    assert not torch.equal(draw(200, seed=1)[0], images)
    assert len({image.numpy().tobytes() for image in images}) == 200
    assert (images.amax(dim=(1, 2, 3)) > 200).all()


def test_a_one_has_its_stem_under_the_tip_and_its_flag_to_the_left() -> None:
    pens = np.random.default_rng(0)
    for _ in range(200):
        flag, tip, foot = draw_one(pens)[0]
        assert flag[0] < -0.05
        assert 0 < flag[1] < 0.85
        assert tip == (0, 0)
        assert abs(foot[0]) < 0.1  # where a 7 leans


def test_a_seven_has_a_level_bar_and_leans() -> None:
    pens = np.random.default_rng(0)
    strokes = [draw_seven(pens) for _ in range(200)]
    for stroke, *bars in strokes:
        start, corner, middle, foot = stroke[-4:]
        assert corner[0] - start[0] > 4 * abs(corner[1] - start[1])
        assert foot[0] < middle[0] < corner[0]
        assert all(bar[0][0] < middle[0] < bar[1][0] for bar in bars)
    assert 0.6 < np.mean([len(parts) == 2 for parts in strokes]) < 0.8


def test_a_four_has_its_stem_between_corner_and_end() -> None:
    pens = np.random.default_rng(0)
    for _ in range(200):
        (_, corner, end), (top, _) = draw_four(pens)
        assert corner[0] < top[0] < end[0]
        assert top[1] < corner[1]


def test_all_forms_are_drawn() -> None:
    assert sum(share for _, share in FORMS.values()) == 1
