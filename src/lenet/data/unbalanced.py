"""A data set of which some classes are made rare: to study what that does, and what helps."""

from pathlib import Path

import torch
from torch import Tensor

from lenet.data.datasets import ImageSet, load
from lenet.data.idx import write_idx

KEPT = 0.01  # of each rare class


def thin_out(labels: Tensor, rare: range, kept: float = KEPT) -> Tensor:
    """The indices (int64, ascending) that are left when of each class in `rare` only a share is kept.

    Kept are the first ones, and at least one of each.
    """
    stays = torch.ones(len(labels), dtype=torch.bool)
    for label in rare:
        members = torch.nonzero(labels == label).flatten()
        stays[members[max(1, round(kept * len(members))) :]] = False
    return torch.nonzero(stays).flatten()


def write_unbalanced(source: str, folder: Path) -> None:
    """Write a data set to `folder` as IDX files, the second half of its classes made rare in training.

    Its test images are all written. Nothing is done where the files are there. Raises DataError where
    `load` does.
    """
    train: ImageSet = load(source, "train")
    classes = len(train.classes)
    train = train.subset(thin_out(train.labels, range(classes // 2, classes)))
    for prefix, data in (("train", train), ("t10k", load(source, "test"))):
        labels = folder / f"{prefix}-labels-idx1-ubyte"
        if not labels.exists():
            write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
            write_idx(labels, data.labels.byte())
