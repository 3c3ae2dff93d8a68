"""The weights that come with the package say where they are from, and hold what they say."""

import lenet
from lenet.data.datasets import ImageSet
from lenet.models.checkpoint import WEIGHTS, load_checkpoint
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES


def test_the_card_says_how_they_were_made() -> None:
    card = load_checkpoint("mnist").card
    assert Recipe.from_dict(card["recipe"]) == RECIPES["best"]
    assert (card["seed"], card["epoch"], card["classes"]) == (0, 80, list("0123456789"))


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 300_000


def test_they_read_mnist(mnist_test: ImageSet) -> None:
    checkpoint = load_checkpoint("mnist")
    evaluation = lenet.evaluate(checkpoint, mnist_test)
    assert checkpoint.model.config.parameters == 61_706
    assert evaluation.accuracy >= 0.995
    assert abs(evaluation.accuracy - checkpoint.card["figures"]["test_accuracy"]) < 2e-4
