"""The images that are looked into: digits of a picture as the network sees them, or samples of a data set."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lenet.data.datasets import ImageSet
from lenet.decode import Picture
from lenet.errors import DataError, PictureError
from lenet.inference.reader import Reader
from lenet.models.checkpoint import Checkpoint

MOST_SUBJECTS = 6  # side by side; more cannot be made out


@dataclass(frozen=True, eq=False)
class Subject:
    """One image, uint8 (1, H, W), what it is called, and what it is, where that is known."""

    name: str
    image: Tensor
    label: str | None = None


def find_subjects(checkpoint: Checkpoint, picture: Picture, name: str) -> list[Subject]:
    """What the network sees of a picture: an image for each digit read, or one for all of it.

    Raises PictureError when the picture cannot be read or holds nothing to look into.
    """
    reading, steps = Reader(checkpoint).explain(picture)
    images = [torch.tensor(step.image)[None] for step in steps if step.name == "digit"]
    if not images:
        raise PictureError(f"{name}: {reading.reason}; there is nothing to explain")
    if len(images) == 1:
        return [Subject(name, images[0])]
    return [Subject(f"{name}, digit {number}", image) for number, image in enumerate(images, 1)]


def find_class(classes: tuple[str, ...], name: str) -> int:
    """The number of the class called `name`, whatever its capitals. Raises DataError."""
    for match in (str, str.casefold):
        for number, known in enumerate(classes):
            if match(known) == match(name):
                return number
    raise DataError(
        f"there is no class {name!r}; the network knows {', '.join(classes[:12])}"
        + (f" and {len(classes) - 12} more" if len(classes) > 12 else "")
    )


def pick_subject(data: ImageSet, index: int) -> Subject:
    """The image at `index` of a data set. Raises DataError where there is none."""
    if not 0 <= index < len(data):
        raise DataError(f"{data.name} has the images 0 to {len(data) - 1}; there is no image {index}")
    label = data.classes[int(data.labels[index])]
    return Subject(f"image {index}, {label}", data.images[index], label)


def pick_sample(data: ImageSet, label: str) -> Subject:
    """The first image of a class. Raises DataError where the data have none of it."""
    places = (data.labels == find_class(data.classes, label)).nonzero()
    if not len(places):
        raise DataError(f"{data.name} has no image of the class {label!r}")
    return pick_subject(data, int(places[0]))
