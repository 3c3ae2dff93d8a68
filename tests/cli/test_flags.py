"""Flags are made from the fields they set."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from lenet.cli.flags import ELSEWHERE, PARTS, field_docs, field_types, make_flags, read_changes
from lenet.data.sources import find_source
from lenet.errors import RecipeError
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES, find_recipe
from lenet.training.run_folder import RunFolder

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


@pytest.mark.parametrize("name", ["MNIST", "Mnist", "mnist"])
def test_data_sets_are_known_by_the_names_that_tutorials_use(name: str):
    assert find_recipe("quick", name).data == find_source(name).name == "mnist"


@pytest.mark.parametrize("name", ["FashionMNIST", "Fashion_MNIST", "fashion mnist", "FASHION-MNIST"])
def test_a_recipe_for_one_data_set_is_found_by_any_spelling(name: str):
    assert find_recipe("best", name).name == "best-fashion-mnist"


def test_a_folder_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MNIST").mkdir()
    assert find_recipe("quick", "MNIST").data == "MNIST"
    assert find_recipe("quick", "./my-letters").data == "./my-letters"


def test_words_of_tutorials_are_understood(lenet: Callable[..., Any], bars_folder: Path):
    flags = ["--data", bars_folder, "--input-size", 12, "--epochs", 1, "--device", "cpu", "--json"]
    run = lenet(
        "train", "quick", *flags, "--loss", "MSE", "--learning-rate", 0.25, "--pooling", "average"
    ).json["run"]
    recipe = RunFolder(Path(run)).read_plan().recipe
    assert (recipe.loss, recipe.lr, recipe.model.pooling) == ("mean-squared-error", 0.25, "avg")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--resize", "32"], "did you mean --input-size 32 --fit resize?"),
        (["--resize=32"], "did you mean --input-size 32 --fit resize?"),
        (["--dataset", "mnist"], "did you mean --data?"),
        (["--loss", "msx"], "--loss: 'msx' is none of cross-entropy, mean-squared-error"),
        (["--data", "fashionmist"], "did you mean 'fashion-mnist'?"),
    ],
)
def test_words_that_are_none_get_the_right_hint(lenet: Callable[..., Any], words: list[str], hint: str):
    outcome = lenet("train", "quick", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert hint in outcome.err
