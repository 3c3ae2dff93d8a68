"""How a network bears digits that are turned, sized or coloured otherwise than those it learnt from."""

from __future__ import annotations

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

PICTURES = 200  # coloured ones; each is read as a photograph is
ENLARGED = 4
CONTRAST = 70  # least difference in brightness between ink and paper, of 255
GREY = np.array([0.299, 0.587, 0.114])  # what grey is made of (ITU-R 601)
CONDITIONS = ("as they are", "rotated", "scaled", "coloured, made grey", "coloured, read as pictures")


def measure_distorted(checkpoint: Checkpoint, data: ImageSet) -> dict[str, float]:
    """The accuracy of a network on test images as they are and on disturbed ones; the same ones each time."""
    model, labels = checkpoint.model, data.labels
    pixels = data.images.float() / 255
    rotated = augment(pixels, Distortions(degrees=30), random_stream(0, "rotated"))
    scaled = augment(pixels, Distortions(scale=0.35), random_stream(0, "scaled"))
    pictures = [colour(image[0].numpy(), number) for number, image in enumerate(data.images[:PICTURES])]
    reader = Reader(checkpoint)
    texts = [reader.read(picture, length=1).text for picture in pictures]
    truth = [data.classes[label] for label in labels[:PICTURES].tolist()]
    answers = {
        "as they are": _share(model, data.images, labels),
        "rotated": _share(model, rotated, labels),
        "scaled": _share(model, scaled, labels),
        "coloured, made grey": _share(model, make_grey(pictures), labels[:PICTURES]),
    }
    right = sum(text == name for text, name in zip(texts, truth, strict=True))
    return answers | {"coloured, read as pictures": right / len(truth)}


def colour(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """An image (H, W), white on black, as a picture (4 H, 4 W, 3): some ink on paper of another colour."""
    generator = np.random.default_rng(seed)
    while True:
        ink, paper = generator.integers(0, 256, (2, 3))
        if abs((ink - paper) @ GREY) >= CONTRAST:
            break
    large = Image.fromarray(image).resize(
        (ENLARGED * image.shape[1], ENLARGED * image.shape[0]), Image.Resampling.BICUBIC
    )
    share = np.asarray(large, dtype=np.float64)[..., None] / 255
    picture: NDArray[np.uint8] = np.rint(paper + share * (ink - paper)).astype(np.uint8)
    return picture


def make_grey(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """What the tutorials do with a picture: make it grey and reduce it. Bytes (N, 1, H, W)."""
    grey = [
        Image.fromarray(picture).convert("L").resize(
            (picture.shape[1] // ENLARGED, picture.shape[0] // ENLARGED), Image.Resampling.BOX
        )
        for picture in pictures
    ]  # fmt: skip
    return torch.from_numpy(np.stack([np.asarray(image) for image in grey])).unsqueeze(1)


def _share(model: LeNet, images: Tensor, labels: Tensor) -> float:
    """The share of images whose most probable class is the right one."""
    return (compute_logits(model, images).argmax(dim=1) == labels).double().mean().item()
