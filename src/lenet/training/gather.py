"""What an epoch is made of: the images themselves, digits made in addition, and what is no digit."""

import math

import torch
from torch import Tensor

from lenet.data.datasets import ImageSet
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
    if recipe.not_digits:
        from lenet.data.not_digits import make_not_digits

        count = math.ceil(BANK * recipe.not_digits * len(data))
        bank = make_not_digits(own, count, random_stream(seed, "not digits"))
    if recipe.forms:
        from lenet.data.forms import draw_forms

        count = round(recipe.forms * len(data))
        every.append(draw_forms(count, own.shape[2:], random_stream(seed, "forms")))
    if recipe.badly_cut:
        from lenet.data.badly_cut import cut_badly

        count = round(recipe.badly_cut * len(data))
        every.append(cut_badly(own, meant, count, random_stream(seed, "badly cut")))
    images, labels = (torch.cat(parts) for parts in zip(*every, strict=True))
    return images, labels, bank
