"""What an epoch is made of is asked for in shares, and the same for the same seed."""

from dataclasses import replace

import torch

from lenet.data.imageset import ImageSet
from lenet.training.batches import BANK, gather_images, make_batch, open_streams
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES


def test_nothing_is_added_unasked(recipe: Recipe, bars: ImageSet):
    gathered = gather_images(bars, recipe, 0)
    assert torch.equal(gathered.images, bars.images)
    assert torch.equal(gathered.labels, bars.labels)
    assert gathered.negatives.shape == (0, *bars.images.shape[1:])


def test_shares_of_the_images_and_a_seed(digits: ImageSet):
    recipe = replace(
        RECIPES["quick"].override({"reject_class": True}),
        glyph_variants=0.1,
        segmentation_artefacts=0.1,
        negatives=0.1,
    )
    gathered = gather_images(digits, recipe, 0)
    images, labels, bank = gathered.images, gathered.labels, gathered.negatives
    assert torch.equal(images[: len(digits)], digits.images)
    assert torch.equal(labels[: len(digits)], digits.labels)
    assert len(images) == len(labels)
    assert 1.15 < len(images) / len(digits) < 1.2
    drawn = labels[len(digits) :][: round(0.1 * len(digits)) - 5]
    assert drawn.tolist() == sorted(drawn.tolist())  # by class, as the drawn ones are
    assert set(labels[len(digits) + len(drawn) + 10 :].tolist()) == set(range(10))
    assert 0.3 < len(bank) / (BANK * 0.1 * len(digits)) < 1.1
    again, other = (gather_images(digits, recipe, seed) for seed in (0, 1))
    assert torch.equal(again.images, images)
    assert torch.equal(again.labels, labels)
    assert torch.equal(again.negatives, bank)
    assert not torch.equal(other.images, images)


def test_a_batch_is_its_images_with_negatives_behind_them(bars: ImageSet, recipe: Recipe):
    recipe = replace(recipe.override({"reject_class": True}), negatives=0.5)
    material = gather_images(bars, recipe, 0)
    indices = torch.tensor([3, 1, 4, 1])
    streams = open_streams(len(bars), recipe, 0, 1, torch.device("cpu"))
    images, labels = make_batch(material, indices, recipe, streams)
    assert torch.equal(images[:4], bars.images[indices])
    assert labels.tolist() == [*bars.labels[indices].tolist(), 3, 3]
    known = {negative.numpy().tobytes() for negative in material.negatives}
    assert all(image.numpy().tobytes() in known for image in images[4:])
    following, _ = make_batch(material, indices, recipe, streams)
    assert not torch.equal(following[4:], images[4:])  # the stream went on


def test_batches_depend_on_nothing_but_seed_and_epoch(bars: ImageSet, recipe: Recipe):
    recipe = recipe.override({"degrees": 20.0})
    material, device = gather_images(bars, recipe, 0), torch.device("cpu")

    def first(seed: int, epoch: int) -> torch.Tensor:
        streams = open_streams(len(bars), recipe, seed, epoch, device)
        return make_batch(material, streams.order[:20], recipe, streams)[0]

    assert torch.equal(first(0, 1), first(0, 1))
    assert not torch.equal(first(0, 1), first(0, 2))
    assert not torch.equal(first(0, 1), first(1, 1))
