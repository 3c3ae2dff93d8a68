"""Thresholds for readings of pictures: a curve for each number of digits that was read.

The confidence of a reading falls with the number of its digits, and some errors are digits too many or too
few. So curves of single images say nothing about readings, and curves of short numbers nothing about long
ones.
"""

import math

from lenet.errors import CheckpointError
from lenet.uncertainty.rejection import bound_curve, check_promise

GROUPS = {"1": 1, "2-4": 4, "5-7": 7, "8+": math.inf}
"""The name of each group of readings, and the maximum number of digits in it, ascending."""
CARD_KEY = "reading_rejection"


def find_group(digits: int) -> str:
    """The name of the group of a reading with `digits` digits, at least 1."""
    return next(name for name, most in GROUPS.items() if digits <= most)


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
