"""Recipes are values: named, changed, written, read back, and refused with a hint."""

import json
from dataclasses import asdict, fields, replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.data.sources import SOURCES
from lenet.errors import LeNetError, ModelError, RecipeError
from lenet.models.config import LeNetConfig
from lenet.models.layers import ACTIVATION_KINDS
from lenet.synthesis.distortions import Distortions
from lenet.training.recipe import RANGES, SETTINGS, Recipe
from lenet.training.recipes import RECIPES, describe_recipe, find_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_are_whole(name: str):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.data in SOURCES or name == "adapt"  # whose data are a folder of corrections
    assert len(recipe.source) > 20
    assert recipe.model.parameters == 61_706 or recipe.model.is_classic or name == "tiny"
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert not recipe.distortions.flip or SOURCES[recipe.data].flips


def test_the_tutorials_keep_their_printed_values():
    """The table of the design, line by line."""
    rows = {
        name: (
            r.model.activation,
            r.model.pooling,
            r.data,
            r.optimizer,
            r.lr,
            r.batch_size,
            r.shuffle,
            r.epochs,
        )
        for name, r in RECIPES.items()
    }
    assert rows["d2l"] == ("sigmoid", "avg", "fashion-mnist", "sgd", 0.9, 256, True, 10)
    assert rows["d2l-relu"] == ("relu", "max", "fashion-mnist", "adam", 0.009, 256, True, 10)
    assert rows["lab3"] == ("relu", "avg", "mnist", "adam", 1e-4, 1000, False, 10)
    assert rows["lenet5-tanh"] == ("tanh", "avg", "mnist", "adam", 1e-3, 64, True, 30)
    assert rows["classic-sigmoid"] == ("sigmoid", "avg", "mnist", "sgd", 0.9, 256, True, 10)
    assert RECIPES["d2l"].model.initialisation == RECIPES["d2l-relu"].model.initialisation == "xavier"
    assert (RECIPES["lab3"].model.pixel_mean, RECIPES["lab3"].model.pixel_std) == (0.13, 0.30)
    assert RECIPES["lab3"].keep_every_epoch
    tanh = RECIPES["lenet5-tanh"].model
    assert (tanh.pixel_mean, tanh.pixel_std, tanh.input_size, tanh.fit) == (0.1307, 0.3081, 32, "resize")


def test_a_recipe_may_have_a_version_for_a_data_set():
    assert find_recipe("best", "fashion-mnist") == RECIPES["best-fashion-mnist"]
    assert find_recipe("best", "mnist") == find_recipe("best") == RECIPES["best"]
    assert find_recipe("d2l", "mnist") == replace(RECIPES["d2l"], data="mnist")
    assert find_recipe("best", "/some/folder").data == "/some/folder"


def test_unknown_recipes():
    with pytest.raises(RecipeError, match=r"no recipe is called 'quik'; did you mean 'quick'\?"):
        find_recipe("quik")
    with pytest.raises(RecipeError, match="there are d2l, d2l-relu, "):
        find_recipe("zzz")


def test_changes_go_where_they_belong():
    changed = RECIPES["quick"].override({"lr": 0.1, "pooling": "avg", "degrees": 5.0, "flip": True})
    assert changed == replace(
        RECIPES["quick"],
        lr=0.1,
        model=replace(RECIPES["quick"].model, pooling="avg"),
        distortions=replace(RECIPES["quick"].distortions, degrees=5.0, flip=True),
    )
    assert RECIPES["quick"].override({}) == RECIPES["quick"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("learning_rte", None),
        ("epoch", "epochs"),
        ("kernel", "kernel_size"),
        ("shft", "shift"),
        ("model", None),
    ],
)
def test_unknown_settings(name: str, near: str | None):
    with pytest.raises(RecipeError, match=f"a recipe has no setting '{name}'") as refused:
        RECIPES["d2l"].override({name: 1})
    assert near is None or f"did you mean '{near}'?" in str(refused.value)


