"""How far a network's confidence can be relied on, and how far its accuracy: measured on labelled images."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from lenet.data.corruptions.corrupt import CORRUPTIONS
from lenet.data.datasets import ImageSet
from lenet.models.calibration import Bin, bin_confidence, figure_calibration_error
from lenet.models.checkpoint import Checkpoint
from lenet.models.rejection import RiskCurve, trace_risk
from lenet.training.evaluate import compute_logits, match_classes

MAX_ERRORS = (0.01, 0.005, 0.001)
"""Shares of errors among the accepted for which the price is told."""


@dataclass(frozen=True)
class Reliability:
    """What it costs to be right, and whether probabilities mean what they say."""

    curve: RiskCurve
    bins: tuple[Bin, ...]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over 15 bins of equally many images."""
        return figure_calibration_error(self.bins)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "risk_coverage_area": self.curve.area,
            "calibration_error": self.calibration_error,
            "reject_rates": [
                {"max_error": error, "rejected": self.curve.reject_rate(error)} for error in MAX_ERRORS
            ],
        }


@dataclass(frozen=True)
class Robustness:
    """Accuracy on images that were spoilt, each kind by itself."""

    accuracies: Mapping[str, float]
    """By the name of the corruption; the control, too."""

    @property
    def mean(self) -> float:
        """Over the fifteen corruptions, without the control."""
        return mean(self.accuracies[name] for name in CORRUPTIONS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"corruptions": dict(self.accuracies), "corruptions_mean": self.mean}


def measure_reliability(checkpoint: Checkpoint, data: ImageSet) -> Reliability:
    """Measure what rejection costs and how well probabilities fit. Raises DataError on unknown classes."""
    data, model = match_classes(checkpoint, data), checkpoint.model
    probabilities, labels = model.as_probabilities(compute_logits(model, data.images)), data.labels.cpu()
    return Reliability(trace_risk(probabilities, labels), bin_confidence(probabilities, labels))


def measure_robustness(checkpoint: Checkpoint, corrupted: Mapping[str, ImageSet]) -> Robustness:
    """Measure the accuracy on each of the sets of `load_corrupted`. Raises DataError on unknown classes."""
    accuracies = {}
    for name, data in corrupted.items():
        matched = match_classes(checkpoint, data)
        predicted = compute_logits(checkpoint.model, matched.images).argmax(dim=1)
        accuracies[name] = (predicted == matched.labels.cpu()).double().mean().item()
    return Robustness(accuracies)
