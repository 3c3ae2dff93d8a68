"""The recipe of a line network as one value, checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet.errors import RecipeError
from lenet.models.line_config import CONVOLUTIONS, MAX_CHANNELS
from lenet.training.recipe import RANGES, check_numbers

SETTINGS_OF_LINES = ("epochs", "batch_size", "lr", "warm_up", "weight_decay", "ema_decay", "clip_norm")
"""What the recipe of a line network shares with the others: names, meaning and ranges."""
LINE_RANGES = {name: RANGES[name] for name in SETTINGS_OF_LINES} | {
    "strips": (1, 10_000_000),
    "validation": (1, 10_000_000),
}


@dataclass(frozen=True)
class LineRecipe:
    """Every number of the training of a line network. Raises RecipeError on values that cannot be."""

    strips: int = 240_000
    """Composed lines to learn from."""
    validation: int = 3000
    """Composed lines of held-out images, to measure by; the bias of the blank needs them."""
    epochs: int = 6
    batch_size: int = 64
    lr: float = 3e-3
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises; it falls along a cosine afterwards."""
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    clip_norm: float = 2.0
    """Largest norm of the gradient; 0: not limited."""
    channels: tuple[int, ...] = (24, 48, 96, 128, 192, 192)

    def __post_init__(self) -> None:
        if isinstance(self.channels, list):  # as JSON gives it
            object.__setattr__(self, "channels", tuple(self.channels))
        check_numbers(self, LINE_RANGES)
        if not (
            isinstance(self.channels, tuple)
            and len(self.channels) == len(CONVOLUTIONS)
            and all(type(width) is int and 1 <= width <= MAX_CHANNELS for width in self.channels)
        ):
            raise RecipeError(
                f"channels is {self.channels!r}; it must be {len(CONVOLUTIONS)} whole numbers from 1 to "
                f"{MAX_CHANNELS:,}"
            )


def is_line_plan(values: Mapping[str, Any]) -> bool:
    """True where the values of a recipe.json are those of a line network's run."""
    recipe = values.get("recipe")
    return isinstance(recipe, dict) and "strips" in recipe
