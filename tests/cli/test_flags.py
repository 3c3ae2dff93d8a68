"""Flags are made from the fields they set."""

from dataclasses import fields
from typing import Any, get_args

import pytest

from lenet.cli.flags import ELSEWHERE, PARTS, field_docs, field_types, make_flags, read_changes
from lenet.errors import RecipeError
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

Flags = make_flags()


def test_there_is_a_flag_for_every_setting():
    assert {flag.name for flag in fields(Flags)} == set(SETTINGS) - ELSEWHERE
    assert read_changes(Flags()) == {}


@pytest.mark.parametrize("flag", fields(Flags), ids=lambda flag: flag.name)
def test_every_flag_is_explained(flag: Any):
    parameter = get_args(flag.type)[1]
    assert len(parameter.help) > 10
    assert parameter.help.rstrip().endswith(".")


@pytest.mark.parametrize("part", PARTS)
def test_explanations_are_the_strings_under_the_fields(part: str):
    kind, _ = PARTS[part]
    assert set(field_docs(kind)) <= set(field_types(kind))
    names = {name for name, place in SETTINGS.items() if place == part}
    assert names <= set(field_docs(kind))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"channels": "6,16"}, {"channels": (6, 16)}),
        ({"channels": " 6 , 16 ,"}, {"channels": (6, 16)}),
        ({"hidden": ""}, {"hidden": ()}),
        ({"class_weights": "1,2.5"}, {"class_weights": (1.0, 2.5)}),
        ({"class_weights": "balanced"}, {"class_weights": "balanced"}),
        ({"lr": 0.1, "shuffle": False}, {"lr": 0.1, "shuffle": False}),
        ({"epochs": 0}, {"epochs": 0}),
    ],
)
def test_what_was_given_is_taken(given: dict[str, Any], taken: dict[str, Any]):
    assert read_changes(Flags(**given)) == taken


@pytest.mark.parametrize("text", ["six", "6;16", "6.5", "6,x"])
def test_lists_that_are_none(text: str):
    with pytest.raises(RecipeError, match="give numbers separated by commas, such as 6,16"):
        read_changes(Flags(channels=text))


def test_a_recipe_changed_to_itself_is_itself():
    recipe = RECIPES["best"]
    same: dict[str, Any] = {}
    for flag in fields(Flags):
        part = SETTINGS[flag.name]
        value = getattr(recipe if part == "own" else getattr(recipe, part), flag.name)
        same[flag.name] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    assert recipe.override(read_changes(Flags(**same))) == recipe
