"""What there is: `lenet recipes`, `lenet models`, `lenet summary`; and `lenet bench`, how fast it is here."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lenet.cli.app import Json, app
from lenet.cli.tables import align, show_network
from lenet.errors import RecipeError
from lenet.models.config import MODELS, find_model
from lenet.training.recipes import RECIPES, describe_recipe


@app.command
def recipes(*, json: Json = False) -> None:
    """List the named recipes and where they come from.

    Example: lenet recipes --json
    """
    rows = [describe_recipe(recipe) for recipe in RECIPES.values()]
    if json:
        print(json_module.dumps(rows))
        return
    table = [[row[key] for key in ("name", "model", "data", "epochs", "source")] for row in rows]
    print(align([["recipe", "network", "data", "epochs", "source"], *table], right=(3,)))


@app.command
def models(*, json: Json = False) -> None:
    """List the named networks.

    Example: lenet models
    """
    rows = [{"name": n, "parameters": c.parameters, **c.to_dict()} for n, c in MODELS.items()]
    if json:
        print(json_module.dumps(rows))
        return
    keys = ("name", "parameters", "input_size", "activation", "pooling")
    print(
        align(
            [
                ["network", "parameters", "input", "activation", "pooling"],
                *([r[k] for k in keys] for r in rows),
            ]
        )
    )


@app.command
def summary(
    model: Annotated[str, Parameter(help="A network's name, or a recipe's for its network.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Print the layers of a network: output shapes, parameters, multiply-adds for an image.

    Example: lenet summary d2l
    """
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    if json:
        layers = [asdict(layer) | {"output_shape": list(layer.output_shape)} for layer in config.layers()]
        counts = {"parameters": config.parameters, "multiply_adds": config.multiply_adds}
        print(json_module.dumps({**counts, "layers": layers}))
    else:
        print(show_network(config))


@app.command
def bench(
    model: Annotated[str, Parameter(help="A network's name, or a recipe's for its network.")] = "lenet5-relu",
    /,
    *,
    batch_size: Annotated[int, Parameter(help="Images a step.")] = 256,
    json: Json = False,
) -> None:
    """Measure training and reading on this processor, beside PyTorch's own operators in the same run.

    Example: lenet bench d2l
    """
    from lenet.bench.speed import describe_machine, measure_speed

    if not 1 <= batch_size <= 100_000:
        raise RecipeError(f"batch_size is {batch_size}; it must be a number from 1 to 100,000")
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    machine = describe_machine()
    figures = measure_speed(config, batch_size)
    if json:
        print(json_module.dumps([asdict(figure) | {"machine": machine} for figure in figures]))
        return
    rows = [[figure.what, f"{figure.value:,.1f}", figure.unit] for figure in figures]
    print(", ".join(f"{key} {value}" for key, value in machine.items() if value is not None))
    print(align([["what", "value", "unit"], *rows], right=(1,)))


data_app = App(name="data", help="The data sets: list, fetch, import.", help_format="plaintext")

app.command(data_app)


@data_app.command(name="list")
def data_list(*, json: Json = False) -> None:
    """List the data sets, their licences, and where their files were found.

    Example: lenet data list
    """
    from lenet.data.cache import list_sources

    rows = [asdict(listing) for listing in list_sources()]
    if json:
        print(json_module.dumps(rows))
        return
    table = [[r["name"], r["train"], r["test"], len(r["classes"]), r["licence"], r["found"]] for r in rows]
    print(align([["data", "train", "test", "classes", "licence", "found"], *table], right=(1, 2, 3)))


@data_app.command
def fetch(name: Annotated[str, Parameter(help="A data set's name.")], /) -> None:
    """Fetch a data set from its mirrors into the cache, checked by its checksums.

    Example: lenet data fetch mnist
    """
    from lenet.data.cache import fetch as fetch_data

    print(fetch_data(name))


@data_app.command(name="import")
def data_import(
    path: Annotated[Path, Parameter(help="A folder, archive or file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Which data set it is, where its files do not tell.")] = None,
) -> None:
    """Put the files of a known data set into the cache, recognised by their checksums.

    Example: lenet data import ~/Downloads/mnist.zip
    """
    from lenet.data.importing import import_data

    print(import_data(path, name))
