"""Train one recipe on full data with several seeds and write what came of it, mean ± standard deviation.

    python benchmarks/systems.py d2l
    python benchmarks/systems.py lab3 --epochs 20
    python benchmarks/systems.py best --data fashion-mnist --seeds 0,1,2,3,4

The test images choose nothing: figures are those of the last epoch, or, where a recipe holds images out, of
the best epoch by those. Results go to benchmarks/results/RECIPE-DATA.json after each seed; seeds that are
there with the same recipe are not trained again, so that the script may be killed and started again.
"""

import argparse
import json
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from lenet.bench.machine import describe_machine
from lenet.files import write_text
from lenet.training.loop import Epoch
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.runs import begin_run, run_training
from lenet.training.summaries import summarise_run

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = find_recipe(given.recipe, given.data)
    if given.epochs:
        recipe = recipe.override({"epochs": given.epochs})

    file = RESULTS / f"{recipe.name}-{recipe.data}.json".replace(f"{recipe.data}-{recipe.data}", recipe.data)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    about = {
        "what": "accuracy",
        "recipe": recipe.to_dict(),
        "command": shlex.join(["python", "benchmarks/systems.py", *without_keep(sys.argv[1:])]),
    }
    before = json.loads(file.read_text()) if file.exists() else {}
    runs = before["runs"] if before.get("recipe") == about["recipe"] else []
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in seeds:
            if seed not in [run["seed"] for run in runs]:
                runs.append(train_once(recipe, seed, given.keep or Path(scratch)))
            result = about | {"seeds": [run["seed"] for run in runs], "summary": summarise_runs(runs)}
            result |= {"runs": runs, "machine": describe_machine()}
            write_text(file, json.dumps(result, indent=1) + "\n")
    print(file, json.dumps(result["summary"]))


def summarise_runs(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: summarise([run[name] for run in runs])
        for name in ("train_loss", "train_accuracy", "validation_accuracy", "test_accuracy")
        if runs[0][name] is not None
    }


def train_once(recipe: Recipe, seed: int, runs_dir: Path) -> dict[str, Any]:
    run = begin_run(recipe, seed=seed, device="cpu", runs_dir=runs_dir)
    for record in run_training(run):
        if isinstance(record, Epoch):
            print(
                f"seed {seed} epoch {record.epoch}/{record.epochs} loss {record.train_loss:.4f}",
                file=sys.stderr,
            )
    summary = asdict(summarise_run(run))
    kept = (
        "train_loss",
        "train_accuracy",
        "validation_accuracy",
        "test_accuracy",
        "seconds",
        "examples_per_second",
    )
    path = [
        [e.train_loss, e.train_accuracy, e.test_accuracy or e.validation_accuracy] for e in run.read_history()
    ]
    return {"seed": seed, **{name: summary[name] for name in kept}, "path": path}


def without_keep(arguments: list[str]) -> list[str]:
    """The command without what changes no figure."""
    place = arguments.index("--keep") if "--keep" in arguments else len(arguments)
    return arguments[:place] + arguments[place + 2 :]


def summarise(values: list[float]) -> dict[str, float]:
    return {"mean": mean(values), "standard_deviation": stdev(values) if len(values) > 1 else 0.0}


if __name__ == "__main__":
    main()
