"""Labelled images in memory, by name or from your own files."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lenet.data.idx import read_idx
from lenet.errors import DataError

Split = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, kept in memory as bytes.

    Raises DataError when the parts do not fit together.
    """

    images: Tensor
    """uint8 (N, 1, H, W), white ink on black: 0 is background, 255 is full ink."""
    labels: Tensor
    """int64 (N,), each in 0..len(classes) - 1."""
    classes: tuple[str, ...]
    """What each label means."""
    name: str
    """Where the images come from: a data set's name or a path."""
    flips: bool = False
    """True when an image mirrored left to right is still an image of its class (clothes, not digits)."""

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
            raise DataError(f"{self.name}: there is no image in it")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise DataError(f"{self.name}: a label lies outside 0..{len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> "ImageSet":
        """The images at `indices` (int64), in that order, as a set of their own."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


def load(source: str | Path, split: Split) -> ImageSet:
    """Load the training or the test images of a data set by name."""
    if split not in ("train", "test"):
        raise DataError(f"there is no split {split!r}; choose 'train' or 'test'")
    if source == "digits":
        return _load_digits(split)
    if source not in ("mnist", "fashion-mnist"):
        raise DataError(f"unknown data set {source!r}; known: digits, mnist, fashion-mnist")
    prefix = "t10k" if split == "test" else "train"
    folder = Path(os.environ.get("LENET_DATA", ".")) / source
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz").unsqueeze(1)
    labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz").long()
    classes = tuple("0123456789") if source == "mnist" else _FASHION
    return ImageSet(images, labels, classes, str(source), flips=source == "fashion-mnist")


_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _load_digits(split: Split) -> ImageSet:
    from scipy import ndimage
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = digits.images / 16
    canvases = np.zeros((len(small), 1, 28, 28), dtype=np.uint8)
    for index, image in enumerate(small):
        large = np.clip(ndimage.zoom(image, 20 / 8, order=3, grid_mode=True, mode="grid-constant"), 0, 1)
        row, column = ndimage.center_of_mass(large)
        top, left = (min(max(round(13.5 - at), 0), 8) for at in (row, column))
        canvases[index, 0, top : top + 20, left : left + 20] = np.rint(large * 255)
    labels = torch.from_numpy(digits.target.astype(np.int64))
    whole = ImageSet(torch.from_numpy(canvases), labels, tuple("0123456789"), "digits")
    train, test = split_stratified(labels, 360, seed=0)
    return whole.subset(test if split == "test" else train)


def split_stratified(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `count` images to hold out, every class in proportion, the same ones for the same seed.

    Returns the indices (int64, ascending) of the rest and of those held out; together they are all, once.
    Raises DataError unless 0 < count < N.
    """
    if not 0 < count < len(labels):
        raise DataError(f"cannot hold out {count} of {len(labels)} images; choose 1 to {len(labels) - 1}")
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.bincount(labels).tolist()
    # Largest remainder: the shares rounded down, then one more for those that lost most.
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
