"""The risk-coverage curve of labelled answers, whole and as a checkpoint's card keeps it.

`lenet.uncertainty.rejection` finds thresholds on what the card keeps, without torch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lenet.uncertainty.reading_rejection import GROUPS, find_group

MOST_POINTS = 60  # of a curve on a card


@dataclass(frozen=True, eq=False)
class RiskCurve:
    """What each threshold does to labelled images, from the mildest to the strictest."""

    thresholds: Tensor
    """float64 (M,), ascending: every confidence that occurred. What reaches it is accepted."""
    accepted: Tensor
    """int64 (M,), descending from the number of images."""
    wrong: Tensor
    """int64 (M,): how many of the accepted are wrong."""

    @property
    def count(self) -> int:
        """The number of images."""
        return int(self.accepted[0])

    @property
    def rejected(self) -> Tensor:
        """float64 (M,): the share of the images below each threshold."""
        return 1 - self.accepted.double() / self.count

    @property
    def errors(self) -> Tensor:
        """float64 (M,): the share of the accepted that are wrong, the risk."""
        return self.wrong.double() / self.accepted

    @property
    def area(self) -> float:
        """The mean error over all shares accepted, AURC: 0 is perfect, lower is better."""
        alone = self.accepted.diff(append=torch.zeros(1, dtype=torch.int64)).neg()
        return float((self.errors * alone).sum() / self.count)

    def reject_rate(self, max_error: float) -> float:
        """The smallest share that has to be rejected for at most this error among the rest, 1 if none is."""
        kept = self.rejected[self.errors <= max_error]
        return float(kept[0]) if len(kept) else 1.0


def compute_risk(probabilities: Tensor, labels: Tensor) -> RiskCurve:
    """The risk-coverage curve of probabilities (N, classes) for labels (N,), N at least 1.

    Rows may add up to less than 1, as those of a network with a reject class do.
    """
    confidence, predicted = probabilities.double().max(dim=1)
    return rank_risk(confidence, predicted != labels)


def rank_risk(confidence: Tensor, wrong: Tensor) -> RiskCurve:
    """The risk-coverage curve of answers: `confidence` float64 (N,), `wrong` bool (N,), N at least 1."""
    thresholds, group = confidence.unique(return_inverse=True)  # ascending
    sizes = group.bincount(minlength=len(thresholds))
    errors = group[wrong].bincount(minlength=len(thresholds))
    # Sums from the strictest threshold down.
    accepted, errors = (counts.flip(0).cumsum(0).flip(0) for counts in (sizes, errors))
    return RiskCurve(thresholds, accepted, errors)


def summarise_risk(probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
    """What a checkpoint's card keeps of the curve, so that a promise needs no data when pictures are read.

    Args:
        probabilities: (N, classes) of images that were held out of training, N at least 1.
        labels: int64 (N,).

    Returns:
        Plain values: "validation_count", and under "curve" at most 60 rows of [threshold, share rejected,
        share of errors among the accepted], from accepting all to rejecting half; close together where few
        are rejected, because there the errors are.
    """
    curve = compute_risk(probabilities, labels)
    numbers = np.geomspace(1, max(curve.count / 2, 1), MOST_POINTS - 1).round().astype(int)
    return list_points(curve, numbers)


def list_points(curve: RiskCurve, rejected: np.ndarray) -> dict[str, Any]:
    """A curve as plain values, as `summarise_risk` returns them: without a threshold, and where about
    `rejected` answers, int (M,) from 0 to the count, are rejected."""
    wanted = torch.from_numpy(curve.count - rejected)  # accepted
    places = torch.searchsorted(-curve.accepted, -wanted).clamp(max=len(curve.thresholds) - 1).unique()
    rows = torch.stack([curve.thresholds, curve.rejected, curve.errors], dim=1)
    everything = [0.0, *rows[0, 1:].tolist()]
    return {
        "validation_count": curve.count,
        "curve": [everything, *rows[places[places > 0]].tolist()],
    }


def summarise_readings(digits: ArrayLike, confidences: ArrayLike, wrong: ArrayLike) -> dict[str, Any]:
    """The curve of each group, for the card of a checkpoint.

    Args:
        digits: int (N,), the number of digits that were read.
        confidences: float (N,), 0..1.
        wrong: bool (N,), whether the text differs from the true one.

    Returns:
        By the name of the group, plain values as `summarise_risk` makes them, but from accepting all to
        rejecting almost all. Groups without a reading are left out.
    """
    groups = np.array([find_group(number) for number in np.asarray(digits).tolist()])
    confidence = torch.tensor(np.asarray(confidences), dtype=torch.float64)
    errors = torch.tensor(np.asarray(wrong), dtype=torch.bool)
    curves = {}
    for name in GROUPS:
        chosen = torch.from_numpy(groups == name)
        if chosen.any():
            curve = rank_risk(confidence[chosen], errors[chosen])
            few = np.geomspace(1, max(curve.count / 2, 1), MOST_POINTS // 2)
            many = np.linspace(curve.count / 2, curve.count - 1, MOST_POINTS // 2)
            curves[name] = list_points(curve, np.concatenate([few, many]).round().astype(int))
    return curves
