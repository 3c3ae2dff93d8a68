"""What there is: `lenet recipes`, `lenet models`, `lenet summary`; and `lenet bench`, how fast it is here."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from lenet.apps.tables import align, show_network
from lenet.cli.app import Json, app
from lenet.errors import RecipeError
from lenet.models.zoo import MODELS, find_model
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
    from lenet.insight.speed import describe_machine, measure_speed

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
