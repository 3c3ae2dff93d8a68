"""The search space: settings of a recipe, each with a range or a list of values. No torch here."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from lenet.errors import RecipeError
from lenet.experiments.studies import Study
from lenet.models.config import LeNetConfig
from lenet.synthesis.distortions import Distortions
from lenet.training.recipe import SETTINGS, Recipe

MAX_VARIANTS = 1000


@dataclass(frozen=True)
class Range:
    """A setting with a range of values; integers if the setting takes integers."""

    name: str
    low: float
    high: float
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """True if the setting takes integers only."""
        return isinstance(self.low, int)


@dataclass(frozen=True)
class Choice:
    """A setting with a list of values."""

    name: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as text: 120-84 for a list."""
        return tuple(write_value(value) for value in self.values)


@dataclass(frozen=True)
class Search:
    """A recipe, its search space, the number of trials, and the seed."""

    recipe: Recipe
    space: tuple[Range | Choice, ...]
    trials: int
    seed: int = 0

    @property
    def name(self) -> str:
        """Recipe, data, and a hash of everything but the number of trials."""
        plan = [self.recipe.to_dict(), [asdict(part) for part in self.space], self.seed]
        digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:8]
        return f"search-{self.recipe.name}-{Path(self.recipe.data).name}-{digest}"


def read_space(recipe: Recipe, texts: Sequence[str]) -> tuple[Range | Choice, ...]:
    """Parse a search space from the syntax of the command line.

    `lr=0.01:0.9:log` is a range with a uniform logarithm; `batch_size=32:512` a range of integers;
    `activation=relu,sigmoid` a list; `channels=6-16,12-32` a list of lists.
    Raises RecipeError or ModelError for values that are invalid for the recipe.
    """
    space = tuple(_read_part(text) for text in texts)
    names = [part.name for part in space]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{name} is given twice; give each setting once")
    for part in space:
        for value in part.values if isinstance(part, Choice) else (part.low, part.high):
            recipe.override({part.name: value})
    return space


def make_grid(recipe: Recipe, space: Sequence[Range | Choice]) -> Study:
    """The grid of all combinations, as a study. Raises RecipeError for ranges and too many variants."""
    choices = []
    for part in space:
        if isinstance(part, Range):
            raise RecipeError(
                f"{part.name} is a range; say how often to try with `trials=50`, or list values"
            )
        choices.append([(part.name, value) for value in part.values])
    variants = [dict(values) for values in itertools.product(*choices)]
    if not 2 <= len(variants) <= MAX_VARIANTS:
        raise RecipeError(f"{len(variants)} combinations; there must be from 2 to {MAX_VARIANTS}")
    for changes in variants:
        recipe.override(changes)
    names = "-".join(part.name for part in space)
    return Study(
        name=f"{recipe.name}-{names}",
        question=f"What do {', '.join(part.name for part in space)} change in {recipe.name}?",
        recipe=recipe,
        variants={write_changes(changes): changes for changes in variants},
    )


def write_changes(changes: dict[str, Any]) -> str:
    """Settings and values as text: 'lr 0.1, activation relu'."""
    return ", ".join(f"{name} {write_value(value)}" for name, value in changes.items())


def write_value(value: Any) -> str:
    """A value in the syntax of `read_space`."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else str(value)  # as short as it is exact
    return str(value)


def _read_part(text: str) -> Range | Choice:
    name, _, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not values:
        raise RecipeError(f"{text!r} says nothing to try; write lr=0.01:0.9:log or activation=relu,sigmoid")
    if name not in SETTINGS or name == "data":
        if name not in SETTINGS:
            _ANY.override({name: None})  # raises RecipeError with the nearest name
        raise RecipeError(f"{name} cannot be searched; `lenet train --help` lists the settings")
    kind = _find_kind(name)
    if ":" not in values:
        choices = tuple(_read_value(name, part, kind) for part in values.split(","))
        for value in choices:
            if choices.count(value) > 1:
                raise RecipeError(f"{name} is to be {write_value(value)} twice; give each value once")
        return Choice(name, choices)
    low, high, *rest = values.split(":")
    if kind not in (int, float) or rest not in ([], ["log"]):
        raise RecipeError(f"{text!r} is no range; write low:high, or low:high:log, of a setting with numbers")
    ends = _read_value(name, low, kind), _read_value(name, high, kind)
    if not ends[0] < ends[1] or (rest and ends[0] <= 0):
        raise RecipeError(f"{text!r} is no range; it must go up, and from above 0 for log")
    return Range(name, *ends, is_log=bool(rest))


def _find_kind(name: str) -> Any:
    """The type of a setting's values: int, float, bool, str or tuple."""
    owner = {"own": Recipe, "model": LeNetConfig, "distortions": Distortions}[SETTINGS[name]]
    hint = get_type_hints(owner)[name]
    if get_origin(hint) is tuple or any(get_origin(part) is tuple for part in get_args(hint)):
        return tuple if name != "class_weights" else str
    return hint if hint in (int, float, bool) else str


def _read_value(name: str, text: str, kind: Any) -> Any:
    text = text.strip()
    try:
        if kind is tuple:
            return tuple(int(part) for part in text.split("-")) if text else ()
        if kind is bool:
            return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise RecipeError(f"{name} is {text!r}; it must be a {_KINDS[kind]}") from None


_KINDS = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    tuple: "list such as 6-16",
    str: "word",
}
_ANY = Recipe("any", LeNetConfig(), "digits", 1, 1, "sgd", 1.0)
