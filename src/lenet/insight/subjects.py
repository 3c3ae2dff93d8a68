"""The images that are looked into: digits of a picture as the network sees them, or samples of a data set."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lenet.data.datasets import ImageSet
from lenet.decode import Picture, decode
from lenet.errors import DataError, PictureError
from lenet.inference.constraints import check_constraints
from lenet.inference.path import find_path
from lenet.inference.writing import find_lattice, whole_lattice
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
    decoded = decode(picture)
    lattice = whole_lattice(decoded) if checkpoint.reads_whole_pictures else find_lattice(decoded)
    if not lattice.arcs:
        raise PictureError(f"{name}: no ink was found; there is nothing to explain")
    images = torch.from_numpy(np.stack([arc.image for arc in lattice.arcs])).unsqueeze(1)
    with torch.inference_mode():
        device = next(checkpoint.model.parameters()).device
        rows = checkpoint.model.probabilities(images.to(device)).double().cpu().numpy()
    path, _ = find_path(lattice, rows, check_constraints(None, None, False))
    if not path:
        raise PictureError(f"{name}: nothing on it looks like a digit; there is nothing to explain")
    chosen = [images[taken.arc] for taken in path]
    if len(chosen) == 1:
        return [Subject(name, chosen[0])]
    return [Subject(f"{name}, digit {number}", image) for number, image in enumerate(chosen, 1)]


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
