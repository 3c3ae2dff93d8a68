"""What an epoch is made of: the images themselves, digits made in addition, and what is no digit."""

import math

import torch
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe

BANK = 2  # pictures of no digit to choose from, for each that an epoch shows


def gather_images(data: ImageSet, recipe: Recipe, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images uint8 (N, 1, H, W) and labels (N,), drawn and badly cut ones at the end, and what is no digit.

    A pure function of its arguments, on the CPU; the bank is empty where the recipe asks for none.
    """
    own, meant = data.images.cpu(), data.labels.cpu()
    every, bank = [(own, meant)], own[:0]
    # What draws takes a quarter of a second to import, which recipes that draw nothing need not wait.
    if recipe.negatives:
        from lenet.synthesis.negatives import make_negatives

        count = math.ceil(BANK * recipe.negatives * len(data))
        bank = make_negatives(own, count, random_stream(seed, "negatives"))
    if recipe.glyph_variants:
        from lenet.synthesis.glyphs import draw_glyphs

        count = round(recipe.glyph_variants * len(data))
        every.append(draw_glyphs(count, own.shape[2:], random_stream(seed, "glyph_variants")))
    if recipe.segmentation_artefacts:
        from lenet.synthesis.segmentation_artefacts import make_segmentation_artefacts

        count = round(recipe.segmentation_artefacts * len(data))
        every.append(
            make_segmentation_artefacts(own, meant, count, random_stream(seed, "segmentation artefacts"))
        )
    images, labels = (torch.cat(parts) for parts in zip(*every, strict=True))
    return images, labels, bank
