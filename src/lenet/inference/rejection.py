"""Whether a reading counts, or is a guess that someone should look at."""

from collections.abc import Sequence


def explain_rejection(digits: Sequence[Sequence[float]], confidence: float, threshold: float = 0.0) -> str:
    """Why a reading is rejected, in a few words; empty when it is accepted.

    Args:
        digits: the probabilities of every class, for each digit found. What is missing to 1 is the
            probability that it is no digit; the networks that learnt what that is leave something missing.
        confidence: the reading's, 0..1.
        threshold: the least confidence that is accepted, as `find_threshold` gives it.
    """
    for probabilities in digits:
        missing = 1 - sum(probabilities)
        if missing > 0.5:
            return f"rather no digit than a digit: {missing:.2f}"
    if confidence >= threshold:
        return ""
    decimals = 2
    while f"{confidence:.{decimals}f}" == f"{threshold:.{decimals}f}":
        decimals += 1
    return f"not sure enough: {confidence:.{decimals}f} < {threshold:.{decimals}f}"
