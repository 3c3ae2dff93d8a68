"""Train networks of a thousand to half a million parameters alike: the accuracy against the parameters.

    python benchmarks/sizes.py [--seeds 3]

Two families, each by one recipe with other widths and 20 epochs: three 3×3 convolutions as in `tiny`, and the
5×5 convolutions and dense layers of LeNet-5 as in `best`. Results go to benchmarks/results/sizes.json after
each training; what is there is not trained again. docs/sizes.png is drawn from them.
"""

import argparse
import json
import shlex
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from matplotlib.figure import Figure

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.files import write_text
from lenet.training.evaluation import compute_logits
from lenet.training.loop import train
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.start import make_model

OUT = Path(__file__).parent / "results" / "sizes.json"
PLOT = Path(__file__).parents[1] / "docs" / "sizes.png"
EPOCHS = 20
THREE_CONVOLUTIONS = (3, 4, 5, 7, 10, 14, 20, 28, 40)  # channels of the first one
LENET5 = (0.25, 0.5, 1.0, 2.0, 2.8)  # of its widths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    entries: list[dict[str, Any]] = json.loads(OUT.read_text())["entries"] if OUT.exists() else []
    for seed in range(given.seeds):
        for family, recipe in list_recipes():
            size = recipe.model.parameters
            if any((e["family"], e["parameters"], e["seed"]) == (family, size, seed) for e in entries):
                continue
            entry = {"family": family, "parameters": size, "seed": seed}
            entry |= {"accuracy": measure(recipe, seed), "commit": describe_machine()["commit"]}
            entries.append(entry)
            print(entry, flush=True)
            write(entries)
    write(entries)
    draw(entries)


def write(entries: list[dict[str, Any]]) -> None:
    command = shlex.join(["python", "benchmarks/sizes.py", *sys.argv[1:]])
    about = {"what": "sizes", "command": command, "epochs": EPOCHS, "machine": describe_machine()}
    write_text(OUT, json.dumps({**about, "entries": entries}, indent=1) + "\n")


def list_recipes() -> list[tuple[str, Recipe]]:
    """The family and the recipe of each network, the smallest first."""
    tiny, best = find_recipe("tiny"), find_recipe("best")
    found = [
        ("three convolutions", tiny.override({"channels": (width, 2 * width, round(2.6 * width))}))
        for width in THREE_CONVOLUTIONS
    ]
    for factor in LENET5:
        widths = [tuple(round(factor * width) for width in widths) for widths in ((6, 16), (120, 84))]
        found.append(("LeNet-5", best.override({"channels": widths[0], "hidden": widths[1]})))
    found = [(family, recipe.override({"epochs": EPOCHS})) for family, recipe in found]
    return sorted(found, key=lambda pair: pair[1].model.parameters)


def measure(recipe: Recipe, seed: int) -> float:
    """The test accuracy after the last epoch, in percent."""
    model, test = make_model(recipe, seed), load("mnist", "test")
    for _ in train(model, load("mnist", "train"), recipe, seed=seed, device="cpu"):
        pass
    right = compute_logits(model, test.images).argmax(dim=1) == test.labels
    return round(100 * right.double().mean().item(), 2)


def draw(entries: list[dict[str, Any]]) -> None:
    """The curve of each family through the means, and a mark for every seed."""
    families: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        families[entry["family"]][entry["parameters"]].append(entry["accuracy"])
    figure = Figure(figsize=(7, 3.6), dpi=160, layout="constrained")
    axes = figure.subplots()
    for (family, sizes), colour in zip(families.items(), ("#c0392b", "#2c6fbb"), strict=True):
        measured = sorted(sizes.items())
        axes.plot(
            [n for n, _ in measured], [mean(values) for _, values in measured], color=colour, label=family
        )
        marks = [(n, value) for n, values in measured for value in values]
        axes.plot(*zip(*marks, strict=True), "o", color=colour, markersize=3, alpha=0.5)
    axes.set_xscale("log")
    axes.set_xlabel("parameters")
    axes.set_ylabel("accuracy on MNIST's test images, %")
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
    figure.savefig(PLOT)


if __name__ == "__main__":
    main()
