"""The weights that come with the package say where they are from, and hold what they say."""

import pytest

import lenet
from lenet.data.imageset import ImageSet
from lenet.models.checkpoint import WEIGHTS, load_checkpoint
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES


@pytest.mark.parametrize(("name", "recipe"), [("mnist", "best"), ("reader", "reader")])
def test_the_card_says_how_they_were_made(name: str, recipe: str) -> None:
    card = load_checkpoint(name).card
    assert Recipe.from_dict(card["recipe"]) == RECIPES[recipe]
    assert (card["seed"], card["classes"]) == (0, list("0123456789"))
    last = RECIPES[recipe].epochs
    assert card["epoch"] == last or (RECIPES[recipe].validation and card["epoch"] < last)


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 600_000


@pytest.mark.parametrize(("name", "accuracy"), [("mnist", 0.995), ("reader", 0.994)])
def test_they_read_mnist(mnist_test: ImageSet, name: str, accuracy: float) -> None:
    checkpoint = load_checkpoint(name)
    assert checkpoint.model.config.parameters == 61_706
    assert lenet.evaluate(checkpoint, mnist_test).accuracy >= accuracy


def test_the_measured_accuracy_is_on_the_card(mnist_test: ImageSet) -> None:
    checkpoint = load_checkpoint("mnist")
    accuracy = lenet.evaluate(checkpoint, mnist_test).accuracy
    assert abs(accuracy - checkpoint.card["figures"]["test_accuracy"]) < 2e-4


def test_the_reader_knows_what_is_no_digit_and_what_rejection_costs() -> None:
    checkpoint = load_checkpoint("reader")
    assert checkpoint.model.config.reject_class
    assert checkpoint.card["rejection"]["validation_count"] == RECIPES["reader"].validation
