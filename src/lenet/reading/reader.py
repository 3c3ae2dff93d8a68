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
from torch import Tensor
from torch.nn import functional

from lenet.images.decoding import DecodedPicture, Picture, decode
from lenet.images.inline import write_table
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.models.network import LeNet
from lenet.reading.lattice import Lattice
from lenet.reading.path import Constraints, check_constraints, find_path, measure_fit
from lenet.reading.pipeline import ReadingStep, find_lattice, follow_lattice, full_image_lattice, show_digits
from lenet.uncertainty.rejection import explain_rejection, find_threshold

EMPTY = "no ink was found"
NO_DIGIT = "nothing that is written looks like a digit"
LEAST_FIT = 0.1  # of all that the strokes may say: a number of digits that they do not show is rejected
BATCH = 1024  # crops in one pass of the network: bounds the memory


@dataclass(frozen=True)
class Digit:
    """One digit: its class, that class's probability, and where it stands.

    `box` is (left, top, width, height) in the pixels of the upright picture, `probabilities` one number a
    class.
    """

    digit: int
    probability: float
    box: tuple[int, int, int, int]
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

    def _repr_html_(self) -> str:
        """For notebooks: the text in a line, and a table of the digits."""
        verdict = f"rejected: {self.reason}" if self.rejected else "accepted"
        return write_table(
            f"{self.text or 'nothing'} ({self.confidence:.1%}), {verdict}",
            ("digit", "probability", "box: left, top, width, height"),
            [(one.digit, f"{one.probability:.1%}", ", ".join(map(str, one.box))) for one in self.digits],
        )

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
        self.reads_whole_pictures = checkpoint.reads_whole_pictures
        self._device = next(self.model.parameters()).device

    def read(
        self, picture: Picture, length: int | None = None, pattern: str | None = None, amount: bool = False
    ) -> Reading:
        """Read one picture: a path, bytes, a binary file, a Pillow image or an array.

        Args:
            picture: lines of digits, or a single one; lines come out one after the other.
            length: how many digits there are, if that is known.
            pattern: how they are written, with # for each digit: #####-####. The text holds the other signs.
            amount: an amount of money: its separators are left out, and it has no leading zero.

        Raises PictureError, also for a length or a pattern that makes no sense.
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
        """Read one picture, and show every step from it to its digits. Raises PictureError."""
        constraints = check_constraints(length, pattern, amount)
        decoded = decode(picture)
        lattice, planes = (
            (full_image_lattice(decoded), []) if self.reads_whole_pictures else follow_lattice(decoded)
        )
        rows = self._classify([arc.image for arc in lattice.arcs])
        taken, _ = find_path(lattice, rows, self.classes, constraints)
        steps = [ReadingStep("decoded", decoded.pixels, decoded.reason)]
        steps += [
            ReadingStep(name, np.rint(plane * 255.0).astype(np.uint8), why) for name, plane, why in planes
        ]
        if planes:
            steps += show_digits(lattice, [step.arc for step in taken or ()])
        for step in taken or ():
            sure = f"{self.classes[step.label]} ({rows[step.arc, step.label]:.1%})"
            steps.append(ReadingStep("digit", lattice.arcs[step.arc].image, sure))
        return self._reading(lattice, rows, constraints), steps

    def _look(self, images: torch.Tensor) -> torch.Tensor:
        # Clothes do not lean; a network that learnt from whole pictures sees them as they are.
        if self.reads_whole_pictures:
            return self.model.probabilities(images)
        return average_augmented(self.model, images)

    def _find(self, decoded: DecodedPicture) -> Lattice:
        return full_image_lattice(decoded) if self.reads_whole_pictures else find_lattice(decoded)

    def _classify(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The probabilities of every class, for each crop: (N, classes)."""
        if not images:
            return np.zeros((0, len(self.classes)))
        batch = torch.from_numpy(np.stack(images)).unsqueeze(1)  # (N, 1, 28, 28)
        with torch.inference_mode():
            chunks = [self._look(chunk.to(self._device)) for chunk in batch.split(BATCH)]
        return torch.cat(chunks).double().cpu().numpy()

    def _reading(self, lattice: Lattice, rows: NDArray[np.float64], constraints: Constraints) -> Reading:
        if not lattice.arcs:
            return Reading("", 0.0, rejected=True, reason=EMPTY)
        taken, share = find_path(lattice, rows, self.classes, constraints)
        if taken is None:
            missing = NO_DIGIT if constraints.count is None else f"no {constraints.count} digits were found"
            return Reading("", 0.0, rejected=True, reason=missing)
        digits = [
            Digit(
                step.label,
                float(rows[step.arc, step.label]),
                lattice.box(step.arc),
                tuple(rows[step.arc].tolist()),
            )
            for step in taken
        ]
        names = [self.classes[digit.digit] for digit in digits]
        text = constraints.fill(("" if all(len(name) == 1 for name in names) else " ").join(names))
        confidence = share * math.prod(digit.probability for digit in digits)
        reason = explain_rejection([digit.probabilities for digit in digits], confidence, self.threshold)
        if measure_fit(lattice, rows, self.classes, constraints) < LEAST_FIT:
            reason = f"does not look like {constraints.count} digits"
        return Reading(text, confidence, bool(reason), reason, tuple(digits))


LEAN = 0.25  # of the height: how far the top moves against the middle, twice
TURN = math.radians(8)
TEST_TIME_TRANSFORMS = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0]],
        *([[1, lean, 0], [0, 1, 0]] for lean in (-LEAN, LEAN)),
        *(
            [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0]]
            for turn in (-TURN, TURN)
        ),
    ]
)  # (views, 2, 3): where each pixel is taken from, with the middle at 0 and the sides at -1 and 1


def average_augmented(model: LeNet, images: Tensor) -> Tensor:
    """The probabilities (N, classes) of uint8 images (N, 1, H, W), averaged over all views of each."""
    pixels = images.float() / 255
    every = pixels.repeat(len(TEST_TIME_TRANSFORMS), 1, 1, 1)  # (views · N, 1, H, W)
    places = TEST_TIME_TRANSFORMS.to(images.device).repeat_interleave(len(images), dim=0)
    grid = functional.affine_grid(places, list(every.shape), align_corners=False)
    every = functional.grid_sample(every, grid, align_corners=False)
    every[: len(images)] = pixels  # resampling would leave it the same to rounding only
    return model.probabilities(every).view(len(TEST_TIME_TRANSFORMS), len(images), -1).mean(dim=0)
