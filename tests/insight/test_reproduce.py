"""The command that a report prints plans the run again, whatever was changed."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.cli.app import register_verbs
from lenet.cli.flags import read_changes
from lenet.insight.report import write_command
from lenet.training.plan import Plan
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES, find_recipe

app = register_verbs()


def plan(recipe: Recipe, seed: int = 0) -> Plan:
    return Plan(recipe, seed, "cpu", 1, "0" * 64)


def read(command: str) -> tuple[Recipe, int, str]:
    """What `lenet train` would plan."""
    words = shlex.split(command)
    assert words[:2] == ["lenet", "train"]
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    given = bound.arguments
    changes = read_changes(given["flags"]) if "flags" in given else {}
    recipe = find_recipe(given["recipe"], given.get("data")).override(changes)
    return recipe, given["seed"], given["device"]


def without_names(recipe: Recipe) -> dict[str, Any]:
    values = recipe.to_dict()
    for name in ("name", "source", "published"):
        del values[name]
    return values


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 500),
        "lr": st.floats(1e-5, 10),
        "momentum": st.floats(0, 0.99),
        "shuffle": st.booleans(),
        "flip": st.booleans(),
        "activation": st.sampled_from(["relu", "leaky-relu", "tanh"]),
        "channels": st.sampled_from([(3,), (6, 16), (8, 24)]),
        "hidden": st.sampled_from([(), (10,), (120, 84)]),
        "pixel_mean": st.floats(-5, 5),
        "class_weights": st.sampled_from(["none", "balanced", (0.5, 1.0, 2.5)]),
        "degrees": st.floats(0, 90),
        "validation": st.integers(1, 900),
        "data": st.sampled_from(["digits", "mnist", "fashion-mnist"]),
    },
)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from([*RECIPES]), changes=CHANGES, seed=st.integers(0, 2**31))
def test_the_command_plans_the_same(name: str, changes: dict[str, Any], seed: int):
    data = changes.pop("data", None)
    try:
        recipe = find_recipe(name, data).override(changes)
    except Exception:
        return  # no such recipe can be
    again, same_seed, device = read(write_command(plan(recipe, seed)))
    assert (again, same_seed, device) == (recipe, seed, "cpu")


def test_a_recipe_of_ones_own_is_told_from_another():
    recipe = replace(RECIPES["lab3"], name="mine; rm -rf ~", data="digits")
    again, _, _ = read(write_command(plan(recipe)))
    assert without_names(again) == without_names(recipe)


@pytest.mark.parametrize("name", ["my letters", "$(reboot)", "it's", "mnist-2", "set.csv"])
def test_own_data_are_one_word_and_without_their_place(name: str):
    recipe = replace(RECIPES["quick"], data=f"/home/somebody/{name}")
    command = write_command(plan(recipe))
    assert "somebody" not in command
    again, _, _ = read(command)
    assert again.data == f"./{name}"
    assert Path(again.data).name == name


def test_a_run_in_slices_is_begun_by_torchrun():
    command = write_command(replace(plan(RECIPES["quick"]), slices=8))
    assert command == "torchrun -m lenet train quick --seed 0 --device cpu"
