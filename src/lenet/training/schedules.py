"""The learning rate as a pure function of the step, so that a resumed run needs no scheduler's state."""

import math

from lenet.training.recipe import Recipe

# As torch's OneCycleLR: start at peak / 25, end at start / 10,000.
START_DIVISOR = 25
END_DIVISOR = 25 * 10_000


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate for `step`, counted from 0 over the whole run.

    constant: lr · step: lr × step_factor for every step_epochs finished · cosine: lr to 0 (Loshchilov and
    Hutter 2017, no restarts) · one-cycle: up, then down to almost 0 (Smith 2018, cosine form).
    """
    last = max(recipe.epochs * steps_per_epoch - 1, 1)
    match recipe.schedule:
        case "constant":
            return recipe.lr
        case "step":
            return recipe.lr * recipe.step_factor ** (step // steps_per_epoch // recipe.step_epochs)
        case "cosine":
            return _slope(recipe.lr, 0.0, step / (last + 1))
        case "one-cycle":
            top = recipe.warm_up * (last + 1) - 1  # the step at which the peak is reached
            if step <= top:
                return _slope(recipe.lr / START_DIVISOR, recipe.lr, step / top if top else 1.0)
            return _slope(recipe.lr, recipe.lr / END_DIVISOR, (step - max(top, 0)) / (last - max(top, 0)))


def _slope(start: float, end: float, share: float) -> float:
    """Half a cosine wave from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
