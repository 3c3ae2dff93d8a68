"""How well a network does on labelled images: accuracy, per class, confusion, hardest examples."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lenet.data.datasets import ImageSet
from lenet.errors import DataError
from lenet.models.calibration import bin_confidence, figure_calibration_error
from lenet.models.checkpoint import Checkpoint
from lenet.models.network import LeNet

BATCH = 1000  # fits the caches better than the whole set at once


@dataclass(frozen=True)
class ClassFigures:
    """One class: how many images are of it, and how well they are found."""

    name: str
    count: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class HardExample:
    """An image that the network got most wrong, or was least sure of."""

    index: int
    label: str
    predicted: str
    probability: float
    """What the network gave its own answer."""
    loss: float


@dataclass(frozen=True)
class Evaluation:
    """Figures of one network on one data set."""

    count: int
    accuracy: float
    loss: float
    """Mean cross-entropy in nats."""
    calibration_error: float
    """Mean distance between confidence and accuracy, over 15 bins of equally many images."""
    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Row: the true class; column: the predicted one."""
    hardest: tuple[HardExample, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compute_logits(model: LeNet, images: Tensor) -> Tensor:
    """Logits (N, classes), on the CPU, for any number of images (N, 1, H, W); the model keeps its mode."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits = [model(batch.to(device)) for batch in images.split(BATCH)]
            return torch.cat(logits).cpu()
    finally:
        model.train(was_training)


def evaluate(network: LeNet | Checkpoint, data: ImageSet, hardest: int = 50) -> Evaluation:
    """Measure a network, or a loaded checkpoint, on `data`; keep the `hardest` examples by loss.

    Raises DataError when the network does not know the data's classes.
    """
    if isinstance(network, Checkpoint):
        data, network = match_classes(network, data), network.model
    if network.config.classes != len(data.classes):
        raise DataError(
            f"{data.name} has {len(data.classes)} classes, the network was made for {network.config.classes}"
        )
    logits = compute_logits(network, data.images)
    labels = data.labels.cpu()
    losses = functional.cross_entropy(network.with_background(logits), labels, reduction="none")
    everything = network.as_probabilities(logits)
    probabilities, predicted = everything.max(dim=1)
    classes = len(data.classes)
    confusion = (labels * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
    order = losses.argsort(descending=True, stable=True)[:hardest].tolist()
    return Evaluation(
        count=len(data),
        accuracy=(predicted == labels).double().mean().item(),
        loss=losses.double().mean().item(),
        calibration_error=figure_calibration_error(bin_confidence(everything, labels)),
        per_class=_figure_classes(confusion, data.classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        hardest=tuple(
            HardExample(
                index=index,
                label=data.classes[int(labels[index])],
                predicted=data.classes[int(predicted[index])],
                probability=probabilities[index].item(),
                loss=losses[index].item(),
            )
            for index in order
        ),
    )


def match_classes(checkpoint: Checkpoint, data: ImageSet) -> ImageSet:
    """`data` with the checkpoint's classes and their numbers; classes are the same by name.

    Raises DataError when the data have a class that the checkpoint does not know.
    """
    numbers = {name: number for number, name in enumerate(checkpoint.classes)}
    strange = [name for name in data.classes if name not in numbers]
    if strange:
        known = ", ".join(checkpoint.classes[:3])
        raise DataError(
            f"{data.name} has a class {strange[0]!r}; the checkpoint knows {len(numbers)} others "
            f"({known} …), so evaluate it on data of those"
        )
    order = torch.tensor([numbers[name] for name in data.classes])
    return replace(data, labels=order[data.labels], classes=checkpoint.classes)


def _figure_classes(confusion: Tensor, names: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class; 0 where nothing was of it or nothing was called it."""
    right = confusion.diagonal().double()
    true, called = confusion.sum(dim=1), confusion.sum(dim=0)
    precision, recall = right / called.clamp(min=1), right / true.clamp(min=1)
    f1 = 2 * right / (true + called).clamp(min=1)
    columns = zip(names, true.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True)
    return tuple(ClassFigures(*row) for row in columns)
