"""Targets that other networks give: a teacher's for distillation, the initial network's for rehearsal.

Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network", at a temperature of 1. The
teachers see each image as the learner sees it, with its distortions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from lenet.models.adapter import Network

UNLABELLED = -1  # the label of an image whose whole target is the teachers' answer


def soften_targets(
    teachers: Sequence[Network], images: Tensor, labels: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """The targets of a batch that teachers answer, and labels for all of it.

    Args:
        teachers: at least one network in evaluation mode; the mean of their probabilities counts.
        images: (N, 1, H, W), as the learner sees them.
        labels: (N,), UNLABELLED where the teachers alone answer.
        share: of the teachers in the target of an image with a label, 0..1.

    Returns:
        targets (N, C), probabilities, with the reject class where the networks have one; and labels (N,), the
        likeliest class where there was none.
    """
    unlabelled = labels == UNLABELLED
    asked = unlabelled if share == 0 else torch.ones_like(unlabelled)
    with torch.no_grad():
        logits = [teacher.with_reject_logit(teacher(images[asked])) for teacher in teachers]
        answers = torch.stack([one.softmax(dim=1) for one in logits]).mean(dim=0)
    targets = functional.one_hot(labels.clamp(min=0), answers.shape[1]).to(answers.dtype)
    shares = torch.where(unlabelled, 1.0, share)[asked, None]
    targets[asked] = targets[asked].lerp(answers, shares)
    return targets, torch.where(unlabelled, targets.argmax(dim=1), labels)
