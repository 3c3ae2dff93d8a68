"""What an epoch is made of is asked for in shares, and the same for the same seed."""

from dataclasses import replace

import torch

from lenet.data.imageset import ImageSet
from lenet.synthesis.glyphs import VARIANTS
from lenet.training.batches import BANK, gather_images
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES


def test_nothing_is_added_unasked(recipe: Recipe, bars: ImageSet):
    images, labels, bank = gather_images(bars, recipe, 0)
    assert torch.equal(images, bars.images)
    assert torch.equal(labels, bars.labels)
    assert bank.shape == (0, *images.shape[1:])


def test_shares_of_the_images_and_a_seed(digits: ImageSet):
    recipe = replace(
        RECIPES["quick"].override({"reject_class": True}),
        glyph_variants=0.1,
        segmentation_artefacts=0.1,
        negatives=0.1,
    )
    images, labels, bank = gather_images(digits, recipe, 0)
    assert torch.equal(images[: len(digits)], digits.images)
    assert torch.equal(labels[: len(digits)], digits.labels)
    assert len(images) == len(labels)
    assert 1.15 < len(images) / len(digits) < 1.2
    drawn = labels[len(digits) :][: round(0.1 * len(digits)) - 5]
    assert set(drawn.tolist()) == set(VARIANTS)
    assert set(labels[len(digits) + len(drawn) + 10 :].tolist()) == set(range(10))
    assert 0.3 < len(bank) / (BANK * 0.1 * len(digits)) < 1.1
    again, other = (gather_images(digits, recipe, seed) for seed in (0, 1))
    assert all(
        torch.equal(first, second) for first, second in zip(again, (images, labels, bank), strict=True)
    )
    assert not torch.equal(other[0], images)
