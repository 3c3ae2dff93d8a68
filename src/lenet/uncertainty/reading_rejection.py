"""Thresholds for readings of pictures: a curve for each number of digits that was read.

The confidence of a reading falls with the number of its digits, and some errors are digits too many or too
few. So curves of single images say nothing about readings, and curves of short numbers nothing about long
ones.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from lenet.errors import CheckpointError
from lenet.uncertainty.rejection import MOST_POINTS, bound_curve, check_promise, list_points, rank_risk

GROUPS = {"1": 1, "2-4": 4, "5-7": 7, "8+": math.inf}
"""The name of each group of readings, and the maximum number of digits in it, ascending."""
CARD_KEY = "reading_rejection"


def find_group(digits: int) -> str:
    """The name of the group of a reading with `digits` digits, at least 1."""
    return next(name for name, most in GROUPS.items() if digits <= most)


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


def find_reading_thresholds(curves: object, max_error: float) -> dict[str, float]:
    """The mildest threshold of each group that keeps a promise; infinite where none keeps it.

    Args:
        curves: what `summarise_readings` made, from a card; None where a card has none.
        max_error: the share promised, above 0 and below 1.

    Raises CheckpointError when the card has no curves, damaged ones, or no group keeps the promise.
    """
    check_promise(max_error)
    if curves is None:
        raise CheckpointError(
            "this checkpoint promises no error on pictures: its card has no reading curves; "
            "`lenet calibrate CHECKPOINT` makes them"
        )
    if not isinstance(curves, dict) or not curves.keys() & GROUPS.keys():
        raise CheckpointError("the reading curves on the card are damaged; calibrate the checkpoint again")
    thresholds = dict.fromkeys(GROUPS, math.inf)
    lowest = 1.0
    for name in GROUPS.keys() & curves.keys():
        _, tried, bounds = bound_curve(curves[name])
        thresholds[name] = float(tried[bounds <= max_error].min(initial=math.inf))
        lowest = min(lowest, float(bounds.min()))
    if all(math.isinf(threshold) for threshold in thresholds.values()):
        raise CheckpointError(
            f"an error of {max_error:.3%} cannot be promised: the held-out readings show no less than "
            f"{lowest:.3%}; ask for that or more"
        )
    return thresholds