def test_every_value_can_be_changed_and_none_twice():
    parts = {
        "own": {f.name for f in fields(Recipe)},
        "model": {f.name for f in fields(LeNetConfig)},
        "distortions": {f.name for f in fields(Distortions)},
    }
    assert sum(len(names) for names in parts.values()) == len(set().union(*parts.values()))
    fixed = {"name", "model", "distortions", "source", "published", "classes"}
    assert set(SETTINGS) == set().union(*parts.values()) - fixed
    assert all(name in parts[part] for name, part in SETTINGS.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0}, {"epochs": 1.5}, {"epochs": "3"}, {"epochs": True}, {"epochs": 10**9},
        {"batch_size": 0}, {"batch_size": -1}, {"lr": 0}, {"lr": -0.1}, {"lr": float("nan")},
        {"lr": float("inf")}, {"lr": "fast"}, {"lr": None}, {"momentum": 1.0}, {"weight_decay": -1},
        {"optimizer": "rmsprop"}, {"optimizer": None}, {"schedule": "linear"},
        {"loss": "mse"}, {"label_smoothing": 1.0}, {"ema_decay": 1}, {"clip_norm": -1},
        {"warm_up": 1.1}, {"validation": -1}, {"patience": 3}, {"patience": -1, "validation": 10},
        {"class_weights": "heavy"}, {"class_weights": (-1.0,) * 10},
        {"class_weights": (float("nan"),) * 10}, {"class_weights": (0.0,) * 10},
        {"class_weights": ("a",) * 10}, {"class_weights": None}, {"class_weights": {}},
        {"degrees": -1}, {"degrees": float("nan")}, {"degrees": "much"}, {"shift": 2}, {"elastic": None},
        {"optimizer": "sdlm", "momentum": 0.9}, {"optimizer": "sdlm", "dropout": 0.5},
        {"optimizer": "sdlm", "class_weights": "balanced"}, {"optimizer": "sdlm", "label_smoothing": 0.1},
        {"output": "rbf", "loss": "mean-squared-error"},
        {"reject_class": True, "loss": "mean-squared-error"}, {"negatives": 0.1}, {"calibrate": True},
        {"calibrate": 1, "validation": 10}, {"negatives": -1, "reject_class": True}, {"glyph_variants": 11},
        {"pen": 3}, {"aspect": 1}, {"noise": "much"}, {"cover": -0.1},
        {"flip": "no"}, {"shuffle": "no"}, {"keep_every_epoch": 3}, {"data": 5}, {"data": ""},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_values_are_refused_in_one_line(changes: dict[str, Any]):
    with pytest.raises(RecipeError) as refused:
        RECIPES["quick"].override(changes)
    assert "\n" not in str(refused.value)


def test_impossible_networks_are_refused():
    with pytest.raises(ModelError, match="conv1"):
        RECIPES["quick"].override({"kernel_size": 99})


possible = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 1000),
        "lr": st.floats(1e-9, 1000),
        "momentum": st.floats(0, 0.99),
        "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
        "schedule": st.sampled_from(["constant", "step", "cosine", "one-cycle"]),
        "class_weights": st.sampled_from(["none", "balanced"]) | st.tuples(*[st.floats(0.1, 9)] * 10),
        "activation": st.sampled_from(list(ACTIVATION_KINDS)),
        "channels": st.lists(st.integers(1, 20), min_size=1, max_size=2).map(tuple),
        "hidden": st.lists(st.integers(1, 20), max_size=3).map(tuple),
        "dropout": st.floats(0, 0.9),
        "degrees": st.floats(0, 90),
        "reject_class": st.just(True),
        "glyph_variants": st.floats(0, 1),
        "pen": st.floats(0, 2),
        "flip": st.booleans(),
        "shuffle": st.booleans(),
        "data": st.text(min_size=1, max_size=10),
    },
)


@given(
    name=st.sampled_from([name for name in RECIPES if not RECIPES[name].model.is_classic]), changes=possible
)
def test_a_changed_recipe_holds_the_changes_and_survives_json(name: str, changes: dict[str, Any]):
    recipe = RECIPES[name].override(changes)
    flat = asdict(recipe) | asdict(recipe.model) | asdict(recipe.distortions)
    assert {key: flat[key] for key in changes} == changes
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


PLACES = [
    *[(key,) for key in RECIPES["best"].to_dict()],
    *[("model", key) for key in RECIPES["best"].model.to_dict()],
    *[("distortions", key) for key in asdict(RECIPES["best"].distortions)],
]


@given(
    place=st.sampled_from(PLACES),
    value=st.sampled_from(
        [None, True, -1, 0, 10**400, 1e999, float("nan"), "", "x", [], [1], ["x"], {}, {"x": 1}]
    ),
)
def test_a_damaged_recipe_is_refused_or_still_a_recipe(place: tuple[str, ...], value: Any):
    values = RECIPES["best"].to_dict()
    target = values if len(place) == 1 else values[place[0]]
    target[place[-1]] = value
    try:
        recipe = Recipe.from_dict(values)
    except RecipeError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("values", [{}, [], None, "text", {"model": {}}, {"model": None}])
def test_what_is_no_recipe(values: Any):
    with pytest.raises(LeNetError, match="not a recipe of this version"):
        Recipe.from_dict(values)


@pytest.mark.parametrize("key", RECIPES["d2l"].to_dict())
def test_a_recipe_with_a_part_missing_or_strange(key: str):
    values = RECIPES["d2l"].to_dict()
    with pytest.raises(RecipeError):
        Recipe.from_dict({**values, f"{key}_": 1})
    del values[key]
    if key in ("name", "model", "data", "epochs", "batch_size", "optimizer", "lr", "distortions"):
        with pytest.raises(RecipeError):
            Recipe.from_dict(values)


def test_every_number_has_its_limits():
    numbers = {name for name, kind in get_type_hints(Recipe).items() if kind in (int, float)}
    assert set(RANGES) == numbers


def test_a_recipe_is_described_with_its_network_by_name():
    row = describe_recipe(RECIPES["d2l"])
    assert {"name", "model", "data", "epochs", "source"} <= set(row)
    assert row["model"] == "lenet5-sigmoid"
    old = {"neighbourhood": 0.0, "background": False}  # as programs may know them
    assert row["network"] == RECIPES["d2l"].model.to_dict() | old
    json.dumps(row)
