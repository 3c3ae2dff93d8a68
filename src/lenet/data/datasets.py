"""Data sets by name or by path."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lenet.data.cache import read_source_file
from lenet.data.custom import load_custom
from lenet.data.idx import decode_idx, write_idx
from lenet.data.imageset import SPLIT_SEED, ImageSet, split_stratified
from lenet.data.sources import SOURCES, SPLITS, Source, SourceFile, Split, find_source
from lenet.errors import DataError
from lenet.images.framing import DIGIT_SIDE, SIDE

_DIGITS_TEST_COUNT = 360
RARE_SHARE = 0.01  # of each rare class is kept
# The bitmaps were normalised into a narrow box: at a height of 20 pixels these digits are 12 wide on average,
# MNIST's 15.5. With this width a LeNet trained on them alone, without distortions, reads 63.9 ± 2.7 % of
# 10,000 MNIST training images, and 59.5 ± 4.7 % without it (5 seeds each).
_BOX_WIDTH = 26


def load(source: str | Path, split: Split) -> ImageSet:
    """Load the training or test images of a data set, by name or by path.

    `lenet.data.sources` lists the names. A data set that is not in LENET_DATA or the cache is downloaded.
    `digits` is split into 1,437 training and 360 test images; the split is stratified and always the same.
    A path is a folder of class folders, a folder of IDX files, or a CSV of files and labels. Pictures without
    a split are split four to one, stratified. Images are 28×28; IDX files keep their size.
    Raises DataError when the data set is missing or damaged, DownloadError when every mirror fails.
    """
    if split not in SPLITS:
        raise DataError(f"no split is called {split!r}; choose train or test")
    if not source:
        raise DataError("the name of the data set is empty; `lenet data list` shows the names")
    path = Path(source).expanduser()
    if isinstance(source, Path) or (source not in SOURCES and (path.exists() or _looks_like_path(source))):
        return load_custom(path, split)
    known = find_source(source)
    return _load_files(known, split) if known.files else _load_bundled(known, split)


def _load_bundled(source: Source, split: Split) -> ImageSet:
    images, labels = load_digits()
    train, test = split_stratified(labels, _DIGITS_TEST_COUNT, SPLIT_SEED)
    return ImageSet(images, labels, source.classes, source.name).subset(train if split == "train" else test)


def _load_files(source: Source, split: Split) -> ImageSet:
    images, labels = (_read(source, file) for file in source.files[split])
    if source.transposed:
        images = images.mT.contiguous()
    if labels.dim() == 2:  # QMNIST: the class is the first of eight columns
        labels = labels[:, 0]
    labels = labels.long() - source.first_label
    # Sets that may be mirrored (clothes) also show full images, not cropped signs.
    return ImageSet(images.unsqueeze(1), labels, source.classes, source.name, source.flips, source.flips)


def _read(source: Source, file: SourceFile) -> Tensor:
    content, path = read_source_file(source, file)
    values = decode_idx(content, str(path))
    if values.shape != file.shape:
        raise DataError(f"{path}: has the shape {tuple(values.shape)}; {source.name} has {file.shape}")
    return values


def _looks_like_path(source: str) -> bool:
    return any(mark in source for mark in "./\\~")


def load_digits() -> tuple[Tensor, Tensor]:
    """All 1,797 digits: images uint8 (1797, 1, 28, 28), white on black, and labels int64 (1797,)."""
    images, labels = _enlarge_digits()
    return torch.tensor(images).unsqueeze(1), torch.tensor(labels)  # copies


@cache
def _enlarge_digits() -> tuple[np.ndarray, np.ndarray]:
    """The images (1797, 28, 28) and labels of `load_digits`, made once: a training loads them four times."""
    # The file of scikit-learn's load_digits, whose import takes a second: 8×8 values (0..16) and the label.
    package = find_spec("sklearn")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    rows = np.loadtxt(file, delimiter=",")
    return np.stack([enlarge_digit(row[:-1].reshape(8, 8)) for row in rows]), rows[:, -1].astype(np.int64)


def enlarge_digit(blocks: np.ndarray) -> np.ndarray:
    """Convert an 8×8 digit (0..16) to a 28×28 image (uint8) in MNIST's framing.

    As in LeCun et al. 1998, section III.A, the digit is 20 pixels high in grey levels, and its centre of
    mass is at the centre of the image.
    """
    small = Image.fromarray((blocks / 16).astype(np.float32))
    box = np.clip(np.asarray(small.resize((_BOX_WIDTH, DIGIT_SIDE), Image.Resampling.BICUBIC)), 0, 1)
    left, top = (round((SIDE - 1) / 2 - _centre_of_mass(box.sum(axis=axis))) for axis in (0, 1))
    image = Image.new("L", (SIDE, SIDE))
    image.paste(Image.fromarray(np.rint(box * 255).astype(np.uint8)), (left, top))  # clips at the border
    return np.asarray(image)


def _centre_of_mass(profile: np.ndarray) -> float:
    return float(profile @ np.arange(len(profile)) / profile.sum())


def thin_out(labels: Tensor, rare: range, kept: float = RARE_SHARE) -> Tensor:
    """The indices (int64, ascending) that remain when only a share of each class in `rare` is kept.

    The first images of a class are kept, at least one of each.
    """
    stays = torch.ones(len(labels), dtype=torch.bool)
    for label in rare:
        members = torch.nonzero(labels == label).flatten()
        stays[members[max(1, round(kept * len(members))) :]] = False
    return torch.nonzero(stays).flatten()


def write_unbalanced(source: str, folder: Path) -> None:
    """Write a data set to `folder` as IDX files; in training, the second half of its classes is rare.

    All test images are written. Existing files are kept. Raises DataError where `load` does.
    """
    train: ImageSet = load(source, "train")
    classes = len(train.classes)
    train = train.subset(thin_out(train.labels, range(classes // 2, classes)))
    for prefix, data in (("train", train), ("t10k", load(source, "test"))):
        labels = folder / f"{prefix}-labels-idx1-ubyte"
        if not labels.exists():
            write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images[:, 0])
            write_idx(labels, data.labels.byte())
