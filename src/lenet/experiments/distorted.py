"""Measures a network on rotated, scaled, coloured and inverted test images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.models.checkpoint import Checkpoint
from lenet.models.network import LeNet
from lenet.reading.reader import Reader
from lenet.synthesis.augmentation import augment
from lenet.synthesis.distortions import Distortions
from lenet.training.evaluation import compute_logits
from lenet.training.randomness import random_stream

COLOURED_COUNT = 200  # pictures; each is read by the full pipeline
ENLARGEMENT = 4
MIN_LUMA_DIFFERENCE = 70  # of 255, between ink and paper
LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue (ITU-R 601)
INVERTED_COUNT = 1000  # pictures of those, for the same reason
CONDITIONS = ("as they are", "rotated", "scaled", "coloured, made grey", "coloured, read as pictures")


def measure_distorted(checkpoint: Checkpoint, data: ImageSet) -> dict[str, float]:
    """The accuracy of a network under each of CONDITIONS; the distorted images are the same each time."""
    model, labels = checkpoint.model, data.labels
    pixels = data.images.float() / 255
    rotated = augment(pixels, Distortions(degrees=30), random_stream(0, "rotated"))
    scaled = augment(pixels, Distortions(scale=0.35), random_stream(0, "scaled"))
    pictures = [colour(image[0].numpy(), number) for number, image in enumerate(data.images[:COLOURED_COUNT])]
    reader = Reader(checkpoint)
    texts = [reader.read(picture, length=1).text for picture in pictures]
    truth = [data.classes[label] for label in labels[:COLOURED_COUNT].tolist()]
    answers = {
        "as they are": _measure_accuracy(model, data.images, labels),
        "rotated": _measure_accuracy(model, rotated, labels),
        "scaled": _measure_accuracy(model, scaled, labels),
        "coloured, made grey": _measure_accuracy(model, make_grey(pictures), labels[:COLOURED_COUNT]),
    }
    right = sum(text == name for text, name in zip(texts, truth, strict=True))
    return answers | {"coloured, read as pictures": right / len(truth)}


@dataclass(frozen=True)
class Answers:
    """What a network answers under one condition."""

    accuracy: float
    """0..1."""
    most_frequent: tuple[str, float]
    """The answer that is given most often, and its share, 0..1."""


def measure_inverted(checkpoint: Checkpoint, data: ImageSet) -> dict[str, Answers]:
    """The answers to images as they are, inverted, and inverted but read with the full pipeline.

    The pipeline reads the first INVERTED_COUNT images.
    """
    inverted = 255 - data.images
    truth = [data.classes[label] for label in data.labels.tolist()]
    reader = Reader(checkpoint)
    texts = {
        name: [data.classes[place] for place in compute_logits(checkpoint.model, images).argmax(1).tolist()]
        for name, images in (("as they are", data.images), ("inverted", inverted))
    }
    pictures = (image[0].numpy() for image in inverted[:INVERTED_COUNT])
    texts["inverted, read as pictures"] = [reader.read(picture, length=1).text for picture in pictures]
    found = {}
    for name, answers in texts.items():
        [(answer, count)] = Counter(answers).most_common(1)
        right = sum(map(str.__eq__, answers, truth))
        found[name] = Answers(right / len(answers), (answer, count / len(answers)))
    return found


def colour(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """An image (H, W), white on black, as a picture (4 H, 4 W, 3) in random colours of ink and paper."""
    generator = np.random.default_rng(seed)
    while True:
        ink, paper = generator.integers(0, 256, (2, 3))
        if abs((ink - paper) @ LUMA) >= MIN_LUMA_DIFFERENCE:
            break
    large = Image.fromarray(image).resize(
        (ENLARGEMENT * image.shape[1], ENLARGEMENT * image.shape[0]), Image.Resampling.BICUBIC
    )
    share = np.asarray(large, dtype=np.float64)[..., None] / 255
    picture: NDArray[np.uint8] = np.rint(paper + share * (ink - paper)).astype(np.uint8)
    return picture


def make_grey(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """Convert pictures to grey and reduce them, as the tutorials do: uint8 (N, 1, H, W)."""
    grey = [
        Image.fromarray(picture).convert("L").resize(
            (picture.shape[1] // ENLARGEMENT, picture.shape[0] // ENLARGEMENT), Image.Resampling.BOX
        )
        for picture in pictures
    ]  # fmt: skip
    return torch.from_numpy(np.stack([np.asarray(image) for image in grey])).unsqueeze(1)


def _measure_accuracy(model: LeNet, images: Tensor, labels: Tensor) -> float:
    """The accuracy, 0..1."""
    return (compute_logits(model, images).argmax(dim=1) == labels).double().mean().item()
