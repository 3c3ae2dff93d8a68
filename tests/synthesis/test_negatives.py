"""What is no digit is made the same for the same seed, in the shape of digits, and unlike them."""

import pytest
import torch
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.errors import DataError
from lenet.synthesis.negatives import (
    FONTS,
    LETTERS,
    cut_digits,
    cut_pieces,
    draw_dirt,
    draw_letters,
    draw_lines,
    draw_scribbles,
    extent,
    join_digits,
    load_font,
    make_negatives,
    resemble_digits,
    shift_images,
)

MAKERS = [cut_pieces, join_digits, draw_dirt, draw_letters, draw_scribbles, draw_lines]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def some(digits: ImageSet) -> Tensor:
    """A few digits as floats."""
    return digits.images[:60].float() / 255


def test_the_bank_is_a_pure_function_of_its_seed(digits: ImageSet) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = make_negatives(digits.images, 200, generator())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.dtype == torch.uint8
    assert first.shape[1:] == (1, 28, 28)
    assert 60 < len(first) <= 206
    assert torch.equal(first, make_negatives(digits.images, 200, generator()))
    second = make_negatives(digits.images, 200, generator(1))
    assert first.shape != second.shape or not torch.equal(first, second)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_kind_has_the_shape_of_the_digits(maker, some: Tensor) -> None:
    for images in (some, some[..., :20, :24]):
        made = maker(images, generator())
        assert made.shape[1:] == images.shape[1:]
        assert 0 < len(made) <= len(images)
        assert made.dtype == torch.uint8
        assert len({image.numpy().tobytes() for image in made}) > len(made) / 2


def test_digits_look_like_digits_and_others_do_not(digits: ImageSet, some: Tensor) -> None:
    taken = resemble_digits(digits.images[1000:], digits.images[:1000])
    assert taken.float().mean() > 0.8
    letters = draw_letters(some, generator())
    assert resemble_digits(letters, digits.images).float().mean() < 0.2
    with pytest.raises(DataError, match="nothing was made that is unlike 1,437 images"):
        make_negatives(digits.images, 0, generator())


def test_a_piece_is_less_than_its_digit(some: Tensor) -> None:
    pieces = cut_digits(some, generator())
    assert (pieces <= some).all()
    shares = pieces.sum(dim=(1, 2, 3)) / some.sum(dim=(1, 2, 3))
    assert ((shares == 0) | ((shares > 0.1) & (shares < 0.65))).all()
    assert (shares > 0).any()


def test_moving_is_rolling_without_coming_back(some: Tensor) -> None:
    right, down = torch.tensor([2.0, -3.0]).view(2, 1, 1, 1), torch.tensor([-1.0, 4.0]).view(2, 1, 1, 1)
    first, second = shift_images(some[:2], right, down)[:, 0]
    assert torch.equal(first[:-1, 2:], some[0, 0, 1:, :-2])
    assert torch.equal(second[4:, :-3], some[1, 0, :-4, 3:])
    assert first[-1].sum() + first[:, :2].sum() + second[:4].sum() + second[:, -3:].sum() == 0


def test_the_extent_of_ink() -> None:
    images = torch.zeros(2, 1, 9, 12)
    images[0, 0, 3, 4:8] = 1
    first, last = extent(images)
    assert (int(first[0]), int(last[0])) == (4, 7)


def test_every_font_has_every_letter_and_none_that_may_be_a_digit() -> None:
    assert not set(LETTERS) & set("OoIliZzSsBbqgDGQJj")
    for name in FONTS:
        blank = bytes(load_font(name).getmask("\ufffe"))
        assert all(bytes(load_font(name).getmask(letter)) != blank for letter in LETTERS)
