"""A data set with every corruption of it: spoilt here, or the published files."""

from dataclasses import replace
from pathlib import Path

from lenet.data.corruptions.corrupt import CORRUPTIONS, IDENTITY, corrupt
from lenet.data.corruptions.published import is_published, load_published
from lenet.data.datasets import ImageSet, load
from lenet.data.sources import Split


def load_corrupted(source: str | Path, split: Split, seed: int = 0) -> dict[str, ImageSet]:
    """The control and the fifteen corruptions of a data set, by name, the control first.

    `source` and `split` are as `load` takes them; a folder with the published MNIST-C is taken as it is.
    Raises DataError where `load` does, and unless images are 28×28.
    """
    folder = Path(source).expanduser()
    if is_published(folder):
        return load_published(folder)
    return spoil(load(source, split), seed)


def spoil(data: ImageSet, seed: int = 0) -> dict[str, ImageSet]:
    """The control and the fifteen corruptions of `data`, by name. Raises DataError unless 28×28."""
    spoilt = {name: replace(data, images=corrupt(data.images, name, seed)) for name in CORRUPTIONS}
    return {IDENTITY: data, **spoilt}
