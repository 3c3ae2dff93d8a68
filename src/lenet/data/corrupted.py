"""A data set with every corruption of it: spoilt here, or the published files."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.data.sources import Split
from lenet.errors import DataError
from lenet.images.corruptions import CORRUPTIONS, IDENTITY, corrupt
from lenet.images.framing import SIDE


def load_corrupted(source: str | Path, split: Split, seed: int = 0) -> dict[str, ImageSet]:
    """The control and the fifteen corruptions of a data set, by name, the control first.

    `source` and `split` are as `load` takes them; a folder with the published MNIST-C is taken as it is.
    Raises DataError where `load` does, and unless images are 28×28.
    """
    folder = Path(source).expanduser()
    if is_published(folder):
        return load_published(folder)
    return corrupt_all(load(source, split), seed)


def corrupt_all(data: ImageSet, seed: int = 0) -> dict[str, ImageSet]:
    """The control and the fifteen corruptions of `data`, by name. Raises DataError unless 28×28."""
    spoilt = {name: replace(data, images=corrupt(data.images, name, seed)) for name in CORRUPTIONS}
    return {IDENTITY: data, **spoilt}


MOST_IMAGES = 100_000
CLASSES = tuple("0123456789")


def is_published(folder: Path) -> bool:
    """Whether a folder holds folders that are named as the published corruptions are."""
    return any((folder / name / "test_images.npy").is_file() for name in (IDENTITY, *CORRUPTIONS))


def load_published(folder: Path) -> dict[str, ImageSet]:
    """The control and the fifteen corruptions, by name, from a folder that holds all of them.

    Raises DataError, naming the file, when one is missing, damaged or of another shape or type.
    """
    return {name: _load(folder / name) for name in (IDENTITY, *CORRUPTIONS)}


def _load(folder: Path) -> ImageSet:
    images = _read(folder / "test_images.npy")
    labels = _read(folder / "test_labels.npy")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[1:] not in _SHAPES:
        raise DataError(
            f"{folder / 'test_images.npy'}: bytes (N, {SIDE}, {SIDE}, 1) are needed, not "
            f"{images.dtype} {images.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{folder / 'test_labels.npy'}: {len(images):,} whole numbers are needed, not "
            f"{labels.dtype} {labels.shape}"
        )
    pixels = torch.from_numpy(images.reshape(-1, 1, SIDE, SIDE))
    return ImageSet(pixels, torch.from_numpy(labels.astype(np.int64)), CLASSES, str(folder))


_SHAPES = ((SIDE, SIDE), (SIDE, SIDE, 1))


def _read(path: Path) -> NDArray[np.generic]:
    """An array of plain numbers from an .npy file, checked before its memory is asked for."""
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_columns, kind = read_header(file)
            size = prod(shape)
            if (
                kind.hasobject
                or kind.itemsize > 8
                or min(shape, default=0) < 1
                or size > MOST_IMAGES * SIDE**2
            ):
                raise DataError(f"{path}: holds {kind} {shape}, which no file of MNIST-C does")
            content = file.read(size * kind.itemsize + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; all sixteen folders of MNIST-C are needed") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: no .npy file ({' '.join(str(error).split())})") from None
    if len(content) != size * kind.itemsize:
        raise DataError(f"{path}: {len(content):,} bytes where {shape} of {kind} are promised; copy it again")
    array = np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")
    return np.array(array, dtype=kind.newbyteorder("="))
