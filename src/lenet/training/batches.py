"""What a step sees: images gathered once a run, and a batch of them, augmented, for each step.

Pure functions of (seed, epoch, step) and of the data: nothing random has to be stored. Images that the recipe
adds nothing to are never copied as a whole, so that memory-mapped ones may be larger than the memory: an
epoch shuffles row numbers, and a batch gathers its own images.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from lenet.data.idx import MAX_BYTES
from lenet.data.imageset import ImageSet
from lenet.synthesis.augmentation import augment
from lenet.training.randomness import random_stream, sample_order
from lenet.training.recipe import Recipe
from lenet.training.rehearsal import gather_rehearsal
from lenet.training.targets import UNLABELLED

BANK = 2  # negatives to choose from, for each that an epoch shows


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """All images of an epoch: those of the data set, synthesised ones behind them, and the negatives."""

    images: Tensor
    """uint8 (M, 1, H, W)."""
    rows: Tensor
    """int64 (N,): where in `images` each example is; the others are held out."""
    labels: Tensor
    """int64 (N,), of the examples."""
    negatives: Tensor
    """uint8 (·, 1, H, W), images of no class; empty where the recipe asks for none."""
    rehearsed: Tensor
    """uint8 (·, 1, H, W), images that the initial network answers; empty where the recipe asks for none."""

    def to(self, device: torch.device) -> Self:
        """The same on a device; images of more than a gigabyte stay where they are."""
        names = {part.name for part in fields(self)}
        if self.images.nbytes > MAX_BYTES:
            names.remove("images")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def gather(self, places: Tensor) -> Tensor:
        """The images at `places`, as `choose_examples` counts them: uint8 (n, 1, H, W)."""
        banks = [bank for bank in (self.images, self.negatives, self.rehearsed) if len(bank)]
        parts, start = [], 0
        for bank in banks:
            inside = places
            if len(banks) > 1:
                inside = places[(start <= places) & (places < start + len(bank))] - start
            parts.append(bank[inside.to(bank.device)].to(places.device))
            start += len(bank)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(frozen=True, eq=False)
class EpochStreams:
    """What is random in an epoch: the order of the images, their distortions, the choice of the rest."""

    order: Tensor
    distortions: torch.Generator
    negatives: torch.Generator
    rehearsed: torch.Generator


def gather_images(data: ImageSet, recipe: Recipe, seed: int, rows: Tensor | None = None) -> TrainingImages:
    """The images that a run learns from, on the CPU: a pure function of its arguments.

    `rows` are those of `data`, int64 (N,), to learn from; by default all. Where the recipe adds images, all
    are copied, else none.
    """
    own, meant = data.images.cpu(), data.labels.cpu()
    rows = torch.arange(len(own)) if rows is None else rows
    meant, negatives = meant[rows], own[:0]
    if recipe.negatives or recipe.glyph_variants or recipe.segmentation_artefacts:
        own, rows = own[rows], torch.arange(len(rows))
    parts = [(own, meant)]
    # What draws takes a quarter of a second to import, which recipes that draw nothing need not wait.
    if recipe.negatives:
        from lenet.synthesis.negatives import make_negatives

        count = math.ceil(BANK * recipe.negatives * len(rows))
        negatives = make_negatives(own, count, random_stream(seed, "negatives"))
    if recipe.glyph_variants:
        from lenet.synthesis.glyphs import draw_glyphs

        count = round(recipe.glyph_variants * len(rows))
        parts.append(draw_glyphs(count, own.shape[2:], random_stream(seed, "glyph_variants")))
    if recipe.segmentation_artefacts:
        from lenet.synthesis.segmentation_artefacts import make_segmentation_artefacts

        count = round(recipe.segmentation_artefacts * len(rows))
        stream = random_stream(seed, "segmentation artefacts")
        parts.append(make_segmentation_artefacts(own, meant, count, stream))
    images, labels = own, meant
    if len(parts) > 1:
        images, labels = (torch.cat(kind) for kind in zip(*parts, strict=True))
        rows = torch.arange(len(images))
    rehearsed = gather_rehearsal(seed) if recipe.rehearsal else own[:0]
    return TrainingImages(images, rows, labels, negatives, rehearsed)


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
    label of a negative is the number of classes, that of a rehearsed image UNLABELLED. Advances the streams.
    """
    places, labels = choose_examples(material, indices, recipe, streams)
    return distort_images(material.gather(places), recipe, streams.distortions), labels


def choose_examples(
    material: TrainingImages, indices: Tensor, recipe: Recipe, streams: EpochStreams
) -> tuple[Tensor, Tensor]:
    """Which images a batch has, int64 (n,), and their labels (n,), as `make_batch`; advances the streams.

    The images of the data set, the negatives and the rehearsed ones are counted on in this order.
    """
    places, labels, start = material.rows[indices], material.labels[indices], len(material.images)
    for share, bank, stream, label in (
        (recipe.negatives, material.negatives, streams.negatives, recipe.model.classes),
        (recipe.rehearsal, material.rehearsed, streams.rehearsed, UNLABELLED),
    ):
        if extra := round(share * len(indices)):
            chosen = torch.randint(len(bank), (extra,), generator=stream, device=places.device)
            places = torch.cat([places, start + chosen])
            labels = functional.pad(labels, (0, extra), value=label)
        start += len(bank)
    return places, labels


def distort_images(images: Tensor, recipe: Recipe, stream: torch.Generator) -> Tensor:
    """The images (n, 1, H, W) as floats 0..1, distorted at random; unchanged where the recipe has none."""
    if recipe.distortions.is_none:
        return images
    return augment(images.float() / 255, recipe.distortions, stream)
