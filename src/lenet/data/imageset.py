"""Labelled images in memory."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lenet.errors import DataError
from lenet.images.inline import write_image, write_table

SPLIT_SEED = 0  # of every split that a data set does not define itself
SHOWN_CLASSES, SHOWN_IMAGES = 20, 4  # in notebooks
HASHED_AT_ONCE = 256  # images; memory-mapped ones are not read into memory as a whole


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[tuple[Tensor, int]]):
    """Labelled images in memory; a PyTorch data set, so that a DataLoader takes it.

    Raises DataError when shapes, types or label values are inconsistent.
    """

    images: Tensor
    """uint8 (N, 1, H, W), white ink on black: 0 is background, 255 is full ink."""
    labels: Tensor
    """int64 (N,), each in 0..len(classes) - 1."""
    classes: tuple[str, ...]
    """The name of each class, in the order of the labels."""
    name: str
    """The name of the data set, or its path."""
    flips: bool = False
    """True when an image mirrored left to right keeps its class (clothes, not digits)."""
    full_image: bool = False
    """True when an image shows a full picture, not a cropped sign; reading must do the same."""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4 or self.images.shape[1] != 1:
            raise DataError(
                f"{self.name}: images must be uint8 (N, 1, H, W), not "
                f"{self.images.dtype} {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"{self.name}: labels must be int64 ({len(self.images)},), not "
                f"{self.labels.dtype} {tuple(self.labels.shape)}"
            )
        if self.images.numel() == 0:
            raise DataError(f"{self.name}: holds no image")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise DataError(f"{self.name}: a label lies outside 0..{len(self.classes) - 1}")

    def _repr_html_(self) -> str:
        """For notebooks: the name, and of each class (the first 20) its count and its first images."""
        counts = self.labels.bincount(minlength=len(self.classes)).tolist()
        shown = range(min(len(counts), SHOWN_CLASSES))
        firsts = [self.images[self.labels == label][:SHOWN_IMAGES, 0].cpu().numpy() for label in shown]
        height, width = self.images.shape[2:]
        return write_table(
            f"{self.name}: {len(self):,} images of {width} × {height} pixels, {len(counts)} classes",
            [self.classes[label] for label in shown],
            [
                [f"{counts[label]:,}" for label in shown],
                [
                    write_image(np.concatenate(images), f"images of {self.classes[label]}", 2)
                    if len(images)
                    else ""
                    for label, images in zip(shown, firsts, strict=True)
                ],
            ],
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The image at `index` as floats (1, H, W) from 0 to 1, and its label."""
        return self.images[index] / 255, int(self.labels[index])

    def subset(self, indices: Tensor) -> "ImageSet":
        """The images at `indices` (int64), in that order."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


def split_stratified(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split N images at random, stratified by class: `count` are held out. A pure function of its arguments.

    Returns the indices (int64, ascending) of the remaining and of the held-out images.
    Raises DataError unless 0 < count < N.
    """
    if not 0 < count < len(labels):
        raise DataError(f"cannot hold out {count} of {len(labels)} images; hold out 1 or more, and not all")
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.bincount(labels).tolist()
    # Largest remainder method: round down, then add one to the classes with the largest remainders.
    shares = [divmod(size * count, len(labels)) for size in sizes]
    quotas = [share for share, _ in shares]
    by_remainder = sorted(range(len(sizes)), key=lambda label: (-shares[label][1], label))
    for label in by_remainder[: count - sum(quotas)]:
        quotas[label] += 1
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label, quota in enumerate(quotas):
        members = torch.nonzero(labels == label).flatten()
        held_out[members[torch.randperm(len(members), generator=generator)[:quota]]] = True
    return torch.nonzero(~held_out).flatten(), torch.nonzero(held_out).flatten()


def spread(count: int, most: int) -> Tensor:
    """At most `most` places among `count`, evenly spread: int64, ascending."""
    return torch.linspace(0, count - 1, min(count, most), dtype=torch.float64).round().long()


def fingerprint(data: ImageSet) -> str:
    """SHA-256 over images, labels and classes: equal for equal data, wherever they were read from."""
    digest = hashlib.sha256(json.dumps(data.classes).encode())
    for values in (data.images, data.labels):
        for block in values.split(HASHED_AT_ONCE):
            digest.update(block.numpy().tobytes())
    return digest.hexdigest()
