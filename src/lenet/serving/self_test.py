"""Tests a checkpoint before it replaces the one that is served, on digits that come with the installation."""

from __future__ import annotations

import numpy as np

from lenet.data.datasets import load
from lenet.errors import CheckpointError
from lenet.models.line_config import DIGITS
from lenet.reading.reader import Reader
from lenet.serving.served import Served
from lenet.training.runs import spread

IMAGES, PICTURES = 100, 20
MIN_SHARE = 0.3
"""Of the images, and of the pictures, that a network of digits has to name: chance is a tenth, the weakest
of the shipped networks, which learnt from other digits, names 0.75 and 0.6."""


def check_successor(served: Served, before: Served) -> None:
    """Raise CheckpointError unless `served` can take the place of `before`: what clients rely on is the same,
    and it names digits, or at least computes numbers that differ from image to image."""
    if served.checkpoint.classes != before.checkpoint.classes:
        raise CheckpointError("it has other classes than the one served; start a server for it")
    if served.image_shape != before.image_shape:
        raise CheckpointError("it takes images of another size than the one served; start a server for it")
    digits = load("digits", "test")
    chosen = digits.subset(spread(len(digits), IMAGES))
    images, labels = chosen.images.numpy(), chosen.labels.numpy()
    logits = served.network.compute_logits(images, 1)
    if not np.isfinite(logits).all():
        raise CheckpointError("it computes numbers that are not finite")
    if (logits == logits[0]).all():
        raise CheckpointError("it computes the same for every image")
    pictures = images[:: IMAGES // PICTURES, 0]
    texts = [reading.text for reading in Reader(*served.reader).read_many(pictures)]
    if served.checkpoint.classes != DIGITS:
        return
    _check_share(logits.argmax(axis=1) == labels, "images")
    expected = [str(label) for label in labels[:: IMAGES // PICTURES]]
    _check_share(np.array(texts) == np.array(expected), "pictures")


def _check_share(right: np.ndarray, what: str) -> None:
    if right.mean() < MIN_SHARE:
        raise CheckpointError(f"it names {right.sum()} of {len(right)} {what} of digits")
