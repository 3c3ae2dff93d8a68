"""Labelled images in memory, by name or from your own files."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lenet.data.digits import load_digits
from lenet.data.idx import decode_idx, read_idx
from lenet.data.own import Example, list_class_folders, list_csv, list_visible, sort_naturally
from lenet.data.sources import SOURCES, SPLITS, Source, SourceFile, Split, find_source
from lenet.data.store import read_source_file
from lenet.decode import decode
from lenet.errors import DataError, PictureError
from lenet.whole import frame_whole

_DIGITS_HELD_OUT = 360
_OWN_SHARE_HELD_OUT = 0.2
_SPLIT_SEED = 0


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
    whole: bool = False
    """True when an image is all of a picture, not a sign cut out of it; reading has to do the same."""

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
    """Load the training or the test images of a data set, by name or by path.

    Names are those in `lenet.data.sources`; what is not in LENET_DATA or the cache is fetched. `digits` is
    divided into 1,437 for training and 360 for testing, every class in proportion, always the same ones.
    A path is a folder of class folders, a folder of IDX files, or a CSV of files and labels; pictures that
    their owner has not divided are divided four to one, in the same way. Images are 28×28, save for a
    folder of IDX files, which keeps its own size.
    Raises DataError when there is no such data set or it is damaged, DownloadError when no mirror gives it.
    """
    if split not in SPLITS:
        raise DataError(f"there is no split {split!r}; choose train or test")
    if not source:
        raise DataError("the name of the data set is empty; `lenet data list` shows what there is")
    path = Path(source).expanduser()
    if isinstance(source, Path) or (source not in SOURCES and (path.exists() or _looks_like_path(source))):
        return _load_path(path, split)
    known = find_source(source)
    return _load_files(known, split) if known.files else _load_bundled(known, split)


def split_stratified(labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `count` images to hold out, every class in proportion, the same ones for the same seed.

    Returns the indices (int64, ascending) of the rest and of those held out; together they are all, once.
    Raises DataError unless 0 < count < N.
    """
    if not 0 < count < len(labels):
        raise DataError(f"cannot hold out {count} of {len(labels)} images; hold out at least 1, and not all")
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


def _load_bundled(source: Source, split: Split) -> ImageSet:
    images, labels = load_digits()
    train, test = split_stratified(labels, _DIGITS_HELD_OUT, _SPLIT_SEED)
    return ImageSet(images, labels, source.classes, source.name).subset(train if split == "train" else test)


def _load_files(source: Source, split: Split) -> ImageSet:
    images, labels = (_read(source, file) for file in source.files[split])
    if source.transposed:
        images = images.mT.contiguous()
    if labels.dim() == 2:  # QMNIST: the class, then seven particulars of the writing
        labels = labels[:, 0]
    labels = labels.long() - source.first_label
    # What may be mirrored, clothes, is shown as all of a picture too.
    return ImageSet(images.unsqueeze(1), labels, source.classes, source.name, source.flips, source.flips)


def _read(source: Source, file: SourceFile) -> Tensor:
    content, path = read_source_file(source, file)
    values = decode_idx(content, str(path))
    if values.shape != file.shape:
        raise DataError(f"{path}: holds {tuple(values.shape)} values, where {source.name} has {file.shape}")
    return values


def _looks_like_path(source: str) -> bool:
    return any(mark in source for mark in "./\\~")


def _load_path(path: Path, split: Split) -> ImageSet:
    if path.is_file() and path.suffix.lower() == ".csv":
        return _load_pictures(list_csv(path), split, path)
    if path.is_dir():
        if any(_is_idx(entry) for entry in list_visible(path)):
            return _load_idx_folder(path, split)
        return _load_pictures(list_class_folders(path), split, path)
    if path.exists():
        raise DataError(
            f"{path}: neither a folder nor a .csv; `lenet data import` takes files of known data sets"
        )
    raise DataError(f"{path}: there is no such folder or CSV")


def _load_pictures(examples: list[Example], split: Split, path: Path) -> ImageSet:
    classes = sort_naturally([example.label for example in examples])
    if len(classes) < 2:
        raise DataError(f"{path}: {len(classes)} class; a network needs at least two to tell apart")
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers[example.label] for example in examples])
    if examples[0].split is None:
        count = max(1, round(len(examples) * _OWN_SHARE_HELD_OUT))
        train, test = split_stratified(labels, count, _SPLIT_SEED)
        chosen = (train if split == "train" else test).tolist()
    else:
        chosen = [at for at, example in enumerate(examples) if example.split == split]
        untaught = set(classes) - {example.label for example in examples if example.split == "train"}
        if untaught:
            raise DataError(f"{path}: class {min(untaught)} has no training picture; add some")
    if not chosen:
        raise DataError(f"{path}: it holds no {split} pictures; mark some, or leave the split away")
    images = np.stack([load_picture(examples[at].path) for at in chosen])
    tensor = torch.from_numpy(images).unsqueeze(1)
    return ImageSet(tensor, labels[chosen], tuple(classes), str(path), whole=True)


def load_picture(path: Path) -> np.ndarray:
    """One picture of your own as an image, (28, 28) uint8. Raises DataError, naming the file."""
    try:
        return frame_whole(decode(path))
    except PictureError as error:
        raise DataError(str(error)) from error


def _load_idx_folder(folder: Path, split: Split) -> ImageSet:
    """A folder of IDX files named as MNIST's are; the classes are the numbers from 0 to the largest."""
    images, labels = (read_idx(_find_idx(folder, split, kind)) for kind in ("images", "labels"))
    if images.dtype != torch.uint8 or images.dim() != 3:
        raise DataError(f"{folder}: the {split} images must be bytes (N, H, W), not {tuple(images.shape)}")
    if labels.dim() != 1 or labels.numel() == 0:
        raise DataError(
            f"{folder}: the {split} labels must be one number per image, not {tuple(labels.shape)}"
        )
    try:
        training = labels if split == "train" else read_idx(_find_idx(folder, "train", "labels"))
    except DataError:
        training = labels  # only test files are there, to evaluate on
    classes = tuple(str(number) for number in range(int(training.max()) + 1)) if training.numel() else ()
    return ImageSet(images.unsqueeze(1), labels.long(), classes, str(folder))


def _is_idx(path: Path) -> bool:
    return path.is_file() and ("idx3" in path.name or "idx1" in path.name)


def _find_idx(folder: Path, split: Split, kind: str) -> Path:
    prefixes = ("train",) if split == "train" else ("t10k", "test")
    found = [
        entry
        for entry in list_visible(folder)
        if _is_idx(entry) and kind in entry.name and any(prefix in entry.name for prefix in prefixes)
    ]
    if not found:
        raise DataError(f"{folder}: there is no {prefixes[0]}-{kind} IDX file in it")
    if len({entry.name.removesuffix(".gz") for entry in found}) > 1:
        raise DataError(
            f"{folder}: {found[0].name} and {found[1].name} both hold {split} {kind}; keep one set"
        )
    return found[0]
