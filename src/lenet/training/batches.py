"""What a step sees: images gathered once a run, and a batch of them, augmented, for each step.

Pure functions of (seed, epoch, step) and of the data: nothing random has to be stored.
"""

import math
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from lenet.data.imageset import ImageSet
from lenet.synthesis.augmentation import augment
from lenet.training.randomness import random_stream, sample_order
from lenet.training.recipe import Recipe
from lenet.training.rehearsal import REHEARSED, gather_rehearsal

BANK = 2  # negatives to choose from, for each that an epoch shows


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """All images of an epoch: those of the data set, synthesised ones behind them, and the negatives."""

    images: Tensor
    """uint8 (N, 1, H, W)."""
    labels: Tensor
    """int64 (N,)."""
    negatives: Tensor
    """uint8 (M, 1, H, W), images of no class; empty where the recipe asks for none."""
    rehearsed: Tensor
    """uint8 (R, 1, H, W), images that the initial network answers; empty where the recipe asks for none."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True, eq=False)
class EpochStreams:
    """What is random in an epoch: the order of the images, their distortions, the choice of the rest."""

    order: Tensor
    distortions: torch.Generator
    negatives: torch.Generator
    rehearsed: torch.Generator


def gather_images(data: ImageSet, recipe: Recipe, seed: int) -> TrainingImages:
    """The images that a run learns from, on the CPU: a pure function of its arguments."""
    own, meant = data.images.cpu(), data.labels.cpu()
    parts, negatives = [(own, meant)], own[:0]
    # What draws takes a quarter of a second to import, which recipes that draw nothing need not wait.
    if recipe.negatives:
        from lenet.synthesis.negatives import make_negatives

        count = math.ceil(BANK * recipe.negatives * len(data))
        negatives = make_negatives(own, count, random_stream(seed, "negatives"))
    if recipe.glyph_variants:
        from lenet.synthesis.glyphs import draw_glyphs

        count = round(recipe.glyph_variants * len(data))
        parts.append(draw_glyphs(count, own.shape[2:], random_stream(seed, "glyph_variants")))
    if recipe.segmentation_artefacts:
        from lenet.synthesis.segmentation_artefacts import make_segmentation_artefacts

        count = round(recipe.segmentation_artefacts * len(data))
        stream = random_stream(seed, "segmentation artefacts")
        parts.append(make_segmentation_artefacts(own, meant, count, stream))
    images, labels = (torch.cat(kind) for kind in zip(*parts, strict=True))
    rehearsed = gather_rehearsal(seed) if recipe.rehearsal else own[:0]
    return TrainingImages(images, labels, negatives, rehearsed)


def open_streams(count: int, recipe: Recipe, seed: int, epoch: int, device: torch.device) -> EpochStreams:
    """The random streams of an epoch over `count` images."""
    return EpochStreams(
        sample_order(count, recipe.shuffle, seed, epoch).to(device),
        random_stream(seed, "distortions", epoch, device=device),
        random_stream(seed, "negatives", epoch, device=device),
        random_stream(seed, "rehearsed", epoch, device=device),
    )


def make_batch(
    material: TrainingImages, indices: Tensor, recipe: Recipe, streams: EpochStreams
) -> tuple[Tensor, Tensor]:
    """The images and labels of one step: those at `indices`, then negatives and rehearsed ones, augmented.

    Returns images (n, 1, H, W), bytes 0..255 or floats 0..1 where they are augmented, and labels (n,); the
    label of a negative is the number of classes, that of a rehearsed image REHEARSED. Advances the streams.
    """
    images, labels = material.images[indices], material.labels[indices]
    for share, bank, stream, label in (
        (recipe.negatives, material.negatives, streams.negatives, recipe.model.classes),
        (recipe.rehearsal, material.rehearsed, streams.rehearsed, REHEARSED),
    ):
        if extra := round(share * len(indices)):
            chosen = torch.randint(len(bank), (extra,), generator=stream, device=images.device)
            images = torch.cat([images, bank[chosen]])
            labels = functional.pad(labels, (0, extra), value=label)
    if not recipe.distortions.is_none:
        images = augment(images.float() / 255, recipe.distortions, streams.distortions)
    return images, labels
