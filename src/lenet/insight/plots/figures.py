"""Figures made of images: the steps of reading, grids of examples, corruptions; and the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.insight.language import say, translate_text
from lenet.insight.plots.canvas import choose_rotation, make_figure, name_row, save_figure, show_image, wrap
from lenet.models.network import LeNet
from lenet.phrases import ClassName, Phrase
from lenet.reading.pipeline import ReadingStep
from lenet.training.evaluation import Evaluation, Robustness, compute_logits

WRONG = "#c92a2a"
RIGHT = "#2b8a3e"
STEPS_IN_ROW = 4  # so that a single digit's eight steps are two rows
SAMPLES = 8  # of each corruption on the sheet


def draw_steps(steps: Sequence[ReadingStep], path: Path, title: str = "") -> None:
    """The figure of `lenet predict --explain`: each step's image, its name and the reason for it."""
    rows = [steps[start : start + STEPS_IN_ROW] for start in range(0, len(steps), STEPS_IN_ROW)]
    shapes = [[step.image.shape for step in row] for row in rows]
    heights = [max(0.6, min(3.2, max(2.3 * shape[0] / shape[1] for shape in row))) + 1.1 for row in shapes]
    figure = make_figure(10, sum(heights) + 0.4, title, 0.03)
    cells = figure.subplots(len(rows), STEPS_IN_ROW, squeeze=False, height_ratios=heights)
    for axes in cells.flat[len(steps) :]:
        axes.axis("off")
    for number, (axes, step) in enumerate(zip(cells.flat, steps, strict=False), 1):
        show_image(axes, step.image)
        axes.set_title(f"{number}. {translate_text(step.name)}", fontsize=14)
        axes.set_xlabel(wrap(translate_text(step.reason), 26), fontsize=11)
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
        is_right = answer == label
        template = "{name} {share:.0%}" if is_right else "{name} {share:.0%}, is {truth}"
        names = {"name": ClassName(data.classes[answer]), "truth": ClassName(data.classes[label])}
        captions.append((say(template, share=probability, **names), is_right))
    errors = sum(not is_right for _, is_right in captions)
    title = "{data}: {count} images, {errors} read wrong (red)"
    _draw_grid(sample.images, captions, path, say(title, data=data.name, count=len(sample), errors=errors))
    return errors


def draw_hardest(evaluation: Evaluation, data: ImageSet, path: Path) -> None:
    """Draw the hardest examples of an evaluation, the highest loss first."""
    captions = []
    for hard in evaluation.hardest:
        is_right = hard.label == hard.predicted
        template = "{name} {share:.0%}" if is_right else "{name} as {predicted} {share:.0%}"
        names = {"name": ClassName(hard.label), "predicted": ClassName(hard.predicted)}
        captions.append((say(template, share=hard.probability, **names), is_right))
    images = data.images[[hard.index for hard in evaluation.hardest]]
    title = say("{data}: the hardest examples by loss; red ones are read wrong", data=data.name)
    _draw_grid(images, captions, path, title)


def draw_confusion(evaluation: Evaluation, path: Path, title: str = "") -> None:
    """Draw the confusion matrix: rows are the true classes, columns the predicted ones."""
    counts = np.array(evaluation.confusion)
    names = [translate_text(ClassName(row.name)) for row in evaluation.per_class]
    side = max(4.5, 0.5 * len(names) + 1.5)
    figure = make_figure(side + 0.5, side, title or say("accuracy {share:.2%}", share=evaluation.accuracy))
    axes = figure.add_subplot()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    # The square root lets rare errors be seen beside the full diagonal.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=choose_rotation(names))
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=say("predicted class"), ylabel=say("true class"))
    save_figure(figure, path)


def draw_corruptions(
    corrupted: Mapping[str, ImageSet], robustness: Robustness, path: Path, title: str = ""
) -> None:
    """Draw a sheet of samples: a row for each corruption, with the accuracy on it."""
    figure = make_figure(0.75 * SAMPLES + 1.6, 0.75 * len(corrupted) + 0.6, title)
    rows = figure.subplots(len(corrupted), 1)
    for axes, (name, data) in zip(rows, corrupted.items(), strict=True):
        show_image(axes, np.concatenate([image[0].numpy() for image in data.images[:SAMPLES]], axis=1))
        name_row(axes, f"{translate_text(Phrase(name.replace('_', ' ')))}\n{robustness.accuracies[name]:.2%}")
    save_figure(figure, path)


def _draw_grid(images: Tensor, captions: Sequence[tuple[str, bool]], path: Path, title: str) -> None:
    columns = min(10, len(captions))
    rows = -(-len(captions) // columns)
    figure = make_figure(1.25 * columns, 1.45 * rows + 0.5, title)
    for place, (image, (caption, is_right)) in enumerate(zip(images, captions, strict=True), 1):
        axes = figure.add_subplot(rows, columns, place)
        show_image(axes, image[0].numpy())
        axes.set_title(wrap(caption, 20), fontsize=7, color=RIGHT if is_right else WRONG)
    save_figure(figure, path)
