"""Pictures of what a network does: the steps of reading, grids of examples, the confusion matrix."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.insight.plots.canvas import save_figure
from lenet.models.network import LeNet
from lenet.reading.pipeline import ReadingStep
from lenet.training.evaluation import Evaluation, compute_logits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WRONG = "#c92a2a"
RIGHT = "#2b8a3e"


def draw_steps(steps: Sequence[ReadingStep], path: Path, title: str = "") -> None:
    """The strip of `lenet predict --explain`: each step's picture, its name and the reason for it."""
    figure = _figure(2.3 * len(steps), 3.4)
    figure.suptitle(title)
    for place, step in enumerate(steps, 1):
        axes = figure.add_subplot(1, len(steps), place)
        _show_image(axes, step.image)
        axes.set_title(f"{place}. {step.name}", fontsize=10)
        axes.set_xlabel(_wrap(step.reason, 30), fontsize=7.5)
    save_figure(figure, path)


def draw_sample(model: LeNet, data: ImageSet, indices: Tensor, path: Path) -> int:
    """Draw the images at `indices` with what the network reads them as; errors in red, with the truth.

    Returns the number of errors.
    """
    sample = data.subset(indices)
    probabilities, predicted = model.as_probabilities(compute_logits(model, sample.images)).max(dim=1)
    captions = []
    for label, answer, probability in zip(
        sample.labels.tolist(), predicted.tolist(), probabilities.tolist(), strict=True
    ):
        truth = "" if answer == label else f", is {data.classes[label]}"
        captions.append((f"{data.classes[answer]} {probability:.0%}{truth}", answer == label))
    errors = sum(not is_right for _, is_right in captions)
    title = f"{data.name}: {len(sample)} images, {errors} read wrong (red)"
    _draw_grid(sample.images, captions, path, title)
    return errors


def draw_hardest(evaluation: Evaluation, data: ImageSet, path: Path) -> None:
    """Draw the hardest examples of an evaluation, the worst first."""
    captions = [
        (
            f"{hard.label} as {hard.predicted} {hard.probability:.0%}"
            if hard.label != hard.predicted
            else f"{hard.label} {hard.probability:.0%}",
            hard.label == hard.predicted,
        )
        for hard in evaluation.hardest
    ]
    images = data.images[[hard.index for hard in evaluation.hardest]]
    _draw_grid(images, captions, path, f"{data.name}: the hardest examples by loss; red ones are read wrong")


def draw_confusion(evaluation: Evaluation, path: Path, title: str = "") -> None:
    """Draw the confusion matrix: rows are the true classes, columns what they are read as."""
    counts = np.array(evaluation.confusion)
    names = [row.name for row in evaluation.per_class]
    side = max(4.5, 0.5 * len(names) + 1.5)
    figure = _figure(side + 0.5, side)
    axes = figure.add_subplot()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    # The square root lets rare errors be seen beside the full diagonal.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="read as", ylabel="true class")
    figure.suptitle(_wrap(title or f"accuracy {evaluation.accuracy:.2%}", int(10 * side)))
    save_figure(figure, path)


def _draw_grid(images: Tensor, captions: Sequence[tuple[str, bool]], path: Path, title: str) -> None:
    columns = min(10, len(captions))
    rows = -(-len(captions) // columns)
    figure = _figure(1.25 * columns, 1.45 * rows + 0.5)
    figure.suptitle(title)
    for place, (image, (caption, is_right)) in enumerate(zip(images, captions, strict=True), 1):
        axes = figure.add_subplot(rows, columns, place)
        _show_image(axes, image[0].numpy())
        axes.set_title(_wrap(caption, 20), fontsize=7, color=RIGHT if is_right else WRONG)
    save_figure(figure, path)


def _show_image(axes: "Axes", image: np.ndarray) -> None:
    axes.imshow(
        image, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if max(image.shape) < 64 else None
    )
    axes.set(xticks=[], yticks=[])


def _wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure  # a second to import, needed only here

    return Figure(figsize=(width, height), dpi=110, layout="constrained")
