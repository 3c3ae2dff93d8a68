"""A trained network and the picture chain in one object: picture -> what is written on it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.decode import Picture
from lenet.inference.picture import Box, read_crops, read_whole
from lenet.inference.rejection import explain_rejection
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.models.rejection import find_threshold

EMPTY = "no ink was found"
BATCH = 1024  # crops in one pass of the network: bounds the memory


@dataclass(frozen=True)
class Digit:
    """One digit: its class, that class's probability, and where it stands.

    `box` is (left, top, width, height) in the pixels of the upright picture, `probabilities` one number a
    class.
    """

    digit: int
    probability: float
    box: Box
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Reading:
    """What was read from one picture.

    `confidence` is the product of the digits' probabilities. `reason` says why a reading was rejected. A
    picture without ink is rejected, its text is empty and its confidence 0.
    """

    text: str
    confidence: float
    rejected: bool = False
    reason: str = ""
    digits: tuple[Digit, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `predict --json` prints beside the picture's name."""
        return {
            "text": self.text,
            "confidence": self.confidence,
            "rejected": self.rejected,
            "reason": self.reason,
            "digits": [
                {"digit": digit.digit, "probability": digit.probability, "box": list(digit.box)}
                for digit in self.digits
            ],
        }


class Reader:
    """Reads pictures with one checkpoint, loaded once. Threads may share it."""

    def __init__(self, checkpoint: Checkpoint | str | PathLike[str], max_error: float | None = None) -> None:
        """Take a checkpoint, or load the one at a path; reject what is rather no digit than a digit.

        With `max_error`, a share, reject as many readings as it takes for no more than that share of the
        accepted to be wrong, as measured on digits held out of training (`find_threshold`).
        Raises CheckpointError, also when the checkpoint cannot promise that.
        """
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(Path(checkpoint))
        rejection = checkpoint.card.get("rejection")
        self.threshold = 0.0 if max_error is None else find_threshold(rejection, max_error)
        self.classes = checkpoint.classes
        self.model = checkpoint.model.eval()
        self._find = read_whole if checkpoint.reads_whole_pictures else read_crops
        self._device = next(self.model.parameters()).device

    def read(self, picture: Picture) -> Reading:
        """Read one picture: a path, bytes, a binary file, a Pillow image or an array. Raises PictureError."""
        return self.read_many([picture])[0]

    def read_many(self, pictures: Iterable[Picture]) -> list[Reading]:
        """Read several pictures, in order, with one pass of the network.

        Raises PictureError at the first that cannot be read.
        """
        found = [self._find(picture) for picture in pictures]
        probabilities = iter(self._classify([crop.image for crops in found for crop in crops]))
        return [self._reading([(crop.box, next(probabilities)) for crop in crops]) for crops in found]

    def _classify(self, images: list[NDArray[np.uint8]]) -> list[list[float]]:
        """The probabilities of every class, for each crop."""
        if not images:
            return []
        batch = torch.from_numpy(np.stack(images)).unsqueeze(1)  # (N, 1, 28, 28)
        with torch.inference_mode():
            chunks = [self.model.probabilities(chunk.to(self._device)) for chunk in batch.split(BATCH)]
        rows: list[list[float]] = torch.cat(chunks).tolist()
        return rows

    def _reading(self, found: list[tuple[Box, list[float]]]) -> Reading:
        if not found:
            return Reading("", 0.0, rejected=True, reason=EMPTY)
        digits = []
        for box, probabilities in found:
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            digits.append(Digit(best, probabilities[best], box, tuple(probabilities)))
        names = [self.classes[digit.digit] for digit in digits]
        text = ("" if all(len(name) == 1 for name in names) else " ").join(names)
        confidence = math.prod(digit.probability for digit in digits)
        reason = explain_rejection([digit.probabilities for digit in digits], confidence, self.threshold)
        return Reading(text, confidence, bool(reason), reason, tuple(digits))
