"""The weights that come with the package say where they are from, and hold what they say."""

import pytest

import lenet
from lenet.data.imageset import ImageSet
from lenet.models.checkpoint import load_checkpoint
from lenet.models.stored import WEIGHTS
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES, find_recipe


@pytest.mark.parametrize(("name", "recipe"), [("mnist", "best"), ("reader", "reader"), ("d2l", "d2l")])
def test_the_card_says_how_they_were_made(name: str, recipe: str) -> None:
    card = load_checkpoint(name).card
    assert Recipe.from_dict(card["recipe"]) == find_recipe(recipe, "mnist")
    assert (card["seed"], card["classes"]) == (0, list("0123456789"))
    last = RECIPES[recipe].epochs
    assert card["epoch"] == last or (RECIPES[recipe].validation and card["epoch"] < last)


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 1_700_000


@pytest.mark.parametrize(("name", "accuracy"), [("mnist", 0.995), ("reader", 0.994), ("d2l", 0.955)])
def test_they_read_mnist(mnist_test: ImageSet, name: str, accuracy: float) -> None:
    checkpoint = load_checkpoint(name)
    assert checkpoint.model.config.parameters == 61_706
    assert lenet.evaluate(checkpoint, mnist_test).accuracy >= accuracy


@pytest.mark.parametrize("name", ["mnist", "d2l"])
def test_the_measured_accuracy_is_on_the_card(mnist_test: ImageSet, name: str) -> None:
    checkpoint = load_checkpoint(name)
    accuracy = lenet.evaluate(checkpoint, mnist_test).accuracy
    assert abs(accuracy - checkpoint.card["figures"]["test_accuracy"]) < 2e-4


def test_the_reader_knows_what_is_no_digit_and_what_rejection_costs() -> None:
    checkpoint = load_checkpoint("reader")
    assert checkpoint.model.config.reject_class
    assert checkpoint.card["rejection"]["validation_count"] == RECIPES["reader"].validation
