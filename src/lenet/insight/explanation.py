"""Explanations of single images: the digits of a picture as the network sees them, or test images."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.errors import DataError, PictureError
from lenet.images.decoding import Picture
from lenet.insight.activations import Subject, describe_layers, find_patches, trace_maps
from lenet.insight.attribution import compute_attribution
from lenet.insight.plots.layers import draw_attribution, draw_filters, draw_layers, draw_patches
from lenet.models.checkpoint import Checkpoint
from lenet.models.layers import CONVOLUTION_KINDS
from lenet.models.network import LeNet
from lenet.phrases import ClassName, Phrase
from lenet.reading.reader import Reader
from lenet.training.evaluation import BATCH, match_classes

MOST_SUBJECTS = 6  # side by side; more cannot be made out


def find_subjects(checkpoint: Checkpoint, picture: Picture, name: str) -> list[Subject]:
    """The images that the network gets of a picture: one for each digit read, or one for all of it.

    Raises PictureError when the picture cannot be read or holds nothing to explain.
    """
    reading, steps = Reader(checkpoint).explain(picture)
    images = [torch.tensor(step.image)[None] for step in steps if step.name == "digit"]
    if not images:
        raise PictureError(f"{name}: {reading.reason}; there is nothing to explain")
    rows = [digit.probabilities for digit in reading.digits]
    if len(images) == 1:
        # The confidence of a single digit is its probability times that of one digit being there.
        share = reading.confidence / reading.digits[0].probability
        return [Subject(name, images[0], probabilities=tuple(share * p for p in rows[0]))]
    return [
        Subject(Phrase("{name}, digit {number}", name=name, number=number), image, probabilities=row)
        for number, (image, row) in enumerate(zip(images, rows, strict=True), 1)
    ]


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
    name = Phrase("image {index}, {label}", index=index, label=ClassName(label))
    return Subject(name, data.images[index], label)


def pick_sample(data: ImageSet, label: str) -> Subject:
    """The first image of a class. Raises DataError where the data have none of it."""
    places = (data.labels == find_class(data.classes, label)).nonzero()
    if not len(places):
        raise DataError(f"{data.name} has no image of the class {label!r}")
    return pick_subject(data, int(places[0]))


def explain_subjects(
    checkpoint: Checkpoint, subjects: Sequence[Subject], folder: Path, title: str = ""
) -> list[dict[str, Any]]:
    """Draw layers.png, attribution.png and filters.png; return their main values, a row for each subject."""
    model, classes = checkpoint.model, checkpoint.classes
    attributions = []
    for subject in subjects:
        # Where the truth is known and missed, it is the rival to understand.
        truth = None if subject.label is None else classes.index(subject.label)
        found = compute_attribution(model, subject.image, truth)
        if subject.probabilities is not None:
            found = replace(found, probabilities=torch.tensor(subject.probabilities))
        attributions.append(found)
    draw_layers(model, subjects, folder / "layers.png", title, classes)
    draw_attribution(subjects, attributions, classes, folder / "attribution.png", title)
    draw_filters(model, folder / "filters.png", title)
    rows = []
    for subject, found in zip(subjects, attributions, strict=True):
        row, column = divmod(int(found.occlusion[0].argmax()), found.occlusion.shape[2])
        rows.append(
            {
                "name": subject.name,
                "label": subject.label,
                "predicted": classes[found.predicted],
                "probability": float(found.probabilities[found.predicted]),
                "rival": classes[found.rival],
                "rival_probability": float(found.probabilities[found.rival]),
                "strongest_evidence": {"row": row, "column": column},
                "layers": describe_layers(trace_maps(model, subject.image[None]), 0),
            }
        )
    return rows


def show_patches(checkpoint: Checkpoint, data: ImageSet, path: Path, title: str = "") -> None:
    """Draw the patches of `data` that activate each map of the first two convolutions most."""
    names = ["conv1", "conv2"][: len(checkpoint.model.config.channels)]
    patches = [find_patches(checkpoint.model, data.images, name) for name in names]
    draw_patches(patches, data.name, path, title)


def compare_classes(
    checkpoint: Checkpoint, data: ImageSet, names: tuple[str, str], path: Path, title: str = ""
) -> dict[str, Any]:
    """Draw the first two layers for an image of each of two classes, and where the classes differ.

    Returns, by layer, the maps (from 1) in the order of the distance between the mean maps of the two
    classes, in standard deviations of the map. Raises DataError where the data have no such class or no
    image of it.
    """
    model, data = checkpoint.model, match_classes(checkpoint, data)
    numbers = [find_class(data.classes, name) for name in names]
    if numbers[0] == numbers[1]:
        raise DataError(f"{names[0]} and {names[1]} are the same class; compare two")
    members = [(data.labels == number).nonzero().flatten() for number in numbers]
    for number, places in zip(numbers, members, strict=True):
        if not len(places):
            raise DataError(f"{data.name} has no image of the class {data.classes[number]!r}")
    layers = first_layers(model)
    means, deviations = zip(
        *(measure_maps(model, data.images[places], layers) for places in members), strict=True
    )
    difference = {layer: means[0][layer] - means[1][layer] for layer in layers}
    first, second = (data.classes[number] for number in numbers)
    heading = Phrase(
        "{first} − {second}:\nmeans of {count:,} and {other:,} images",
        first=ClassName(first),
        second=ClassName(second),
        count=len(members[0]),
        other=len(members[1]),
    )
    draw_layers(
        model,
        [pick_subject(data, int(places[0])) for places in members],
        path,
        title,
        difference=(heading, difference),
        layers=layers,
    )
    apart = {}
    for layer in layers:
        spread = ((deviations[0][layer] + deviations[1][layer]) / 2).mean(dim=(1, 2)).sqrt()
        effect = difference[layer].square().mean(dim=(1, 2)).sqrt() / spread.clamp(min=1e-12)
        order = effect.argsort(descending=True).tolist()
        apart[layer] = [{"map": number + 1, "distance": effect[number].item()} for number in order]
    return {"classes": [first, second], "count": [len(places) for places in members], "layers": apart}


def first_layers(model: LeNet) -> list[str]:
    """The names of the activations of the first two convolutions."""
    rows = model.config.layers()
    return [after.name for row, after in pairwise(rows) if row.kind in CONVOLUTION_KINDS][:2]


def measure_maps(
    model: LeNet, images: Tensor, layers: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The mean and the variance, (C, h, w) each, of the maps of some layers over images (N, 1, H, W)."""
    sums: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    for batch in images.split(BATCH):
        maps = trace_maps(model, batch)
        for layer in layers:
            values = maps[layer].double()
            sums[layer] = sums.get(layer, torch.zeros(1)) + values.sum(dim=0)
            squares[layer] = squares.get(layer, torch.zeros(1)) + values.square().sum(dim=0)
    means = {layer: total / len(images) for layer, total in sums.items()}
    return means, {
        layer: (squares[layer] / len(images) - means[layer].square()).clamp(min=0) for layer in layers
    }
