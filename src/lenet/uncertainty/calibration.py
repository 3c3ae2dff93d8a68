"""Probabilities that mean what they say: of the readings given 90 %, nine in ten should be right."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lenet.uncertainty.risk import RiskCurve

BINS = 15
"""As in Guo et al. 2017; with equally many images in each, for almost all of them are close to 100 %."""
COLDEST, HOTTEST = 1e-2, 1e2


@dataclass(frozen=True)
class Bin:
    """Images of similar confidence: what they were given, and how many of them are right."""

    count: int
    confidence: float
    """Mean."""
    accuracy: float


def bin_confidence(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> tuple[Bin, ...]:
    """Images in order of confidence, the probability of their class, in `bins` parts of equal size.

    `probabilities` are (N, classes), `labels` (N,). Parts without an image are left out.
    """
    confidence, predicted = probabilities.double().max(dim=1)
    order = confidence.argsort(stable=True)
    right = (predicted == labels).double()[order]
    parts = zip(confidence[order].tensor_split(bins), right.tensor_split(bins), strict=True)
    return tuple(
        Bin(len(given), given.mean().item(), found.mean().item()) for given, found in parts if len(given)
    )


def compute_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Expected calibration error: the mean distance between confidence and accuracy, weighed by images.

    Naeini et al. 2015; of the class read, over the bins of `bin_confidence`. 0 is perfect; about 1/√N of
    it is chance.
    """
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.confidence - part.accuracy) for part in bins) / total


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T for which softmax(logits / T) fits the labels best: the least cross-entropy.

    Guo et al. 2017, "On calibration of modern neural networks". The loss is convex in 1 / T, so the place
    where its slope is zero is found by halving. Divide the weights and biases of the last layer by T and
    nothing that comes after has to know it.

    Args:
        logits: (N, classes) of images that were held out of training; the reject class's constant logit of 0
            belongs in it, as a column of its own.
        labels: int64 (N,).

    Returns:
        T from 0.01 to 100; an end of that where no image is wrong, or none right.
    """
    logits = logits.double()
    logits = logits - logits.gather(1, labels[:, None])  # above the right one; small slopes stay exact

    def slope(inverse: float) -> float:
        probabilities = (logits * inverse).softmax(dim=1)
        return float((probabilities * logits).sum(dim=1).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float((low * high) ** -0.5)


MAX_ERRORS = (0.01, 0.005, 0.001)
"""Shares of errors among the accepted for which the rejection rate is given."""


@dataclass(frozen=True)
class Reliability:
    """What it costs to be right, and whether probabilities mean what they say."""

    curve: RiskCurve
    bins: tuple[Bin, ...]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over 15 bins of equally many images."""
        return compute_calibration_error(self.bins)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "risk_coverage_area": self.curve.area,
            "calibration_error": self.calibration_error,
            "reject_rates": [
                {"max_error": error, "rejected": self.curve.reject_rate(error)} for error in MAX_ERRORS
            ],
        }
