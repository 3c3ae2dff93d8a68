"""Rehearsal against forgetting: learning without forgetting (Li and Hoiem 2016).

Digits and negatives that come with the package are added to each batch. Their targets are the probabilities
that the initial network gives them, so that no labels and no earlier training data are needed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from lenet.training.randomness import random_stream

if TYPE_CHECKING:
    from lenet.models.adapter import Network

REHEARSED = -1  # the label of an image whose target is the initial network's answer
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


def complete_targets(teacher: Network, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The targets of a batch with rehearsed images, and labels for all of it.

    Args:
        teacher: the initial network, in evaluation mode.
        images: (N, 1, H, W), as the learner sees them.
        labels: (N,), REHEARSED where the teacher answers.

    Returns:
        targets (N, C), probabilities, with the reject class where the network has one; and labels (N,), the
        teacher's likeliest class where it answers.
    """
    rehearsed = labels == REHEARSED
    with torch.no_grad():
        answers = teacher.with_reject_logit(teacher(images[rehearsed])).softmax(dim=1)
    targets = functional.one_hot(labels.clamp(min=0), answers.shape[1]).to(answers.dtype)
    targets[rehearsed] = answers
    return targets, targets.argmax(dim=1)
