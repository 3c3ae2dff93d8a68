"""Learning rates are those of torch's schedulers, without a scheduler's state."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from lenet.models.config import LeNetConfig
from lenet.training.optimisation import learning_rate
from lenet.training.recipe import Recipe

RECIPE = Recipe("any", LeNetConfig(), "digits", epochs=1, batch_size=1, optimizer="sgd", lr=0.7)


def rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    return [learning_rate(recipe, step, steps_per_epoch) for step in range(recipe.epochs * steps_per_epoch)]


def torch_rates(scheduler_of: Any, steps: int, every: int = 1) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RECIPE.lr)
    scheduler = scheduler_of(optimizer)
    found = []
    for step in range(1, steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step % every == 0 and step < steps:
            scheduler.step()
    return found


@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (7, 3), (40, 5)])  # torch's own divides by 0 on fewer
@pytest.mark.parametrize("warm_up", [0.5, 0.3, 0.6, 1.0])
def test_one_cycle(epochs: int, steps: int, warm_up: float):
    recipe = replace(RECIPE, epochs=epochs, schedule="one-cycle", warm_up=warm_up)
    theirs = torch_rates(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, RECIPE.lr, total_steps=epochs * steps, pct_start=warm_up, cycle_momentum=False
        ),
        epochs * steps,
    )
    assert rates(recipe, steps) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (7, 3), (40, 5), (1, 1)])
def test_cosine(epochs: int, steps: int):
    recipe = replace(RECIPE, epochs=epochs, schedule="cosine")
    theirs = torch_rates(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * steps), epochs * steps
    )
    assert rates(recipe, steps) == pytest.approx(theirs, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("step_epochs", "factor"), [(1, 0.5), (3, 0.1), (100, 0.1)])
def test_step(step_epochs: int, factor: float):
    recipe = replace(RECIPE, epochs=10, schedule="step", step_epochs=step_epochs, step_factor=factor)
    theirs = torch_rates(
        lambda optimizer: lr_scheduler.StepLR(optimizer, step_epochs, gamma=factor), 40, every=4
    )
    assert rates(recipe, 4) == pytest.approx(theirs, rel=1e-9)


def test_constant():
    assert set(rates(replace(RECIPE, epochs=3), 4)) == {0.7}


@given(
    schedule=st.sampled_from(["constant", "step", "cosine", "one-cycle"]),
    epochs=st.integers(1, 30),
    steps=st.integers(1, 20),
    warm_up=st.floats(0, 1),
    factor=st.floats(0, 1),
)
@settings(deadline=None)
def test_rates_never_leave_their_range(schedule: Any, epochs: int, steps: int, warm_up: float, factor: float):
    recipe = replace(
        RECIPE, epochs=epochs, schedule=schedule, warm_up=warm_up, step_factor=factor, step_epochs=2
    )
    assert all(0 <= rate <= recipe.lr * (1 + 1e-12) for rate in rates(recipe, steps))
    if schedule == "one-cycle" and epochs * steps > 2:
        # The peak may lie between two steps; of two steps alone, one begins the rise and one ends the fall.
        assert max(rates(recipe, steps)) > 0.2 * recipe.lr
