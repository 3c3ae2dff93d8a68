"""The named recipes, each with its source and the figures that the source printed.

No torch here: `lenet recipes` answers at once.
"""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lenet.data.sources import spell_source
from lenet.errors import RecipeError
from lenet.models import config as config_module
from lenet.models.config import MODELS, name_model
from lenet.synthesis import distortions as distortions_module
from lenet.synthesis.distortions import Distortions
from lenet.training import recipe as recipe_module
from lenet.training.classic_recipes import LENET1_1998, LENET4_1998, LENET5_1998, LENET_1989
from lenet.training.recipe import SETTINGS, Recipe


def find_recipe(name: str, data: str | None = None) -> Recipe:
    """The recipe called `name`, for `data` if given.

    Where a recipe `NAME-DATA` exists, it takes the place of NAME on that data set: `best` on Fashion-MNIST
    is `best-fashion-mnist`. Raises RecipeError, naming the nearest, if there is none.
    """
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RECIPES)}"
        raise RecipeError(f"no recipe is called {name!r}; {hint}")
    if data is not None and not Path(data).exists():
        data = spell_source(data)
    recipe = RECIPES.get(f"{name}-{data}", RECIPES[name])
    return recipe if data is None else replace(recipe, data=data)


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe as `lenet recipes --json` lists it: the network by name, the rest as it is."""
    values = {**recipe.to_dict(), "model": name_model(recipe.model), "network": recipe.model.to_dict()}
    values["page"] = TUTORIALS.get(recipe.name)
    # Programs may know settings by the names, and at the places, that they had.
    values["initialisation"] = recipe.model.initialisation
    for old_names, part in (
        (recipe_module.OLD_NAMES, values),
        (config_module.OLD_NAMES, values["network"]),
        (distortions_module.OLD_NAMES, values["distortions"]),
    ):
        part |= {old: part[new] for old, new in old_names.items()}
    return values


def list_changes(recipe: Recipe) -> dict[str, Any]:
    """The settings that are not as the named recipe has them, save for the data; {} where it has no name."""
    named = RECIPES.get(recipe.name, recipe)
    changes = {}
    for setting, part in SETTINGS.items():
        value, usual = (getattr(r if part == "own" else getattr(r, part), setting) for r in (recipe, named))
        if value != usual and setting != "data":
            changes[setting] = value
    return changes


D2L = Recipe(
    name="d2l",
    source="Dive into Deep Learning, section 'Convolutional Neural Networks (LeNet)'",
    published={
        "train_loss": 0.470, "train_accuracy": 0.823, "test_accuracy": 0.814,
        "examples_per_second": 141_385.7,
        "other_author": "loss .467, train .824, test .786, 27,559.6 examples/s",
    },
    model=replace(MODELS["lenet5-sigmoid"], initialisation="xavier"),
    data="fashion-mnist",
    epochs=10,
    batch_size=256,
    optimizer="sgd",
    lr=0.9,
)  # fmt: skip

D2L_RELU = replace(
    D2L,
    name="d2l-relu",
    source="the improved network that d2l's exercises ask for: ReLU, max pooling, Adam",
    published={},
    model=replace(MODELS["lenet5-relu"], initialisation="xavier"),
    optimizer="adam",
    lr=0.009,
)

LAB3 = Recipe(
    name="lab3",
    source="a course lab: MNIST in file order, a checkpoint every epoch, any of them evaluated",
    published={
        "train_loss": 0.2195, "test_accuracy": 0.9326,
        "path": "loss .2806 to .2195 in ten epochs that continue earlier ones; 93.26 % from checkpoint 5",
    },
    model=MODELS["lenet5-relu-avg"],
    data="mnist",
    epochs=10,
    batch_size=1000,
    optimizer="adam",
    lr=1e-4,
    shuffle=False,
    keep_every_epoch=True,
)  # fmt: skip

LENET5_TANH = Recipe(
    name="lenet5-tanh",
    source="a blog's LeNet-5: 32×32 input, tanh, average pooling; best epoch kept",
    published={"validation_accuracy": 0.9880},
    model=MODELS["lenet5-tanh"],
    data="mnist",
    epochs=30,
    batch_size=64,
    optimizer="adam",
    lr=1e-3,
    validation=5000,  # its author validated on the test set; here the test set chooses nothing
)
CLASSIC_SIGMOID = replace(
    D2L,
    name="classic-sigmoid",
    source="the textbook description of 1998: 32×32 input, sigmoid, average pooling; trained as d2l",
    published={},
    model=replace(MODELS["lenet5-textbook"], initialisation="xavier"),
    data="mnist",
)

QUICK = Recipe(
    name="quick",
    source="for a first look: the data set that comes with the install, in seconds",
    model=replace(MODELS["lenet5-relu"], pixel_mean=0.13, pixel_std=0.31),
    data="digits",
    epochs=30,
    batch_size=64,
    optimizer="adamw",
    lr=5e-3,
    schedule="one-cycle",
    weight_decay=0.01,
    distortions=Distortions(degrees=10, scale=0.1, shear=0.1, shift=0.07),
)

BEST = Recipe(
    name="best",
    source="our own: the 61,706-parameter network trained as well as we can; last averaged weights",
    model=replace(MODELS["lenet5-relu"], pixel_mean=0.1307, pixel_std=0.3081),
    data="mnist",
    epochs=80,
    batch_size=256,
    optimizer="adamw",
    lr=3e-3,
    weight_decay=0.2,
    schedule="one-cycle",
    label_smoothing=0.02,
    ema_decay=0.999,
    distortions=Distortions(degrees=8, scale=0.08, shear=0.1, shift=0.055, elastic=0.5),
)

BEST_FASHION = replace(
    BEST,
    name="best-fashion-mnist",
    data="fashion-mnist",
    model=replace(BEST.model, pixel_mean=0.2860, pixel_std=0.3530),
    epochs=100,
    weight_decay=0.1,
    distortions=Distortions(shift=0.04, flip=True),
)

TINY = replace(
    BEST,
    name="tiny",
    source="our own: fewer than 8,000 parameters, trained as well as we can",
    model=replace(MODELS["tiny"], pixel_mean=0.1307, pixel_std=0.3081),
    epochs=80,
    lr=6e-3,
    weight_decay=0.05,
)

SPRINT = Recipe(
    name="sprint",
    source="our own: 99 % on MNIST in as few seconds as we can, counted from the start of the process",
    model=BEST.model,
    data="mnist",
    epochs=3,
    batch_size=128,
    optimizer="adamw",
    lr=1e-2,
    weight_decay=0.01,
    schedule="one-cycle",
    warm_up=0.2,
    distortions=Distortions(shift=0.04),
)

READER = Recipe(
    name="reader",
    source="our own: the network that reads pictures; knows pens, scans and what is no digit",
    model=replace(BEST.model, pixel_mean=0.0, pixel_std=1.0, contrast_sigma=2.0, reject_class=True),
    data="mnist",
    epochs=90,
    batch_size=256,
    optimizer="adamw",
    lr=3e-3,
    weight_decay=0.03,
    schedule="one-cycle",
    label_smoothing=0.02,
    ema_decay=0.999,
    validation=5000,
    calibrate=True,
    glyph_variants=0.14,
    segmentation_artefacts=0.15,
    negatives=0.4,
    distortions=Distortions(
        degrees=15, scale=0.15, shear=0.2, shift=0.06, elastic=0.5, aspect=0.15,
        pen=1.2, blur=1.0, coarseness=0.5, noise=0.15, cover=0.12, fading=0.4, ruled_lines=0.06, paper=0.3,
    ),
)  # fmt: skip

ADAPT = Recipe(
    name="adapt",
    source="our own: adapts a checkpoint to one writer; learning without forgetting (Li and Hoiem 2016)",
    model=READER.model,  # `lenet train --from` takes the checkpoint's
    data="corrections",
    epochs=40,
    batch_size=16,
    optimizer="adamw",
    lr=2e-3,
    schedule="one-cycle",
    warm_up=0.1,
    rehearsal=10.0,
    distortions=Distortions(degrees=8, scale=0.08, shear=0.1, shift=0.055, elastic=1.0),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        D2L, D2L_RELU, LAB3, LENET5_TANH, CLASSIC_SIGMOID, LENET_1989, LENET1_1998, LENET4_1998, LENET5_1998,
        QUICK, BEST, BEST_FASHION, TINY, SPRINT, READER, ADAPT,
    )
}  # fmt: skip

TUTORIALS: dict[str, str] = {
    recipe.name: f"docs/tutorials/{recipe.name}.md"
    for recipe in (D2L, D2L_RELU, LAB3, LENET5_TANH, CLASSIC_SIGMOID)
}
"""The page of the documents that follows the recipe's source step by step, in the repository."""
