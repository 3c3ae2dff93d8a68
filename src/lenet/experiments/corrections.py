"""Corrected pictures of one writer, framed as reading frames them, to adapt a checkpoint to."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.data.custom import Example, list_pictures
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.errors import DataError, PictureError
from lenet.images.decoding import decode
from lenet.images.framing import SIDE, frame_full_image
from lenet.models.checkpoint import Checkpoint
from lenet.models.line_config import DIGITS
from lenet.reading.reader import Reader


def frame_corrections(path: Path, checkpoint: Checkpoint) -> tuple[ImageSet, ImageSet] | None:
    """The corrections in `path`, a folder of class folders or a CSV, and the images to test on.

    Each picture is read as one digit, and the image that the network then sees is taken. A picture of 28×28
    pixels is framed already and keeps its pixels. All pictures are learnt from; the test images are
    scikit-learn's 360 test digits, which show what is forgotten. Where the pictures are split in train and
    test, the test half is tested on instead.

    Returns None for a folder of IDX files, whose images need no framing. Raises DataError for a picture
    without a digit, for a class that the checkpoint does not know, and for a checkpoint of other classes
    than digits.
    """
    examples = list_pictures(path)
    if examples is None:
        return None
    if checkpoint.classes != DIGITS:
        raise DataError("rehearsal is on digits, and the checkpoint has other classes; name a recipe")
    strange = {example.label for example in examples} - set(DIGITS)
    if strange:
        raise DataError(f"{path} has a class {min(strange)!r}; name the folders 0 to 9")
    halves = [[e for e in examples if (e.split == "test") is is_test] for is_test in (False, True)]
    if not halves[0]:
        raise DataError(f"{path}: has no train pictures; add some, or remove the split")
    reader = Reader(checkpoint)
    train, test = (_gather(half, path, reader) if half else None for half in halves)
    assert train is not None
    return train, test or load("digits", "test")


def _gather(examples: list[Example], path: Path, reader: Reader) -> ImageSet:
    images = torch.from_numpy(np.stack([_frame(example.path, reader) for example in examples]))
    labels = torch.tensor([int(example.label) for example in examples])
    return ImageSet(images.unsqueeze(1), labels, DIGITS, str(path), full_image=reader.reads_whole_pictures)


def _frame(path: Path, reader: Reader) -> NDArray[np.uint8]:
    try:
        decoded = decode(path)
        if decoded.pixels.shape[:2] == (SIDE, SIDE):
            return frame_full_image(decoded)
        reading, steps = reader.explain(path, length=1)
    except PictureError as error:
        raise DataError(str(error)) from error
    if not reading.digits:
        raise DataError(f"{path}: {reading.reason}; remove it")
    return steps[-1].image
