"""Reads pictures with a trained network: the pipeline, the network, the search and the reject rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet.images.decoding import DecodedPicture, Picture, decode
from lenet.images.framing import frame_full_image, is_framed
from lenet.models.inference import StripNetwork, open_lenet, open_line
from lenet.models.line_config import DIGITS
from lenet.models.stored import StoredCheckpoint, read_stored
from lenet.phrases import ClassName, Phrase
from lenet.reading.digits import Piece, cut_components, frame_piece
from lenet.reading.pipeline import FoundWriting, ReadingStep, find_writing, show_steps
from lenet.reading.reading import Digit, Reading
from lenet.reading.single import classify, combine
from lenet.reading.sweep import Transcript, transcribe
from lenet.reading.transcription import Constraints, check_constraints
from lenet.reading.turning import QUARTERS, choose_turn, turn_picture
from lenet.uncertainty.reading_rejection import CARD_KEY, find_group, find_reading_thresholds
from lenet.uncertainty.rejection import explain_rejection, find_threshold

if TYPE_CHECKING:
    from lenet.models.checkpoint import Checkpoint
    from lenet.models.line import LineCheckpoint

Image = NDArray[np.uint8]
EMPTY = "no ink was found"
NO_DIGIT = "nothing that is written looks like a digit"
LINE, SINGLE = "line", "reader"
"""The shipped line network, and the shipped network that names single digits together with it."""
MIN_FIT = 0.1  # the share of texts with the given number of digits, below which a reading is rejected


NOTHING = Reading("", 0.0, rejected=True, reason=EMPTY)


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """A reading, what was found in the picture, the ink of each digit, and its image where one was needed."""

    reading: Reading
    found: FoundWriting | None = None
    pieces: list[Piece] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


class Reader:
    """Reads pictures with one checkpoint, which is loaded once. Threads may share a reader."""

    def __init__(
        self,
        checkpoint: LineCheckpoint | Checkpoint | StoredCheckpoint | str | PathLike[str] = LINE,
        max_error: float | None = None,
        turned: bool = False,
    ) -> None:
        """Take a checkpoint, or load one from a path. Its weights are read now.

        A line network reads lines of digits by itself. With a network for single digits, the shipped line
        network finds where each digit is, and the checkpoint names it. Networks of other classes name the
        connected components of a line, or the full picture.

        `max_error`, 0..1, sets a confidence threshold for each number of digits: at most this share of the
        accepted readings is wrong, as measured on pictures composed of digits held out of training
        (`find_reading_thresholds`). Networks for full images, such as clothes, are measured on held-out
        images (`find_threshold`).
        With `turned`, a picture whose upright reading is rejected is also read turned by 90°, 180° and 270°.
        Raises CheckpointError, also if the checkpoint cannot guarantee `max_error`.
        """
        if isinstance(checkpoint, str | PathLike):
            checkpoint = read_stored(Path(checkpoint))
        self.names_digits = checkpoint.reads_lines
        """Whether the line network also names the digits."""
        self.network = open_lenet(read_stored(SINGLE) if self.names_digits else checkpoint)
        self.classes = checkpoint.classes
        self.turned = turned
        self.reads_whole_pictures = checkpoint.reads_whole_pictures
        self.thresholds: dict[str, float] = {}
        """The minimum confidence by the group of `find_group`; empty without `max_error`."""
        if max_error is not None:
            self.thresholds = (
                {"1": find_threshold(checkpoint.card.get("rejection"), max_error)}
                if self.reads_whole_pictures
                else find_reading_thresholds(checkpoint.card.get(CARD_KEY), max_error)
            )
        self.line: StripNetwork | None = None
        if self.names_digits:
            self.line = open_line(checkpoint)
        elif self.classes == DIGITS and not self.reads_whole_pictures:
            self.line = open_line(read_stored(LINE))

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
        """Read several pictures, in order.

        Raises PictureError at the first that cannot be read.
        """
        constraints = check_constraints(length, pattern, amount)
        return [self._read_or_turn(decode(picture), constraints)[1].reading for picture in pictures]

    def explain(
        self, picture: Picture, length: int | None = None, pattern: str | None = None, amount: bool = False
    ) -> tuple[Reading, list[ReadingStep]]:
        """Read one picture; also return every step of the pipeline. Raises PictureError."""
        constraints = check_constraints(length, pattern, amount)
        decoded, outcome = self._read_or_turn(decode(picture), constraints)
        reading, images = outcome.reading, outcome.images
        steps = [ReadingStep(Phrase("decoded"), decoded.pixels, decoded.reason)]
        if outcome.found is not None:
            steps += show_steps(outcome.found, outcome.pieces)
            images = images or [frame_piece(outcome.found.contrast, piece) for piece in outcome.pieces]
        for digit, image in zip(reading.digits, images, strict=True):
            # One number for a picture of one digit: the confidence, as everywhere.
            shown = reading.confidence if len(reading.digits) == 1 else digit.probability
            answer = Phrase("{name} ({share:.1%})", name=ClassName(self.classes[digit.digit]), share=shown)
            steps.append(ReadingStep(Phrase("digit"), image, answer))
        return reading, steps

    def _read_or_turn(
        self, decoded: DecodedPicture, constraints: Constraints
    ) -> tuple[DecodedPicture, ReadPicture]:
        """The picture as it was read, upright or turned, and what was read; boxes are in the given one."""
        upright = self._read(decoded, constraints)
        if not (self.turned and upright.reading.rejected):
            return decoded, upright
        turned = {quarters: turn_picture(decoded, quarters) for quarters in QUARTERS}
        outcomes = {quarters: self._read(picture, constraints) for quarters, picture in turned.items()}
        chosen = choose_turn(decoded, {quarters: outcome.reading for quarters, outcome in outcomes.items()})
        if chosen is None:
            return decoded, upright
        quarters, reading = chosen
        return turned[quarters], replace(outcomes[quarters], reading=reading)

    def _read(self, decoded: DecodedPicture, constraints: Constraints) -> ReadPicture:
        if self.reads_whole_pictures:
            image = frame_full_image(decoded)
            if not image.any():
                return ReadPicture(NOTHING)
            rows = classify(self.network, [image], augmented=False)
            box = 0, 0, decoded.width, decoded.height
            return ReadPicture(
                self._report([int(rows.argmax())], rows, [box], float(rows.max())), images=[image]
            )
        found = find_writing(decoded)
        if not found.lines:
            return ReadPicture(NOTHING, found)
        if self.line is None:
            pieces = [piece for line in found.lines for piece in cut_components(line)]
            if constraints.count in (None, len(pieces)):
                return self._name(found, pieces, None, constraints)
        transcript = None if self.line is None else transcribe(self.line, found.lines, constraints)
        if transcript is None:
            missing = NO_DIGIT if constraints.count is None else f"no {constraints.count} digits were found"
            return ReadPicture(Reading("", 0.0, rejected=True, reason=missing), found)
        if not self.names_digits or len(transcript.pieces) == 1:
            return self._name(found, transcript.pieces, transcript, constraints)
        boxes = [found.move_box(piece.box) for piece in transcript.pieces]
        reading = self._report(
            transcript.text, transcript.rows, boxes, transcript.probability, transcript.fit, constraints
        )
        return ReadPicture(reading, found, transcript.pieces)

    def _name(
        self,
        found: FoundWriting,
        pieces: list[Piece],
        transcript: Transcript | None,
        constraints: Constraints,
    ) -> ReadPicture:
        """Name pieces by the network for single images; with a line network that names digits, by both."""
        contrast = np.clip(found.contrast, 0, 1)
        if len(pieces) == 1 and is_framed(contrast, found.strokes):
            images = [np.rint(contrast * 255).astype(np.uint8)]  # classified unchanged
        else:
            images = [frame_piece(found.contrast, piece) for piece in pieces]
        rows = classify(self.network, images)
        share = fit = 1.0
        if transcript is not None and self.names_digits:
            rows = combine(transcript.fit * transcript.rows, rows)
        elif transcript is not None:
            share, fit = transcript.measure_segmentation(), transcript.fit
        allowed = rows.copy()
        if constraints.amount and len(rows) > 1:
            allowed[0, [number for number, name in enumerate(self.classes) if name == "0"]] = -1
        text = allowed.argmax(axis=1)
        confidence = share * float(rows[np.arange(len(text)), text].prod())
        boxes = [found.move_box(piece.box) for piece in pieces]
        return ReadPicture(
            self._report(text.tolist(), rows, boxes, confidence, fit, constraints), found, pieces, images
        )

    def _report(
        self,
        labels: Sequence[int],
        rows: NDArray[np.float64],
        boxes: list[tuple[int, int, int, int]],
        confidence: float,
        fit: float = 1.0,
        constraints: Constraints = Constraints(),  # noqa: B008
    ) -> Reading:
        digits = [
            Digit(label, float(row[label]), box, tuple(row.tolist()))
            for label, row, box in zip(labels, rows, boxes, strict=True)
        ]
        written = constraints.fill([self.classes[label] for label in labels])
        threshold = self.thresholds.get(find_group(len(digits)), 0.0)
        reason = explain_rejection([digit.probabilities for digit in digits], confidence, threshold)
        if constraints.count is None and fit <= 0.5:
            reason = f"rather no digit than a digit: {1 - fit:.2f}"
        elif fit < MIN_FIT:
            reason = f"does not look like {constraints.count} digits"
        return Reading(written, confidence, bool(reason), reason, tuple(digits))
