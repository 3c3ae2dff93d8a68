"""Verbs that list and describe: recipes, models, summary, data; this machine: env, bench; and completion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lenet.cli.app import Json, app, write_json
from lenet.cli.flags import describe_setting, read_setting
from lenet.cli.tables import align, show_machine, show_network, write_setting
from lenet.errors import RecipeError
from lenet.models.config import MODELS, find_model
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES, describe_recipe, find_recipe


@app.command
def recipes(
    recipe: Annotated[
        str | None, Parameter(help="The name of a recipe: list its settings, their values and meanings.")
    ] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the named recipes with their sources, or all settings of one recipe.

    Example: lenet recipes
    Example: lenet recipes d2l
    """
    chosen = list(RECIPES.values()) if recipe is None else [find_recipe(recipe)]
    rows = [describe_recipe(each) for each in chosen]
    if json:
        print(write_json(rows))
        return
    if recipe is not None:
        settings = [
            [name, write_setting(read_setting(chosen[0], name)), describe_setting(name)] for name in SETTINGS
        ]
        print(align([["setting", "value", "meaning"], *settings]))
        page = rows[0]["page"]
        if page is not None:
            print(f"\nTutorial: {page}, in Chinese {page.removesuffix('.md')}.zh.md")
        return
    table = [[row[key] for key in ("name", "model", "data", "epochs", "source")] for row in rows]
    print(align([["recipe", "network", "data", "epochs", "source"], *table], right=(3,)))


@app.command
def models(*, json: Json = False) -> None:
    """List the named networks with their settings.

    Example: lenet models
    """
    rows = [{"name": n, "parameters": c.parameters, **c.to_dict()} for n, c in MODELS.items()]
    if json:
        print(write_json(rows))
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
    model: Annotated[str, Parameter(help="The name of a network, or of a recipe for its network.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Print the layers of a network: output shapes, parameters and multiply-adds per image.

    For the networks of 1989 to 1998, also the connections, as the papers count them.

    Example: lenet summary d2l
    Example: lenet summary lenet5-1998
    """
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    if json:
        layers = [asdict(layer) | {"output_shape": list(layer.output_shape)} for layer in config.layers()]
        counts = {
            "parameters": config.parameters,
            "multiply_adds": config.multiply_adds,
            "connections": config.connections,
        }
        print(write_json({**counts, "layers": layers}))
    else:
        print(show_network(config))


@app.command
def bench(
    model: Annotated[
        str, Parameter(help="The name of a network, or of a recipe for its network.")
    ] = "lenet5-relu",
    /,
    *,
    batch_size: Annotated[int, Parameter(help="Images per step.")] = 256,
    json: Json = False,
) -> None:
    """Measure training and inference speed on this machine, compared with PyTorch's own operators.

    Inference in one call of the kernel is compared with onnxruntime, where that is installed.

    Example: lenet bench d2l
    """
    from lenet.bench.inference import measure_inference, measure_lines
    from lenet.bench.machine import describe_machine
    from lenet.bench.speed import measure_speed

    if not 1 <= batch_size <= 100_000:
        raise RecipeError(f"batch_size is {batch_size}; it must be a number from 1 to 100,000")
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    machine = describe_machine()
    figures = measure_speed(config, batch_size) + measure_inference(config) + measure_lines()
    if json:
        print(write_json([asdict(figure) | {"machine": machine} for figure in figures]))
        return
    rows = [[figure.what, f"{figure.value:,.1f}", figure.unit] for figure in figures]
    print(f"{show_machine(machine)}\n")
    print(align([["what", "value", "unit"], *rows], right=(1,)))


@app.command
def env(*, json: Json = False) -> None:
    """Print versions, processor and threads, and whether the compiled kernel is used and why.

    Example: lenet env --json
    """
    from lenet.bench.machine import describe_machine

    machine = describe_machine()
    print(write_json(machine) if json else show_machine(machine))


@app.command
def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"], Parameter(help="The shell.", show_choices=True)
    ],
    /,
) -> None:
    """Print a script that makes a shell complete verbs and flags with the Tab key.

    For bash, write it to ~/.local/share/bash-completion/completions/lenet; for zsh, to a file _lenet in a
    folder of $fpath; for fish, to ~/.config/fish/completions/lenet.fish. Then open a new shell.

    Example: lenet completion bash
    """
    print(app.generate_completion(shell=shell))


data_app = App(name="data", help="List, fetch and import data sets.", help_format="plaintext")

app.command(data_app)


@data_app.command(name="list")
def data_list(*, json: Json = False) -> None:
    """List the data sets and the handwriting fonts, their licences and where their files are.

    Example: lenet data list
    """
    from lenet.data.cache import list_sources
    from lenet.data.fonts import describe_fonts

    rows = [asdict(listing) for listing in (*list_sources(), describe_fonts())]
    if json:
        print(write_json(rows))
        return
    counts = [[r["train"], r["test"], len(r["classes"])] if r["classes"] else [""] * 3 for r in rows]
    table = [[r["name"], *n, r["licence"], r["found"]] for r, n in zip(rows, counts, strict=True)]
    print(align([["data", "train", "test", "classes", "licence", "found"], *table], right=(1, 2, 3)))


@data_app.command
def fetch(
    name: Annotated[str, Parameter(help="The name of a data set, or `fonts` for all handwriting fonts.")], /
) -> None:
    """Download a data set, or the handwriting fonts, to the cache and verify their checksums.

    Example: lenet data fetch mnist
    Example: lenet data fetch fonts
    """
    from lenet.data.cache import fetch as fetch_data
    from lenet.data.fonts import FONTS, fetch_fonts

    print(fetch_fonts() if name == FONTS else fetch_data(name))


@data_app.command(name="import")
def data_import(
    path: Annotated[Path, Parameter(help="A folder, archive or file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="The data set, if the files do not identify it.")] = None,
) -> None:
    """Copy the files of a known data set, or handwriting fonts, to the cache; checksums identify them.

    Example: lenet data import ~/Downloads/mnist.zip
    """
    from lenet.data.importing import import_data

    print(import_data(path, name))
