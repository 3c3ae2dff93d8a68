"""A data set under every corruption: computed here, or read from the published files of MNIST-C."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.data.sources import DIGITS, Split
from lenet.errors import DataError
from lenet.images.corruptions import CORRUPTIONS, IDENTITY, corrupt
from lenet.images.framing import SIDE

MAX_IMAGES = 100_000
_SHAPES = ((SIDE, SIDE), (SIDE, SIDE, 1))


def load_corrupted(source: str | Path, split: Split, seed: int = 0) -> dict[str, ImageSet]:
    """The uncorrupted data set and its fifteen corruptions, by name; the uncorrupted one is first.

    `source` and `split` are those of `load`. The published MNIST-C is read if `source` is its folder.
    Raises DataError where `load` does, and unless the images are 28×28.
    """
    folder = Path(source).expanduser()
    if is_published(folder):
        return load_published(folder)
    return corrupt_all(load(source, split), seed)


def corrupt_all(data: ImageSet, seed: int = 0) -> dict[str, ImageSet]:
    """`data` and its fifteen corruptions, by name. Raises DataError unless the images are 28×28."""
    corrupted = {name: replace(data, images=corrupt(data.images, name, seed)) for name in CORRUPTIONS}
    return {IDENTITY: data, **corrupted}


def is_published(folder: Path) -> bool:
    """True when a folder has subfolders named like the published corruptions."""
    return any((folder / name / "test_images.npy").is_file() for name in (IDENTITY, *CORRUPTIONS))


def load_published(folder: Path) -> dict[str, ImageSet]:
    """The uncorrupted images and the fifteen corruptions, by name, from the folder of MNIST-C.

    Raises DataError, naming the file, when one is missing or damaged, or has another shape or type.
    """
    return {name: _load(folder / name) for name in (IDENTITY, *CORRUPTIONS)}


def _load(folder: Path) -> ImageSet:
    images = _read(folder / "test_images.npy")
    labels = _read(folder / "test_labels.npy")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[1:] not in _SHAPES:
        raise DataError(
            f"{folder / 'test_images.npy'}: must hold uint8 (N, {SIDE}, {SIDE}, 1), not "
            f"{images.dtype} {images.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{folder / 'test_labels.npy'}: must hold {len(images):,} integers, not "
            f"{labels.dtype} {labels.shape}"
        )
    pixels = torch.from_numpy(images.reshape(-1, 1, SIDE, SIDE))
    return ImageSet(pixels, torch.from_numpy(labels.astype(np.int64)), DIGITS, str(folder))


def _read(path: Path) -> NDArray[np.generic]:
    """Read an array of numbers from an .npy file; the header is checked before memory is allocated."""
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran_order, kind = read_header(file)
            size = prod(shape)
            if (
                kind.hasobject
                or kind.itemsize > 8
                or min(shape, default=0) < 1
                or size > MAX_IMAGES * SIDE**2
            ):
                raise DataError(f"{path}: holds {kind} {shape}; no file of MNIST-C does")
            content = file.read(size * kind.itemsize + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; all sixteen folders of MNIST-C are needed") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: not an .npy file ({' '.join(str(error).split())})") from None
    if len(content) != size * kind.itemsize:
        raise DataError(f"{path}: {len(content):,} bytes, but its header says {kind} {shape}; copy it again")
    array = np.frombuffer(content, kind).reshape(shape, order="F" if fortran_order else "C")
    return np.array(array, dtype=kind.newbyteorder("="))
