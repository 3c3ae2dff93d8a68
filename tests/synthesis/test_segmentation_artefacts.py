"""Badly cut digits are still mostly themselves, and framed as digits are."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.data.imageset import ImageSet
from lenet.synthesis.segmentation_artefacts import (
    MAKERS,
    MIN_OWN_INK,
    RULED,
    add_ligature,
    add_neighbour,
    add_ruled_line,
    cut_end,
    draw_curve,
    make_segmentation_artefacts,
    measure_stroke_widths,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def some(digits: ImageSet) -> Tensor:
    """A few digits as floats, with paper around them."""
    return F.pad(digits.images[:60].float() / 255, (12, 12, 12, 12))


def test_a_pure_function_of_its_seed(digits: ImageSet) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    images, labels = make_segmentation_artefacts(digits.images, digits.labels, 300, generator())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert images.dtype == torch.uint8
    assert images.shape == (len(labels), 1, 28, 28)
    assert 150 < len(labels) <= 300
    again, other = (
        make_segmentation_artefacts(digits.images, digits.labels, 300, generator(seed))[0] for seed in (0, 1)
    )
    assert torch.equal(images, again)
    assert images.shape != other.shape or not torch.equal(images, other)


def test_all_digits_and_those_that_are_joined_more_often(digits: ImageSet) -> None:
    counts = make_segmentation_artefacts(digits.images, digits.labels, 1000, generator())[1].bincount(
        minlength=10
    )
    assert (counts > 20).all()
    assert counts[[0, 9]].min() > counts[[1, 2, 3, 4, 5, 6, 7, 8]].median()


def test_framed_as_digits_are(digits: ImageSet) -> None:
    images, _ = make_segmentation_artefacts(digits.images, digits.labels, 200, generator())
    inked = images > 115
    longest = torch.maximum(inked.any(dim=2).sum(dim=2), inked.any(dim=3).sum(dim=2))
    assert ((longest - 20).abs() <= 4).float().mean() > 0.95


def test_only_what_stays_itself(digits: ImageSet) -> None:
    assert sum(share for _, share, _ in MAKERS) == pytest.approx(1)
    alone = digits.subset(torch.nonzero(digits.labels == 1).flatten())
    assert 1 not in RULED  # with a line above, a 7
    images, labels = make_segmentation_artefacts(alone.images, alone.labels, 100, generator())
    assert len(images) <= 80
    assert set(labels.tolist()) == {1}
    images, labels = make_segmentation_artefacts(digits.images[:0], digits.labels[:0], 100, generator())
    assert len(images) == len(labels) == 0


@pytest.mark.parametrize(
    "maker", [add_ligature, add_ruled_line, add_neighbour], ids=lambda maker: maker.__name__
)
def test_what_is_foreign_comes_on_top(maker, some: Tensor) -> None:
    made = maker(some, generator())
    assert made.shape == some.shape
    assert (made >= some).all()
    assert made.max() <= 1
    added = (made - some).sum(dim=(1, 2, 3))
    assert (added > 1).float().mean() > 0.5


def test_a_tail_begins_in_the_ink_and_goes_out(some: Tensor) -> None:
    added = (add_ligature(some, generator()) - some) > 0.5
    near = F.max_pool2d(some, 5, 1, 2) > 0.45
    assert (added & near).any(dim=3).any(dim=2).float().mean() > 0.6
    assert not (added & (F.max_pool2d(some, 25, 1, 12) == 0)).any()  # 9 pixels away, and half a pen


def test_cut_off_at_one_end(some: Tensor) -> None:
    made = cut_end(some, generator())
    assert ((made == some) | (made == 0)).all()
    kept = made.sum(dim=(1, 2, 3)) / some.sum(dim=(1, 2, 3))
    assert (kept < 1).all()
    assert (kept >= MIN_OWN_INK).float().mean() > 0.2


def test_a_curve_is_a_stroke_of_its_pen() -> None:
    start, middle, end = (torch.tensor([[[x, 8.0]]]) for x in (2.0, 8.0, 14.0))
    drawn = draw_curve(start, middle, end, torch.full((1, 1, 1, 1), 3.0), 17, 17)[0, 0]
    assert (drawn[:, 8] > 0.5).tolist() == [False] * 7 + [True] * 3 + [False] * 7
    assert (drawn[8] > 0.5).tolist() == [False] + [True] * 15 + [False]
    assert 1.5 < float(measure_stroke_widths(drawn[None, None], generator())) < 4
