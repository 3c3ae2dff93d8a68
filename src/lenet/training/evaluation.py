"""How well a network does on labelled images: accuracy, per class, confusion, hardest examples."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.data.imageset import ImageSet
from lenet.errors import DataError
from lenet.images.inline import write_table
from lenet.models.adapter import Network, as_network, plain_pixels
from lenet.models.checkpoint import Checkpoint
from lenet.models.classic_layers import RadialBasis
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.torch_inference import pack_module
from lenet.training.process_group import ALONE, ProcessGroup
from lenet.uncertainty.calibration import (
    Reliability,
    bin_confidence,
    compute_calibration_error,
    fit_temperature,
)
from lenet.uncertainty.rejection import interval
from lenet.uncertainty.risk import compute_risk, summarise_risk

BATCH = 1000  # fits the caches better than the whole set at once


@dataclass(frozen=True)
class ClassMetrics:
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
    per_class: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Row: the true class; column: the predicted one."""
    hardest: tuple[HardExample, ...]

    @property
    def count_right(self) -> int:
        """How many images are read right."""
        return sum(row[number] for number, row in enumerate(self.confusion))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Clopper and Pearson 1934)."""
        low, high = interval(self.count_right, self.count)
        return float(low), float(high)

    def _repr_html_(self) -> str:
        """For notebooks: the metrics in a line, and a table of the classes."""
        low, high = self.interval
        rows = []
        for number, (one, counts) in enumerate(zip(self.per_class, self.confusion, strict=True)):
            wrong = [0 if place == number else count for place, count in enumerate(counts)]
            often = f"{self.per_class[wrong.index(max(wrong))].name} ({max(wrong):,})" if any(wrong) else ""
            shares = (f"{share:.2%}" for share in (one.precision, one.recall, one.f1))
            rows.append((one.name, f"{one.count:,}", *shares, often))
        return write_table(
            f"accuracy {self.accuracy:.2%} of {self.count:,} images (95 % interval {low:.2%} to {high:.2%}), "
            f"loss {self.loss:.4f}, calibration error {self.calibration_error:.2%}",
            ("class", "images", "precision", "recall", "F1", "most often confused with"),
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compute_logits(model: Network, images: Tensor, group: ProcessGroup = ALONE) -> Tensor:
    """Logits (N, classes), on the CPU, for any number of images (N, 1, H, W); the model keeps its mode.

    The processes of a group share the batches. Each image is computed once, and every process gets the logits
    of all images, with the bits that one process computes.
    """
    if group.size > 1:
        batches = images.split(BATCH)
        own = {
            place: compute_logits(model, batches[place])
            for place in range(group.rank, len(batches), group.size)
        }
        return group.assemble(own, [len(batch) for batch in batches], model.config.classes)
    packed = pack_module(model) if isinstance(model, LeNet) and images.dtype == torch.uint8 else None
    if packed is not None:
        parts = [packed.compute_logits(batch.numpy()) for batch in images.cpu().split(BATCH)]
        return torch.from_numpy(np.concatenate(parts))
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits = [model(batch.to(device)) for batch in images.split(BATCH)]
            return torch.cat(logits).cpu()
    finally:
        model.train(was_training)


def evaluate(
    network: nn.Module | Checkpoint,
    data: ImageSet,
    hardest: int = 50,
    *,
    pixels: LeNetConfig | None = None,
    group: ProcessGroup = ALONE,
) -> Evaluation:
    """Measure a network, or a loaded checkpoint, on `data`; keep the `hardest` examples by loss.

    `network` may be any module from pixels (N, 1, H, W) to logits (N, classes). One that is no LeNet gets
    pixels prepared as `pixels` says, such as a recipe's `model`; by default floats 0..1 of the images' size.
    The processes of a `group` share the images, and all get the same figures.
    Raises DataError when the network does not know the data's classes, ModelError when it gives no logits.
    """
    if isinstance(network, Checkpoint):
        data, network = match_classes(network, data), network.model
    network = as_network(network, pixels or plain_pixels(data.images), len(data.classes))
    if network.config.classes != len(data.classes):
        raise DataError(
            f"{data.name} has {len(data.classes)} classes, the network was made for {network.config.classes}"
        )
    logits = compute_logits(network, data.images, group)
    labels = data.labels.cpu()
    losses = functional.cross_entropy(network.with_reject_logit(logits), labels, reduction="none")
    everything = network.as_probabilities(logits)
    probabilities, predicted = everything.max(dim=1)
    classes = len(data.classes)
    confusion = (labels * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
    order = losses.argsort(descending=True, stable=True)[:hardest].tolist()
    return Evaluation(
        count=len(data),
        accuracy=(predicted == labels).double().mean().item(),
        loss=losses.double().mean().item(),
        calibration_error=compute_calibration_error(bin_confidence(everything, labels)),
        per_class=_measure_classes(confusion, data.classes),
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


def _measure_classes(confusion: Tensor, names: tuple[str, ...]) -> tuple[ClassMetrics, ...]:
    """Precision, recall and F1 of each class; 0 where nothing was of it or nothing was called it."""
    right = confusion.diagonal().double()
    true, called = confusion.sum(dim=1), confusion.sum(dim=0)
    precision, recall = right / called.clamp(min=1), right / true.clamp(min=1)
    f1 = 2 * right / (true + called).clamp(min=1)
    columns = zip(names, true.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True)
    return tuple(ClassMetrics(*row) for row in columns)


def calibrate(checkpoint: Checkpoint, validation: ImageSet) -> Checkpoint:
    """The same network with calibrated probabilities; its card holds `temperature` and `rejection`.

    The temperature is divided out of the last layer's weights and biases, so what uses the network need not
    know of it; no answer changes. `checkpoint` is changed in place. `validation` are images that it was not
    trained on.
    """
    model = checkpoint.model
    logits = compute_logits(model, validation.images)
    temperature = fit_temperature(model.with_reject_logit(logits), validation.labels)
    last = [layer for layer in model.children() if isinstance(layer, nn.Linear | RadialBasis)][-1]
    parts = (last.bias, last.scale) if isinstance(last, RadialBasis) else last.parameters()
    with torch.no_grad():
        for part in parts:
            part.div_(temperature)
    probabilities = model.as_probabilities(compute_logits(model, validation.images))
    rejection = summarise_risk(probabilities, validation.labels)
    return Checkpoint(model, checkpoint.card | {"temperature": temperature, "rejection": rejection})


@dataclass(frozen=True)
class Robustness:
    """Accuracy on corrupted images, each kind of corruption by itself."""

    accuracies: Mapping[str, float]
    """By the name of the corruption; the control, too."""

    @property
    def mean(self) -> float:
        """Over the fifteen corruptions, without the control."""
        from lenet.images.corruptions import CORRUPTIONS  # imports scipy, which a training need not wait for

        return mean(self.accuracies[name] for name in CORRUPTIONS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"corruptions": dict(self.accuracies), "corruptions_mean": self.mean}


def measure_reliability(checkpoint: Checkpoint, data: ImageSet) -> Reliability:
    """Measure what rejection costs and how well probabilities fit. Raises DataError on unknown classes."""
    data, model = match_classes(checkpoint, data), checkpoint.model
    probabilities, labels = model.as_probabilities(compute_logits(model, data.images)), data.labels.cpu()
    return Reliability(compute_risk(probabilities, labels), bin_confidence(probabilities, labels))


def measure_robustness(checkpoint: Checkpoint, corrupted: Mapping[str, ImageSet]) -> Robustness:
    """Measure the accuracy on each of the sets of `load_corrupted`. Raises DataError on unknown classes."""
    accuracies = {}
    for name, data in corrupted.items():
        matched = match_classes(checkpoint, data)
        predicted = compute_logits(checkpoint.model, matched.images).argmax(dim=1)
        accuracies[name] = (predicted == matched.labels.cpu()).double().mean().item()
    return Robustness(accuracies)
