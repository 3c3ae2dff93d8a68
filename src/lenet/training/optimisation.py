"""What an optimiser needs: the loss, the learning rate of each step, and averages of the weights.

The learning rate is a pure function of the step, so that a resumed run needs no scheduler's state.
"""

import inspect
import math
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.models.classic import AMPLITUDE, SLOPE
from lenet.training.recipe import Loss, Recipe

Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])
COMPILED = ("add_param_group", "zero_grad", "step", "state_dict", "load_state_dict")


def weigh_classes(recipe: Recipe, labels: Tensor) -> Tensor | None:
    """The weight of each class, (classes,), or None where all weigh the same; the reject class weighs 1.

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
    return functional.pad(weights, (0, 1), value=1.0) if recipe.model.reject_class else weights


def measure_loss(
    logits: Tensor, labels: Tensor, loss: Loss, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """The mean loss of a batch, weighted by class where `weights` are given.

    Args:
        logits: (N, C).
        labels: (N,), class numbers; for cross-entropy also (N, C), probabilities.
        loss: 'cross-entropy', or 'mean-squared-error' between the logits and one-hot targets, the mean
            over classes; the tutorials' exercise that fails on plain class numbers; or
            'bipolar-squared-error', that of 1998: half the squared distance of the squashed logits from 1 for
            the class and -1 for the others.
        smoothing: share of each target spread evenly over the classes (Szegedy et al. 2016, section 7).
        weights: (C,).
    """
    if loss == "cross-entropy":
        return functional.cross_entropy(logits, labels, weights, label_smoothing=smoothing)
    classes = logits.shape[1]
    targets = functional.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes  # (N, C)
    if loss == "bipolar-squared-error":
        squashed = AMPLITUDE * torch.tanh(SLOPE * logits)
        errors = (squashed - (2 * targets - 1)).square().sum(dim=1) / 2  # (N,)
    else:
        errors = (logits - targets).square().mean(dim=1)
    if weights is None:
        return errors.mean()
    return (errors * weights[labels]).sum() / weights[labels].sum()


# Passes of LeCun et al. 1998, section III.B: .0005, .0005, .0002 three times, .0001 three times, …
SHARES_OF_1998 = (1.0,) * 2 + (0.4,) * 3 + (0.2,) * 3 + (0.1,) * 4 + (0.02,)

# As torch's OneCycleLR: start at peak / 25, end at start / 10,000.
START_DIVISOR = 25
END_DIVISOR = 25 * 10_000


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate for `step`, counted from 0 over the whole run.

    1998: lr times the shares that the paper gives for its passes, the last one from pass 13 on ·
    constant: lr · step: lr × step_factor for every step_epochs finished · cosine: lr to 0 (Loshchilov and
    Hutter 2017, no restarts) · one-cycle: up, then down to almost 0 (Smith 2018, cosine form).
    """
    last = max(recipe.epochs * steps_per_epoch - 1, 1)
    match recipe.schedule:
        case "constant":
            return recipe.lr
        case "step":
            return recipe.lr * recipe.step_factor ** (step // steps_per_epoch // recipe.step_epochs)
        case "1998":
            return recipe.lr * SHARES_OF_1998[min(step // steps_per_epoch, len(SHARES_OF_1998) - 1)]
        case "cosine":
            return _slope(recipe.lr, 0.0, step / (last + 1))
        case "one-cycle":
            top = recipe.warm_up * (last + 1) - 1  # the step at which the peak is reached
            if step <= top:
                return _slope(recipe.lr / START_DIVISOR, recipe.lr, step / top if top else 1.0)
            return _slope(recipe.lr, recipe.lr / END_DIVISOR, (step - max(top, 0)) / (last - max(top, 0)))


def omit_compiler(kind: Kind) -> Kind:
    """The same optimiser without PyTorch's compiler, which takes longer to import than a short training.

    PyTorch wraps the methods for `torch.compile`, and imports the compiler when the first one is called.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in COMPILED}
    methods["step"] = torch.no_grad()(methods["step"])  # part of what is unwrapped
    return cast("Kind", type(kind.__name__, (kind,), methods))


SGD = omit_compiler(torch.optim.SGD)
Adam = omit_compiler(torch.optim.Adam)
AdamW = omit_compiler(torch.optim.AdamW)


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """PyTorch's optimiser that the recipe names, in its fused form."""
    parameters, lr, decay = model.parameters(), recipe.lr, recipe.weight_decay
    match recipe.optimizer:
        case "sgd":
            return SGD(parameters, lr, recipe.momentum, weight_decay=decay, fused=True)
        case "adam":
            return Adam(parameters, lr, weight_decay=decay, fused=True)
        case "adamw":
            return AdamW(parameters, lr, weight_decay=decay, fused=True)
        case "sdlm":
            from lenet.training.levenberg import LevenbergMarquardt  # which needs the loss

            return LevenbergMarquardt(parameters, lr)


def move_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move averaged weights towards the model's after `step`, counted from 1.

    Early steps average less, or the initial weights would linger.
    """
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for averaged, parameter in zip(average.parameters(), model.parameters(), strict=True):
            averaged.lerp_(parameter, 1 - decay)
        for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)  # the running means of a batch normalisation are averages already


def _slope(start: float, end: float, share: float) -> float:
    """Half a cosine wave from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
