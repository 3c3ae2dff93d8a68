"""What a checkpoint's card expects of the confidence, so that the served one can be compared with it.

A card keeps the risk-coverage curve of pictures held out of training. A point of the curve says which share
of them has a confidence below a threshold, so the curve is the distribution of the confidence. Where pictures
differ from those of the training, the confidence is lower than that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lenet.errors import CheckpointError
from lenet.uncertainty.reading_rejection import CARD_KEY, GROUPS
from lenet.uncertainty.rejection import check_curve

BOUNDS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Confidences between which both are counted."""
IMAGES = "image"
"""The group of single images, beside those of readings by their number of digits."""


def expect_readings(card: Mapping[str, Any]) -> dict[str, list[float]]:
    """For each number of digits, as `find_group` names it, the share of readings below each of BOUNDS.

    Readings that are rejected without a threshold are no part of it. Empty without curves on the card.
    """
    curves = card.get(CARD_KEY)
    if not isinstance(curves, dict):
        return {}
    found = {group: _find_shares(curves.get(group)) for group in GROUPS}
    return {group: shares for group, shares in found.items() if shares is not None}


def expect_images(card: Mapping[str, Any]) -> dict[str, list[float]]:
    """The share of single images below each of BOUNDS; empty without a curve on the card."""
    shares = _find_shares(card.get("rejection"))
    return {} if shares is None else {IMAGES: shares}


def _find_shares(curve: object, bounds: Sequence[float] = BOUNDS) -> list[float] | None:
    try:
        _, points = check_curve(curve)
    except CheckpointError:  # a card without it serves as well
        return None
    thresholds, below = np.append(points[:, 0], 1.0), np.append(points[:, 1], 1.0)
    shares: list[float] = np.interp(bounds, thresholds, below).tolist()
    return shares
