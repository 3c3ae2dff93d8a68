"""What an epoch is made of: the images themselves, forms drawn in addition, and what is no digit."""

import math

import torch
from torch import Tensor

from lenet.data.badly_cut import cut_badly
from lenet.data.datasets import ImageSet
from lenet.data.forms import draw_forms
from lenet.data.not_digits import make_not_digits
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe

BANK = 2  # pictures of no digit to choose from, for each that an epoch shows


def gather_images(data: ImageSet, recipe: Recipe, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images uint8 (N, 1, H, W) and labels (N,), drawn forms among them, and a bank of what is no digit.

    A pure function of its arguments, on the CPU; the bank is empty where the recipe asks for none.
    """
    images, labels, bank = data.images.cpu(), data.labels.cpu(), data.images[:0]
    if recipe.not_digits:
        count = math.ceil(BANK * recipe.not_digits * len(data))
        bank = make_not_digits(images, count, random_stream(seed, "not digits"))
    if recipe.forms:
        new, meant = draw_forms(
            round(recipe.forms * len(data)), images.shape[2:], random_stream(seed, "forms")
        )
        images, labels = torch.cat([images, new]), torch.cat([labels, meant])
    if recipe.badly_cut:
        new, meant = cut_badly(
            data.images.cpu(), data.labels.cpu(), round(recipe.badly_cut * len(data)), random_stream(seed, "badly cut")
        )
        images, labels = torch.cat([images, new]), torch.cat([labels, meant])
    return images, labels, bank
