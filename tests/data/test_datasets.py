"""ImageSet, splits, and the named data sets."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.data.datasets import enlarge_digit, load, load_digits
from lenet.data.imageset import ImageSet, split_stratified
from lenet.errors import DataError


def needs(name: str) -> pytest.MarkDecorator:
    here = Path(os.environ.get("LENET_DATA", "nowhere"), name).is_dir()
    return pytest.mark.skipif(not here, reason=f"LENET_DATA holds no {name}")


def images(count: int = 3) -> torch.Tensor:
    return torch.arange(count * 784, dtype=torch.int64).view(count, 1, 28, 28).to(torch.uint8)


def test_subset_keeps_what_belongs_together() -> None:
    whole = ImageSet(images(), torch.tensor([1, 0, 1]), ("a", "b"), "mine", flips=True)
    part = whole.subset(torch.tensor([2, 0]))
    assert len(whole) == 3
    assert len(part) == 2
    assert torch.equal(part.images, whole.images[[2, 0]])
    assert (part.classes, part.name, part.flips) == (("a", "b"), "mine", True)
    with pytest.raises(AttributeError):
        part.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (images().float(), torch.tensor([0, 0, 1])),
        (images()[:, 0], torch.tensor([0, 0, 1])),
        (images().expand(3, 2, 28, 28), torch.tensor([0, 0, 1])),
        (images(), torch.tensor([0, 1])),
        (images(), torch.tensor([0, 1, 1], dtype=torch.uint8)),
        (images(), torch.tensor([0, 1, 2])),
        (images(), torch.tensor([0, -1, 1])),
        (images()[:0], torch.tensor([], dtype=torch.int64)),
        (images()[:, :, :0], torch.tensor([0, 0, 1])),
    ],
)
def test_parts_that_do_not_fit(pixels: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(DataError, match="mine: ") as caught:
        ImageSet(pixels, labels, ("a", "b"), "mine")
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=200), st.data(), st.integers(0, 2**32))
def test_split_is_exact_disjoint_repeatable_and_in_proportion(
    numbers: list[int], data: st.DataObject, seed: int
) -> None:
    labels = torch.tensor(numbers)
    count = data.draw(st.integers(1, len(numbers) - 1))
    rest, held_out = split_stratified(labels, count, seed)
    assert len(held_out) == count
    assert sorted(rest.tolist() + held_out.tolist()) == list(range(len(numbers)))
    assert rest.tolist() == sorted(rest.tolist())
    for label, size in enumerate(labels.bincount().tolist()):
        share = size * count / len(numbers)
        assert abs(int((labels[held_out] == label).sum()) - share) < 1
    again = split_stratified(labels, count, seed)
    assert torch.equal(again[0], rest)
    assert torch.equal(again[1], held_out)


def test_split_depends_on_the_seed_only() -> None:
    labels = torch.arange(1000) % 10
    state = torch.random.get_rng_state()
    first, second = split_stratified(labels, 100, 0)[1], split_stratified(labels, 100, 1)[1]
    assert not torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("count", [-1, 0, 10, 11])
def test_split_must_leave_both_sides_something(count: int) -> None:
    with pytest.raises(DataError, match="cannot hold out"):
        split_stratified(torch.arange(10), count, 0)


def test_digits() -> None:
    train, test = load("digits", "train"), load("digits", "test")
    assert train.images.shape == (1437, 1, 28, 28)
    assert test.images.shape == (360, 1, 28, 28)
    assert train.classes == test.classes == tuple("0123456789")
    assert not train.flips
    assert (train.labels.bincount() + test.labels.bincount()).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert test.labels.bincount().min() >= 34


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits as load_bundled

    bundled = load_bundled()
    images, labels = load_digits()
    assert labels.tolist() == bundled.target.tolist()
    for blocks, image in zip(bundled.images, images, strict=True):
        assert (enlarge_digit(blocks) == image[0].numpy()).all()


def test_digits_that_are_changed_in_place_are_loaded_as_they_were() -> None:
    before = load("digits", "test").images.sum()
    for images in (load("digits", "train").images, load("digits", "test").images, load_digits()[0]):
        images.zero_()
    for labels in (load("digits", "test").labels, load_digits()[1]):
        labels.zero_()
    assert load("digits", "test").images.sum() == before
    assert load("digits", "test").labels.bincount().min() >= 34
    assert load_digits()[1].bincount().min() == 174


def test_digits_lie_as_those_of_mnist_do() -> None:
    pixels = load("digits", "train").images[:, 0].double()
    mass = pixels.sum((1, 2))
    for axis in (1, 2):
        centre = (pixels.sum(3 - axis) * torch.arange(28)).sum(1) / mass
        # Moved by whole pixels, so at most half a pixel off; a few lose a little at the edge.
        assert (centre - 13.5).abs().max() < 0.75
    ink = pixels > 127
    heights, widths = ink.any(2).sum(1).double(), ink.any(1).sum(1).double()
    # MNIST's own: 19.6 high and 15.5 wide on average.
    assert 19 <= heights.mean() <= 20.5
    assert 15 <= widths.mean() <= 16.5
    assert pixels.max() == 255


@needs("mnist")
def test_mnist_is_the_one_published() -> None:
    train, test = load("mnist", "train"), load("mnist", "test")
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The pixel statistics that every tutorial quotes.
    pixels = train.images.double() / 255
    assert float(pixels.mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(pixels.std()) == pytest.approx(0.3081, abs=5e-5)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert not train.flips


@needs("fashion-mnist")
def test_fashion_mnist() -> None:
    train = load("fashion-mnist", "train")
    assert train.labels.bincount().tolist() == [6000] * 10
    assert train.classes[9] == "Ankle boot"
    assert train.labels[0] == 9
    assert train.flips
    assert float((train.images.double() / 255).mean()) == pytest.approx(0.2860, abs=5e-5)


@pytest.mark.parametrize("split", ["dev", "", "Train"])
def test_unknown_split(split: str) -> None:
    with pytest.raises(DataError, match="choose train or test"):
        load("digits", split)  # type: ignore[arg-type]
