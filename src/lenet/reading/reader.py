"""Reads pictures with a trained network: the pipeline, the network, the search and the reject rule."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lenet.images.decoding import DecodedPicture, Picture, decode
from lenet.images.inline import write_table
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.models.network import LeNet
from lenet.reading.lattice import Lattice
from lenet.reading.path import Constraints, check_constraints, find_path
from lenet.reading.pipeline import (
    ReadingStep,
    build_full_image_lattice,
    find_lattice,
    show_digits,
    trace_lattice,
)
from lenet.uncertainty.reading_rejection import CARD_KEY, find_group, find_reading_thresholds
from lenet.uncertainty.rejection import explain_rejection, find_threshold

EMPTY = "no ink was found"
NO_DIGIT = "nothing that is written looks like a digit"
MIN_FIT = 0.1  # the share of texts with the given number of digits, below which a reading is rejected
BATCH = 1024  # crops per pass of the network: bounds the memory
SHEAR = 0.25
ROTATION = math.radians(8)
TEST_TIME_TRANSFORMS = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0]],
        *([[1, shear, 0], [0, 1, 0]] for shear in (-SHEAR, SHEAR)),
        *(
            [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]
            for angle in (-ROTATION, ROTATION)
        ),
    ]
)
"""(transforms, 2, 3), as `torch.nn.functional.affine_grid` takes them."""


@dataclass(frozen=True)
class Digit:
    """One digit: its class, the probability of that class, and its box.

    `box` is (left, top, width, height) in pixels of the upright picture; `probabilities` has one value per
    class.
    """

    digit: int
    probability: float
    box: tuple[int, int, int, int]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Reading:
    """The reading of one picture.

    `confidence` is the product of the digits' probabilities and the confidence of the segmentation, 0..1.
    `reason` says why a reading was rejected. A picture without ink is rejected with an empty text and the
    confidence 0.
    """

    text: str
    confidence: float
    rejected: bool = False
    reason: str = ""
    digits: tuple[Digit, ...] = ()

    def _repr_html_(self) -> str:
        """For notebooks: the text in a line, and a table of the digits."""
        verdict = f"rejected: {self.reason}" if self.rejected else "accepted"
        return write_table(
            f"{self.text or 'nothing'} ({self.confidence:.1%}), {verdict}",
            ("digit", "probability", "box: left, top, width, height"),
            [(one.digit, f"{one.probability:.1%}", ", ".join(map(str, one.box))) for one in self.digits],
        )

    def to_dict(self) -> dict[str, Any]:
        """The values that `predict --json` prints beside the picture's name."""
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
    """Reads pictures with one checkpoint, which is loaded once. Threads may share a reader."""

    def __init__(self, checkpoint: Checkpoint | str | PathLike[str], max_error: float | None = None) -> None:
        """Take a checkpoint, or load one from a path. A reading is rejected if the reject class is likelier.

        `max_error`, 0..1, sets a confidence threshold for each number of digits: at most this share of the
        accepted readings is wrong, as measured on pictures composed of digits held out of training
        (`find_reading_thresholds`). Networks for full images, such as clothes, are measured on held-out
        images (`find_threshold`).
        Raises CheckpointError, also if the checkpoint cannot guarantee `max_error`.
        """
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(Path(checkpoint))
        self.reads_whole_pictures = checkpoint.reads_whole_pictures
        self.thresholds: dict[str, float] = {}
        """The minimum confidence by the group of `find_group`; empty without `max_error`."""
        if max_error is not None:
            self.thresholds = (
                {"1": find_threshold(checkpoint.card.get("rejection"), max_error)}
                if self.reads_whole_pictures
                else find_reading_thresholds(checkpoint.card.get(CARD_KEY), max_error)
            )
        self.classes = checkpoint.classes
        self.model = checkpoint.model.eval()
        self._device = next(self.model.parameters()).device

    def read(
        self, picture: Picture, length: int | None = None, pattern: str | None = None, amount: bool = False
    ) -> Reading:
        """Read one picture: a path, bytes, a binary file, a Pillow image or an array.

        Args:
            picture: a digit, or lines of digits; the text of several lines is concatenated.
            length: the number of digits, if known.
            pattern: the format, with # for each digit: #####-####. The text contains the other characters.
            amount: an amount of money: separators are omitted, and there is no leading zero.

        Raises PictureError, also for an invalid length or pattern.
        """
        return self.read_many([picture], length, pattern, amount)[0]

    def read_many(
        self,
        pictures: Iterable[Picture],
        length: int | None = None,
        pattern: str | None = None,
        amount: bool = False,
    ) -> list[Reading]:
        """Read several pictures, in order, with one pass of the network.

        Raises PictureError at the first that cannot be read.
        """
        constraints = check_constraints(length, pattern, amount)
        lattices = [self._find(decode(picture)) for picture in pictures]
        probabilities = self._classify([arc.image for lattice in lattices for arc in lattice.arcs])
        starts = np.cumsum([0, *(len(lattice.arcs) for lattice in lattices)])
        return [
            self._reading(lattice, probabilities[start : start + len(lattice.arcs)], constraints)
            for lattice, start in zip(lattices, starts, strict=False)
        ]

    def explain(
        self, picture: Picture, length: int | None = None, pattern: str | None = None, amount: bool = False
    ) -> tuple[Reading, list[ReadingStep]]:
        """Read one picture; also return every step of the pipeline. Raises PictureError."""
        constraints = check_constraints(length, pattern, amount)
        decoded = decode(picture)
        lattice, planes = (
            (build_full_image_lattice(decoded), []) if self.reads_whole_pictures else trace_lattice(decoded)
        )
        rows = self._classify([arc.image for arc in lattice.arcs])
        path, *_ = find_path(lattice, rows, self.classes, constraints)
        steps = [ReadingStep("decoded", decoded.pixels, decoded.reason)]
        steps += [
            ReadingStep(name, np.rint(plane * 255.0).astype(np.uint8), why) for name, plane, why in planes
        ]
        if planes:
            steps += show_digits(lattice, [step.arc for step in path or ()])
        reading = self._reading(lattice, rows, constraints)
        for step in path or ():
            # One number for a picture of one digit: the confidence, as everywhere.
            shown = reading.confidence if len(path or ()) == 1 else rows[step.arc, step.label]
            reason = f"{self.classes[step.label]} ({shown:.1%})"
            steps.append(ReadingStep("digit", lattice.arcs[step.arc].image, reason))
        return reading, steps

    def _compute_probabilities(self, images: torch.Tensor) -> torch.Tensor:
        # Full images, such as clothes, have no slant, so they are classified without augmentation.
        if self.reads_whole_pictures:
            return self.model.probabilities(images)
        return average_augmented(self.model, images)

    def _find(self, decoded: DecodedPicture) -> Lattice:
        return build_full_image_lattice(decoded) if self.reads_whole_pictures else find_lattice(decoded)

    def _classify(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The class probabilities of crops: (N, classes)."""
        if not images:
            return np.zeros((0, len(self.classes)))
        batch = torch.from_numpy(np.stack(images)).unsqueeze(1)  # (N, 1, 28, 28)
        with torch.inference_mode():
            chunks = [self._compute_probabilities(chunk.to(self._device)) for chunk in batch.split(BATCH)]
        return torch.cat(chunks).double().cpu().numpy()

    def _reading(self, lattice: Lattice, rows: NDArray[np.float64], constraints: Constraints) -> Reading:
        if not lattice.arcs:
            return Reading("", 0.0, rejected=True, reason=EMPTY)
        path, share, fit = find_path(lattice, rows, self.classes, constraints)
        if path is None:
            missing = NO_DIGIT if constraints.count is None else f"no {constraints.count} digits were found"
            return Reading("", 0.0, rejected=True, reason=missing)
        digits = [
            Digit(
                step.label,
                float(rows[step.arc, step.label]),
                lattice.box(step.arc),
                tuple(rows[step.arc].tolist()),
            )
            for step in path
        ]
        names = [self.classes[digit.digit] for digit in digits]
        text = constraints.fill(("" if all(len(name) == 1 for name in names) else " ").join(names))
        confidence = share * math.prod(digit.probability for digit in digits)
        threshold = self.thresholds.get(find_group(len(digits)), 0.0)
        reason = explain_rejection([digit.probabilities for digit in digits], confidence, threshold)
        if fit < MIN_FIT:
            reason = f"does not look like {constraints.count} digits"
        return Reading(text, confidence, bool(reason), reason, tuple(digits))


def average_augmented(model: LeNet, images: Tensor) -> Tensor:
    """The probabilities (N, classes) of uint8 images (N, 1, H, W), averaged over TEST_TIME_TRANSFORMS
    (test-time augmentation)."""
    pixels = images.float() / 255
    augmented = pixels.repeat(len(TEST_TIME_TRANSFORMS), 1, 1, 1)  # (transforms · N, 1, H, W)
    matrices = TEST_TIME_TRANSFORMS.to(images.device).repeat_interleave(len(images), dim=0)
    grid = functional.affine_grid(matrices, list(augmented.shape), align_corners=False)
    augmented = functional.grid_sample(augmented, grid, align_corners=False)
    augmented[: len(images)] = pixels  # resampling the identity would add rounding errors
    return model.probabilities(augmented).view(len(TEST_TIME_TRANSFORMS), len(images), -1).mean(dim=0)
