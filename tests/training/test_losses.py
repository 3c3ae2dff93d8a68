"""Losses are torch's; class weights are those that scikit-learn calls balanced."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from lenet.training.optimisation import measure_loss, weigh_classes
from lenet.training.recipe import Recipe

LOGITS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(1))
WEIGHTS = torch.tensor([0.5, 2.0, 1.25])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(smoothing: float, weights: torch.Tensor | None):
    theirs = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)(LOGITS, LABELS)
    assert torch.equal(measure_loss(LOGITS, LABELS, "cross-entropy", smoothing, weights), theirs)


def test_mean_squared_error_is_on_one_hot_targets():
    targets = torch.eye(3)[LABELS]
    theirs = nn.MSELoss()(LOGITS, targets)
    torch.testing.assert_close(measure_loss(LOGITS, LABELS, "mean-squared-error"), theirs)


def test_mean_squared_error_with_weights_and_smoothing_written_out():
    total, divisor = 0.0, 0.0
    for logits, label in zip(LOGITS.tolist(), LABELS.tolist(), strict=True):
        weight = WEIGHTS[label].item()
        targets = [0.2 / 3 + (0.8 if label == at else 0) for at in range(3)]
        total += weight * sum((a - b) ** 2 for a, b in zip(logits, targets, strict=True)) / 3
        divisor += weight
    loss = measure_loss(LOGITS, LABELS, "mean-squared-error", 0.2, WEIGHTS)
    assert loss.item() == pytest.approx(total / divisor, rel=1e-5)


def test_the_classic_mistake_is_not_possible():
    """Class numbers against outputs raised an error in the tutorial; here the loss learns."""
    logits = LOGITS.clone().requires_grad_()
    measure_loss(logits, LABELS, "mean-squared-error").backward()
    assert logits.grad is not None
    assert logits.grad.shape == (40, 3)


def test_balanced_weights(recipe: Recipe):
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    weights = weigh_classes(replace(recipe, class_weights="balanced"), labels)
    assert weights is not None
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    np.testing.assert_allclose(weights.numpy(), theirs, rtol=1e-6)
    for number in range(3):  # each class adds the same to the loss
        assert weights[labels[labels == number]].sum().item() == pytest.approx(100 / 3, rel=1e-5)


def test_a_class_without_examples_weighs_nothing(recipe: Recipe):
    weights = weigh_classes(replace(recipe, class_weights="balanced"), torch.tensor([0, 0, 2]))
    assert weights is not None
    assert weights.tolist() == [0.5, 0.0, 1.0]


def test_weights_may_be_whole_numbers(recipe: Recipe):
    weights = weigh_classes(replace(recipe, class_weights=(1, 2, 3)), LABELS)
    assert weights is not None
    assert measure_loss(LOGITS, LABELS, "cross-entropy", weights=weights).isfinite()
    assert weigh_classes(recipe, LABELS) is None


def test_the_loss_of_1998_has_weights_and_smoothing_as_the_others():
    targets = 2 * (functional.one_hot(LABELS, LOGITS.shape[1]) * 0.8 + 0.2 / LOGITS.shape[1]) - 1
    errors = (1.7159 * torch.tanh(2 / 3 * LOGITS) - targets).square().sum(dim=1) / 2
    weights = WEIGHTS[LABELS]
    loss = measure_loss(LOGITS, LABELS, "bipolar-squared-error", 0.2, WEIGHTS)
    torch.testing.assert_close(loss, (errors * weights).sum() / weights.sum())
