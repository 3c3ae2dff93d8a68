"""What a search tries, as it is written."""

from dataclasses import replace
from pathlib import Path

import pytest

from lenet.errors import ModelError, RecipeError
from lenet.experiments.space import Choice, Range, Search, make_grid, read_space, write_changes
from lenet.training.recipes import RECIPES

QUICK = RECIPES["quick"]


def test_ranges_and_lists():
    texts = [
        "lr=0.01:0.9:log", "batch-size=32:512", "activation=relu,sigmoid", "channels=6-16,12-32",
        "hidden=84,", "flip=false", "class_weights=none,balanced",
    ]  # fmt: skip
    assert read_space(QUICK, texts) == (
        Range("lr", 0.01, 0.9, is_log=True),
        Range("batch_size", 32, 512),
        Choice("activation", ("relu", "sigmoid")),
        Choice("channels", ((6, 16), (12, 32))),
        Choice("hidden", ((84,), ())),
        Choice("flip", (False,)),
        Choice("class_weights", ("none", "balanced")),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "says nothing to try"),
        ("lr=", "says nothing to try"),
        ("leaning_rate=1,2", "did you mean 'warm_up'|no setting 'leaning_rate'"),
        ("data=mnist,digits", "data cannot be searched"),
        ("lr=fast", "it must be a number"),
        ("lr=0.9:0.1", "must go up"),
        ("lr=0:0.1:log", "from above 0"),
        ("lr=0.1:0.2:linear", "is no range"),
        ("activation=relu:tanh", "is no range"),
        ("activation=relu,stairs", "activation is 'stairs'"),
        ("batch_size=0.5,1", "whole number"),
        ("channels=6x16", "6-16"),
        ("flip=perhaps", "true or false"),
        ("hidden=0", "hidden is 0"),
        ("lr=0.1,0.10", "lr is to be 0.1 twice"),
        ("flip=true,yes", "flip is to be True twice"),
        ("channels=6-16,12-32,6-16", "channels is to be 6-16 twice"),
    ],
)
def test_mistakes_are_named(text: str, message: str):
    with pytest.raises((RecipeError, ModelError), match=message):
        read_space(QUICK, [text])


def test_a_setting_is_given_once():
    with pytest.raises(RecipeError, match="lr is given twice"):
        read_space(QUICK, ["lr=1,2", "lr=3"])


def test_a_grid_has_every_combination():
    space = read_space(QUICK, ["lr=0.1,0.01", "hidden=120-84,64", "pooling=avg,max"])
    study = make_grid(QUICK, space)
    assert len(study.variants) == 8
    assert next(iter(study.variants)) == "lr 0.1, hidden 120-84, pooling avg"
    assert len({study.plan(label).name for label in study.variants}) == 8
    with pytest.raises(RecipeError, match="lr is a range; say how often"):
        make_grid(QUICK, read_space(QUICK, ["lr=0.1:0.2"]))
    with pytest.raises(RecipeError, match="1 combinations"):
        make_grid(QUICK, read_space(QUICK, ["lr=0.1"]))
    with pytest.raises(ModelError, match="does not fit"):
        make_grid(QUICK, read_space(QUICK, ["kernel_size=5,9", "channels=6-16,6-16-32"]))


def test_a_search_is_the_same_whatever_its_trials():
    space = read_space(QUICK, ["lr=0.1:0.2"])
    search = Search(QUICK, space, 10)
    assert search.name == Search(QUICK, space, 99).name
    assert search.name.startswith("search-quick-digits-")
    others = [
        Search(replace(QUICK, epochs=2), space, 10),
        Search(QUICK, read_space(QUICK, ["lr=0.1:0.3"]), 10),
        Search(QUICK, space, 10, seed=1),
    ]
    assert len({search.name, *(other.name for other in others)}) == 4


def test_values_are_written_as_they_are_read():
    changes = {"hidden": (120, 84), "lr": 0.001, "flip": True, "pooling": "max"}
    assert write_changes(changes) == "hidden 120-84, lr 0.001, flip True, pooling max"


def test_there_is_no_torch_in_what_help_texts_need():
    for name in ("space", "studies", "pool"):
        text = Path(__file__).parents[2].joinpath(f"src/lenet/experiments/{name}.py").read_text("utf-8")
        assert "\nimport torch" not in text
