"""One look into a network: the figures of `lenet explain` in a folder, and the same as plain values."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenet.data.datasets import ImageSet
from lenet.errors import DataError
from lenet.insight.activations import describe_layers, find_patches, trace_maps
from lenet.insight.evidence import weigh_evidence
from lenet.insight.sheets import draw_evidence, draw_filters, draw_layers, draw_patches
from lenet.insight.subjects import Subject, find_class, pick_subject
from lenet.models.checkpoint import Checkpoint
from lenet.models.network import LeNet
from lenet.training.evaluate import BATCH, match_classes


def explain_subjects(
    checkpoint: Checkpoint, subjects: Sequence[Subject], folder: Path, title: str = ""
) -> list[dict[str, Any]]:
    """Draw layers.png, evidence.png and filters.png; return what stands in them, a row a subject."""
    model, classes = checkpoint.model, checkpoint.classes
    evidence = []
    for subject in subjects:
        # Where the truth is known and missed, it is the rival to understand.
        truth = None if subject.label is None else classes.index(subject.label)
        evidence.append(weigh_evidence(model, subject.image, truth))
    draw_layers(model, subjects, folder / "layers.png", title, classes)
    draw_evidence(subjects, evidence, classes, folder / "evidence.png", title)
    draw_filters(model, folder / "filters.png", title)
    rows = []
    for subject, weighed in zip(subjects, evidence, strict=True):
        row, column = divmod(int(weighed.occlusion[0].argmax()), weighed.occlusion.shape[2])
        rows.append(
            {
                "name": subject.name,
                "label": subject.label,
                "predicted": classes[weighed.predicted],
                "probability": float(weighed.probabilities[weighed.predicted]),
                "rival": classes[weighed.rival],
                "rival_probability": float(weighed.probabilities[weighed.rival]),
                "strongest_evidence": {"row": row, "column": column},
                "layers": describe_layers(trace_maps(model, subject.image[None]), 0),
            }
        )
    return rows


def show_patches(checkpoint: Checkpoint, data: ImageSet, path: Path, title: str = "") -> None:
    """Draw what each map of the first two convolutions answers to most in `data`."""
    names = [f"conv{number}" for number in range(1, 3)][: len(checkpoint.model.config.channels)]
    patches = [find_patches(checkpoint.model, data.images, name) for name in names]
    draw_patches(patches, data.name, path, title)


def compare_classes(
    checkpoint: Checkpoint, data: ImageSet, names: tuple[str, str], path: Path, title: str = ""
) -> dict[str, Any]:
    """Draw the first two layers for an image of each of two classes, and where the classes differ.

    Returns, by layer, the maps (from 1) in the order of how far the mean maps of the two classes lie apart,
    in standard deviations of the map. Raises DataError where the data have no such class or no image of it.
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
    counts = " and ".join(f"{len(places):,}" for places in members)
    draw_layers(
        model,
        [pick_subject(data, int(places[0])) for places in members],
        path,
        title,
        difference=(f"{first} − {second}:\nmeans of {counts} images", difference),
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
    return [after.name for row, after in pairwise(rows) if row.kind == "Conv2d"][:2]


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
