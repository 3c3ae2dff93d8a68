"""Drawn digits are what their labels say, in every pen."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from lenet.images.framing import frame_digits
from lenet.models.checkpoint import load_checkpoint
from lenet.models.inference import open_lenet
from lenet.reading.single import average_augmented
from lenet.synthesis.glyphs import SHARES, draw_glyphs, render_strokes
from lenet.synthesis.strokes import FORMS, draw_form

LINE = [np.array([(0.0, 0.0), (0.0, 1.0)])]


def draw(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return draw_glyphs(count, (28, 28), torch.Generator().manual_seed(seed))


def test_as_many_as_asked_for_and_the_same_again() -> None:
    images, labels = draw(200)
    assert images.shape == (200, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.bincount(minlength=10).tolist() == [round(200 * share) for share in SHARES]
    assert all(torch.equal(first, second) for first, second in zip(draw(200), (images, labels), strict=True))
    assert not torch.equal(draw(200, seed=1)[0], images)
    assert len({image.numpy().tobytes() for image in images}) == 200
    assert (images.amax(dim=(1, 2, 3)) > 200).all()


def test_shares_are_shares() -> None:
    assert sum(SHARES) == pytest.approx(1)
    assert min(SHARES) > 0.05


@pytest.mark.parametrize("pen", [0.25, 0.5, 1, 2, 3.3, 5, 12])
def test_a_pen_is_as_wide_as_asked_for(pen: float) -> None:
    ink = render_strokes(LINE, 60, pen, np.random.default_rng(0), pressure=0)
    assert ink.dtype == np.uint8
    assert ink.sum() / 255 / 60 == pytest.approx(pen, rel=0.15, abs=0.05)
    assert abs(len(ink) - 60 - pen) <= 2
    assert ink.any(axis=0).all()  # cut to the ink


def test_pressure_changes_the_width_along_a_stroke() -> None:
    even, uneven = (
        render_strokes(LINE, 100, 8, np.random.default_rng(0), pressure).sum(axis=1, dtype=float)[8:-8] / 255
        for pressure in (0.0, 0.3)
    )
    assert np.ptp(even) <= 1
    assert np.ptp(uneven) >= 2


def test_a_broken_line_has_gaps() -> None:
    whole, broken = (
        render_strokes(LINE, 100, 2, np.random.default_rng(0), broken=share).max(axis=1)[2:-2] > 60
        for share in (0, 0.3)
    )
    assert whole.all()
    assert 0.6 < broken.mean() < 0.9


def test_the_shipped_network_recognises_every_form() -> None:
    network = open_lenet(load_checkpoint("reader"))
    rng = np.random.default_rng(0)
    right: Counter[tuple[int, str]] = Counter()
    for label, forms in FORMS.items():
        for name, (_, text) in forms.items():
            drawings = [render_strokes(draw_form(text, rng), 60, 5, rng) for _ in range(10)]
            images = torch.cat(
                [frame_digits(torch.from_numpy(ink)[None, None].float() / 255) for ink in drawings]
            )
            rows = average_augmented(network, images.numpy())
            right[label, name] = int((rows.argmax(axis=1) == label).sum())
    assert sum(right.values()) > 0.9 * 10 * len(right)
    assert {form for form, count in right.items() if count <= 5} == set()
