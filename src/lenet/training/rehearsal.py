"""Rehearsal against forgetting: learning without forgetting (Li and Hoiem 2016).

Digits and negatives that come with the package are added to each batch. Their targets are the probabilities
that the initial network gives them, so that no labels and no earlier training data are needed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lenet.training.randomness import random_stream

NEGATIVES = 0.56  # candidates for each digit; about half as many negatives as digits remain


@lru_cache(maxsize=1)
def gather_rehearsal(seed: int) -> Tensor:
    """The images to rehearse, uint8 (N, 1, 28, 28): scikit-learn's training digits, and negatives.

    They take seconds to make, and the last ones are kept: do not change them.
    """
    from lenet.data.datasets import load
    from lenet.synthesis.negatives import make_negatives

    digits = load("digits", "train").images
    stream = random_stream(seed, "rehearsed negatives")
    return torch.cat([digits, make_negatives(digits, math.ceil(NEGATIVES * len(digits)), stream)])
