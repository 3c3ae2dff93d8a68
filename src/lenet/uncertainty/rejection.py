"""When to say "I don't know": what a threshold on the confidence costs, and which one keeps a promise.

A reading is accepted when its confidence, the probability of its class, is at least a threshold. The higher
the threshold, the more is rejected and the fewer of the accepted are wrong: the risk-coverage curve (El-Yaniv
and Wiener 2010, "On the foundations of noise-free selective classification").

A promise needs more than the share of errors that a few thousand held-out images happened to show: among
5,000, one error in a thousand is 5 images, and the threshold that shows 5 lets through more than it promised
almost every second time. So a threshold has to show that, were the true share above the promised one, so few
errors would be seen in at most one case of twenty: the exact upper bound of Clopper and Pearson 1934, which
for rare errors, unlike the normal approximation and Wilson's, never comes out too low (Geifman and El-Yaniv
2017, "Selective classification for deep neural networks", bound the risk in the same way).
"""

import math
from collections.abc import Sequence

import numpy as np

from lenet.errors import CheckpointError

CERTAINTY = 0.95
"""How sure the bound on the share of errors is, from above only."""


def find_threshold(rejection: object, max_error: float) -> float:
    """The mildest threshold that keeps a promise: at most `max_error` of the accepted are wrong.

    Args:
        rejection: what `summarise_risk` made, from a card; None where a card has none.
        max_error: the share promised, above 0 and below 1.

    Returns:
        The lowest threshold whose upper bound on the share of errors, 95 % certain, is at most `max_error`;
        0 accepts everything. Some of the curve's points are tried, so in principle luck has more than one
        chance; but they share their images, and drawn 1,000 times from 10,000 digits, the promise was broken
        in 4 % of the cases at most.

    Raises CheckpointError when the card has no curve, a damaged one, or no threshold keeps the promise.
    """
    check_promise(max_error)
    if rejection is None:
        raise CheckpointError(
            "this checkpoint promises no error: its card has no rejection curve; the recipe reader makes one"
        )
    count, thresholds, bounds = bound_curve(rejection)
    kept = thresholds[bounds <= max_error]
    if not len(kept):
        raise CheckpointError(
            f"an error of {max_error:.3%} cannot be promised: {count:,} held-out images show no less than "
            f"{bounds.min():.3%}; ask for that or more"
        )
    return float(kept.min())


def check_promise(max_error: float) -> None:
    """Raise CheckpointError unless `max_error` is a share above 0 and below 1."""
    if not 0 < max_error < 1:
        raise CheckpointError(
            f"an error of {max_error} cannot be promised; it must lie between 0 % and 100 %"
        )


def bound_curve(rejection: object) -> tuple[int, np.ndarray, np.ndarray]:
    """The number of images of a card's curve, its thresholds (M,), and the upper bound (M,) of the share of
    errors at each. Raises CheckpointError on a damaged curve."""
    count, curve = check_curve(rejection)
    accepted = np.rint((1 - curve[:, 1]) * count)
    wrong = np.rint(curve[:, 2] * accepted)
    return count, curve[:, 0], upper_bound(wrong, accepted)


def upper_bound(wrong: np.ndarray, count: np.ndarray, certainty: float = CERTAINTY) -> np.ndarray:
    """One-sided upper bound of Clopper and Pearson on a share of which `wrong` in `count` were seen."""
    seen = np.clip(wrong, 0, count - 1)
    from scipy.special import betaincinv  # takes a fifth of a second, which most trainings need not wait

    return np.where(wrong >= count, 1.0, betaincinv(seen + 1, count - seen, certainty))


def interval(count_right: np.ndarray | int, count: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided 95 % interval of Clopper and Pearson 1934 for an accuracy: `count_right` of `count`.

    The exact interval of the binomial distribution; `count` is at least 1. Returns the lower and the upper
    ends, 0..1, in the shape of the arguments, which may be plain numbers.
    """
    certainty = (1 + CERTAINTY) / 2  # of each end
    right, total = np.asarray(count_right), np.asarray(count)
    return 1 - upper_bound(total - right, total, certainty), upper_bound(right, total, certainty)


def check_curve(rejection: object) -> tuple[int, np.ndarray]:
    """The number of images and the rows (M, 3) of a card that may come from a stranger.

    A row is a threshold, the share of the images below it, and the share of errors among the others. Raises
    CheckpointError on a damaged curve.
    """
    try:
        count = rejection["validation_count"]  # type: ignore[index]
        curve = np.array(rejection["curve"], dtype=np.float64)  # type: ignore[index]
    except (KeyError, TypeError, ValueError, OverflowError):
        count, curve = 0, np.empty(0)
    is_whole = isinstance(count, int) and not isinstance(count, bool) and 0 < count < 1e15
    if not is_whole or curve.ndim != 2 or curve.shape[1] != 3 or not ((curve >= 0) & (curve <= 1)).all():
        raise CheckpointError(
            "the rejection curve on the card is damaged; train or copy the checkpoint again"
        )
    return count, curve


def explain_rejection(digits: Sequence[Sequence[float]], confidence: float, threshold: float = 0.0) -> str:
    """Why a reading is rejected, in a few words; empty when it is accepted.

    Args:
        digits: the probabilities of every class, for each digit found. What is missing to 1 is the
            probability that it is no digit; the networks that learnt what that is leave something missing.
        confidence: the reading's, 0..1.
        threshold: the least confidence that is accepted, as `find_threshold` gives it; infinite where an
            error is promised that no threshold keeps.
    """
    for probabilities in digits:
        missing = 1 - sum(probabilities)
        if missing > 0.5:
            return f"rather no digit than a digit: {missing:.2f}"
    if confidence >= threshold:
        return ""
    if math.isinf(threshold):
        return f"the error cannot be promised for {len(digits)} digit{'s' * (len(digits) > 1)}"
    decimals = 2
    while f"{confidence:.{decimals}f}" == f"{threshold:.{decimals}f}":
        decimals += 1
    return f"not sure enough: {confidence:.{decimals}f} < {threshold:.{decimals}f}"
