"""A recipe that trains the bars in milliseconds."""

from dataclasses import replace

import pytest

from lenet.models.config import LeNetConfig
from lenet.training.recipe import Recipe


@pytest.fixture
def recipe(small: LeNetConfig) -> Recipe:
    return Recipe(name="bars", model=small, data="bars", epochs=3, batch_size=20, optimizer="adam", lr=0.01)


@pytest.fixture
def varied(recipe: Recipe) -> Recipe:
    """Everything that is random, and everything that has to be remembered."""
    changes = {"dropout": 0.2, "degrees": 10.0, "shift": 0.1, "elastic": 1.0, "background": True}
    changes |= {"aspect": 0.1, "pen": 1.0, "blur": 0.5, "coarseness": 0.3, "noise": 0.1, "cover": 0.1}
    changes |= {"fading": 0.2, "not_digits": 0.2, "calibrate": True}
    return replace(recipe, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0, validation=30).override(changes)
