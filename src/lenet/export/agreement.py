"""Proof that an exported network gives the answers of this package's own: on which images, how closely."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lenet.data.datasets import load
from lenet.data.imageset import ImageSet, spread
from lenet.models.checkpoint import Checkpoint
from lenet.models.line_config import DIGITS
from lenet.training.evaluation import compute_logits, match_classes
from lenet.training.runs import find_test_images, find_training_data

MOST_IMAGES = 1000  # to compare on, and to calibrate with

Floats = NDArray[np.floating[Any]]
Run = Callable[[NDArray[np.uint8]], Floats]


@dataclass(frozen=True)
class Samples:
    """Images to compare on and images to calibrate with; none is in both, and none trained on is compared."""

    test: ImageSet
    calibration: Tensor
    """uint8 (N, 1, H, W)."""
    title: str
    """Where `test` comes from, such as 'mnist test'."""
    knows_classes: bool
    """Whether the labels of `test` are classes of the checkpoint."""


@dataclass(frozen=True)
class Agreement:
    """What came of a comparison on N images."""

    images: int
    largest_difference: float
    """Of a logit."""
    accuracy: float | None
    """Of the exported network; None where the labels are none of its classes."""
    float_accuracy: float | None
    """Of the network in this package, on the same images."""


def find_samples(name: str, checkpoint: Checkpoint) -> Samples:
    """Test images for the checkpoint called `name`, spread evenly over its own test data.

    Where those are not on this machine, scikit-learn's digits; nothing is downloaded.
    """
    test = find_test_images(name, checkpoint, MOST_IMAGES)
    if test is not None:
        calibration = load(find_training_data(name, checkpoint), "train").images
        calibration = calibration[spread(len(calibration), MOST_IMAGES)]
        return Samples(test, calibration, f"{test.name} test", True)
    test, calibration = load("digits", "test"), load("digits", "train").images[:MOST_IMAGES]
    knows = set(DIGITS) <= set(checkpoint.classes)
    return Samples(
        match_classes(checkpoint, test) if knows else test, calibration, "scikit-learn's digits", knows
    )


def measure_agreement(checkpoint: Checkpoint, samples: Samples, run: Run) -> Agreement:
    """Compare `run`, from images uint8 (N, 1, H, W) to logits (N, classes), with the checkpoint's network."""
    expected = compute_logits(checkpoint.model, samples.test.images).numpy()
    found = run(samples.test.images.numpy())
    labels = samples.test.labels.numpy() if samples.knows_classes else None
    return Agreement(
        images=len(expected),
        largest_difference=float(np.abs(found - expected).max()),
        accuracy=_measure(found, labels),
        float_accuracy=_measure(expected, labels),
    )


def _measure(logits: Floats, labels: NDArray[np.int64] | None) -> float | None:
    return None if labels is None else float((logits.argmax(axis=1) == labels).mean())
