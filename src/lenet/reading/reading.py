"""The reading of a picture: its text, its confidence, whether it is rejected, and its digits."""

from dataclasses import dataclass
from typing import Any

from lenet.images.inline import write_table


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

    `confidence`, 0..1, is the probability of the text. Where a checkpoint names the digits that the line
    network found, it is the product of their probabilities and that of the number of digits.
    `reason` says why a reading was rejected, or by how much its picture was turned. A picture without ink is
    rejected with an empty text and the confidence 0.
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
