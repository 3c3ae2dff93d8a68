"""What training makes small. Labels are always class numbers; one-hot targets are made here."""

import torch
from torch import Tensor
from torch.nn import functional

from lenet.training.recipe import Loss, Recipe


def weigh_classes(recipe: Recipe, labels: Tensor) -> Tensor | None:
    """The weight of each class, (classes,), or None where all weigh the same; a background weighs 1.

    'balanced' gives N / (classes × count), so that every class adds the same to the loss; a class that has
    no examples weighs 0.
    """
    if recipe.class_weights == "none":
        return None
    if recipe.class_weights == "balanced":
        counts = labels.bincount(minlength=recipe.model.classes).float()
        weights = torch.where(counts > 0, len(labels) / (len(counts) * counts), 0)
    else:
        weights = torch.tensor(recipe.class_weights, dtype=torch.float32, device=labels.device)
    return functional.pad(weights, (0, 1), value=1.0) if recipe.model.background else weights


def measure_loss(
    logits: Tensor, labels: Tensor, loss: Loss, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """The mean loss of a batch, weighted by class where `weights` are given.

    Args:
        logits: (N, C).
        labels: (N,), class numbers.
        loss: 'cross-entropy', or 'mean-squared-error' between the logits and one-hot targets, the mean
            over classes; the tutorials' exercise that fails on plain class numbers.
        smoothing: share of each target spread evenly over the classes (Szegedy et al. 2016, section 7).
        weights: (C,).
    """
    if loss == "cross-entropy":
        return functional.cross_entropy(logits, labels, weights, label_smoothing=smoothing)
    classes = logits.shape[1]
    targets = functional.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes  # (N, C)
    errors = (logits - targets).square().mean(dim=1)  # (N,)
    if weights is None:
        return errors.mean()
    return (errors * weights[labels]).sum() / weights[labels].sum()
