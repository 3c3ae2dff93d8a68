"""Train the networks of 1998 as the paper did and fill its table: error after each pass, for several seeds.

    python benchmarks/classic.py [--only NAME…] [--list]

Results go to benchmarks/results/classic.json, one entry a training; what is there is not trained again, so
that the script may be killed and started again at any time. It needs MNIST. The groups, in this order:

choices     what the paper leaves open, 2 seeds, on 10,000 training images held out; no test image is used
plain       LeNet-5, LeNet-4, LeNet-1 and the network of 1989, 20 (23) passes over the 60,000 images, 5 seeds
distorted   those of 1998 with every image distorted anew in every pass; the number of passes is the same
boosted     three LeNet-4 after Drucker, Schapire and Simard 1993, on distorted images, 5 seeds
baselines   1-nearest-neighbour and a linear classifier, by scikit-learn
ladder      from the training of 1998 to today's, one change after another, 3 seeds

"errors" are on the test images after each pass, in percent; figures are those of the last pass. "rejected" is
the percentage of test images, those with the smallest difference of the two highest outputs first, that must
be refused for an error of 0.5 % among the others, as in the paper's figure 10.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet, split_stratified
from lenet.files import write_text
from lenet.models.classic import AMPLITUDE, SLOPE
from lenet.models.classic_layers import RadialBasis
from lenet.models.network import LeNet
from lenet.synthesis.augmentation import augment
from lenet.synthesis.distortions import Distortions
from lenet.training.evaluation import compute_logits
from lenet.training.loop import train
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.start import make_model

OUT = Path(__file__).parent / "results" / "classic.json"
NETWORKS = ("lenet5-1998", "lenet4-1998", "lenet1-1998")
SEEDS = range(5)
HELD_OUT, CHOOSING_PASSES = 10_000, 12
# Translation, scaling, squeezing and horizontal shearing, as the paper names them; the strengths are ours.
DISTORTIONS = Distortions(shift=0.07, scale=0.12, aspect=0.12, shear=0.2)
TOLERATED = 0.005  # error among the accepted
POOL = 40  # times 60,000 distorted images, of which a network of the committee is given those it needs
Entry = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=[], help="groups, or names that begin so")
    parser.add_argument("--list", action="store_true", help="print the names, and which are done")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Entry] = json.loads(OUT.read_text())["entries"] if OUT.exists() else {}
    for name, task in list_tasks().items():
        if given.only and not name.startswith(tuple(given.only)):
            continue
        if given.list:
            print("done" if name in found else "    ", name)
            continue
        if name in found:
            continue
        began = time.process_time()
        entry = task()
        found[name] = {
            **entry,
            "processor_seconds": round(time.process_time() - began, 1),
            "commit": describe_machine()["commit"],
        }
        command = shlex.join(["python", "benchmarks/classic.py", *sys.argv[1:]])
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        about = {"what": "classic", "command": command, "versions": versions, "machine": describe_machine()}
        OUT.parent.mkdir(exist_ok=True)
        write_text(OUT, json.dumps({**about, "entries": found}, indent=1) + "\n")
        print(name, json.dumps({key: value for key, value in entry.items() if key != "curve"}), flush=True)


def list_tasks() -> dict[str, Callable[[], Entry]]:
    """Every training by its name, in order."""
    tasks: dict[str, Callable[[], Entry]] = {}
    for network, choices in CHOICES.items():
        for name, (changes, buffers) in choices.items():
            for seed in SEEDS[:2]:
                recipe = RECIPES[network].override(changes)
                tasks[f"choices/{network}/{name}/{seed}"] = partial(choose, recipe, buffers, seed)
    for network in (*NETWORKS, "lenet-1989"):
        for seed in SEEDS:
            tasks[f"plain/{network}/{seed}"] = partial(run, RECIPES[network], seed)
    for network in NETWORKS:
        for seed in SEEDS:
            distorted = replace(RECIPES[network], distortions=DISTORTIONS)
            tasks[f"distorted/{network}/{seed}"] = partial(run, distorted, seed)
    for seed in SEEDS:
        tasks[f"boosted/lenet4-1998/{seed}"] = partial(boost, RECIPES["lenet4-1998"], seed)
    tasks["baselines"] = measure_baselines
    for seed in SEEDS[:3]:
        for number, (name, recipe) in enumerate(climb()):
            tasks[f"ladder/{number} {name}/{seed}"] = partial(run, recipe, seed)
    return tasks


# ---- what the paper leaves open --------------------------------------------------------------------------

# By the network and the name of the choice: settings of the recipe, and constants of the output.
CHOICES: dict[str, dict[str, tuple[dict[str, Any], dict[str, float]]]] = {
    "lenet5-1998": {
        "as the recipe": ({}, {}),
        "initial weights of the paper": ({"initialisation": "fan-in"}, {}),
        "distance: sum / 42": ({}, {"scale": 1 / 42, "bias": 2.0}),
        "distance: sum / 21": ({}, {"scale": 1 / 21, "bias": 4.0}),
        "distance: sum / 10.5": ({}, {"scale": 1 / 10.5, "bias": 8.0}),
        "j of 0.25": ({}, {"bias": 0.25}),
        "j of 5": ({}, {"bias": 5.0}),
        "the order of the file": ({"shuffle": False}, {}),
    },
    "lenet1-1998": {
        "as the recipe": ({}, {}),
        "rate of .0005": ({"lr": 5e-4}, {}),
        "rate of .001": ({"lr": 1e-3}, {}),
    },
}


def choose(recipe: Recipe, buffers: dict[str, float], seed: int) -> Entry:
    """Train on 50,000 images, measure on the 10,000 held out."""
    data = load("mnist", "train")
    rest, held_out = split_stratified(data.labels, HELD_OUT, seed)
    recipe = replace(recipe, epochs=CHOOSING_PASSES)
    model = make_model(recipe, seed)
    if isinstance(model.output, RadialBasis):
        for name, value in buffers.items():
            model.get_buffer(f"output.{name}").fill_(value)
    errors = follow(model, data.subset(rest), recipe, seed, data.subset(held_out))
    return {"validation_errors": errors, "validation_error": errors[-1]}


# ---- trainings -------------------------------------------------------------------------------------------


def follow(model: LeNet, data: ImageSet, recipe: Recipe, seed: int, held_out: ImageSet) -> list[float]:
    """Train `model`; the percentage of errors on `held_out` after each pass."""
    errors = []
    for epoch in train(model, data, recipe, seed=seed, device="cpu", test=held_out):
        assert epoch.test_accuracy is not None
        errors.append(round(100 * (1 - epoch.test_accuracy), 2))
        print(
            recipe.name,
            seed,
            epoch.epoch,
            f"{1 - epoch.train_accuracy:.4f}",
            errors[-1],
            file=sys.stderr,
            flush=True,
        )
    return errors


def run(recipe: Recipe, seed: int) -> Entry:
    model = make_model(recipe, seed)
    test = load("mnist", "test")
    errors = follow(model, load("mnist", "train"), recipe, seed, test)
    return {
        "errors": errors,
        "error": errors[-1],
        "rejected": measure_rejection(compute_logits(model, test.images), test),
    }


def measure_rejection(outputs: Tensor, test: ImageSet) -> float:
    """The percentage to refuse, of the smallest difference of the two highest outputs first."""
    best = outputs.topk(2, dim=1)
    order = (best.values[:, 0] - best.values[:, 1]).argsort()  # the least certain first
    wrong = (best.indices[:, 0] != test.labels)[order].double()
    left = wrong.flip(0).cumsum(0).flip(0)  # errors among those from here on
    shares = left / torch.arange(len(wrong), 0, -1)
    fewest = int((shares <= TOLERATED).int().argmax())  # the first place from which on few enough are wrong
    return round(100 * fewest / len(wrong), 2)


def distort(images: Tensor, stream: torch.Generator) -> Tensor:
    parts = [augment(part.float() / 255, DISTORTIONS, stream) for part in images.split(10_000)]
    return torch.cat([(255 * part).round().byte() for part in parts])


def boost(recipe: Recipe, seed: int) -> Entry:
    """Three networks: the second learns what half deceives the first, the third what they disagree on."""
    data, test = load("mnist", "train"), load("mnist", "test")
    first, stream = make_model(recipe, seed), random_stream(seed, "boosted 1998")
    follow(first, data, replace(recipe, distortions=DISTORTIONS), seed, test)

    def filter_pool(keep: Callable[[Tensor, Tensor], Tensor]) -> ImageSet:
        images, labels = [], []
        for _ in range(POOL):
            drawn = distort(data.images, stream)
            kept = keep(drawn, data.labels)
            images.append(drawn[kept]), labels.append(data.labels[kept])
        return replace(data, images=torch.cat(images), labels=torch.cat(labels))

    def answer(model: LeNet, images: Tensor) -> Tensor:
        return compute_logits(model, images).argmax(dim=1)

    def half_wrong(images: Tensor, labels: Tensor) -> Tensor:
        wrong = answer(first, images) != labels
        right = (~wrong).nonzero().flatten()
        chosen = right[torch.randperm(len(right), generator=stream)[: int(wrong.sum())]]
        return torch.cat([wrong.nonzero().flatten(), chosen])

    second = make_model(recipe, seed + 1000)
    follow(second, filter_pool(half_wrong), recipe, seed + 1000, test)
    third = make_model(recipe, seed + 2000)
    disagreed = filter_pool(lambda images, _: answer(first, images) != answer(second, images))
    follow(third, disagreed, recipe, seed + 2000, test)
    squashed = [
        AMPLITUDE * torch.tanh(SLOPE * compute_logits(m, test.images)) for m in (first, second, third)
    ]
    outputs = torch.stack(squashed).sum(dim=0)
    error = 100 * (outputs.argmax(dim=1) != test.labels).double().mean().item()
    alone = 100 * (squashed[0].argmax(dim=1) != test.labels).double().mean().item()
    return {"error": round(error, 2), "first": round(alone, 2), "rejected": measure_rejection(outputs, test)}


# ---- from 1998 to today ------------------------------------------------------------------------------------


def climb() -> list[tuple[str, Recipe]]:
    """The training of 1998, and one change after another, up to the recipe `best`."""
    changes: list[tuple[str, dict[str, Any]]] = [
        ("Adam in batches of 128, one cycle", {
            "optimizer": "adamw", "batch_size": 128, "lr": 3e-3, "schedule": "one-cycle",
        }),
        ("a linear output and cross-entropy", {"output": "linear", "reject_class": False}),
        ("all connections", {"wiring": "full"}),
        ("maximum pooling and ReLU", {"pooling": "max", "activation": "relu"}),
        ("PyTorch's form: 28 pixels padded, 120 units", {
            "input_size": 28, "padding": 2, "channels": (6, 16), "hidden": (120, 84),
            "pixel_mean": 0.1307, "pixel_std": 0.3081,
        }),
        ("label smoothing and averaged weights", {
            "label_smoothing": 0.02, "ema_decay": 0.999, "weight_decay": 0.2,
        }),
        ("distortions with elastic ones", {
            "degrees": 8, "scale": 0.08, "shear": 0.1, "shift": 0.055, "elastic": 0.5,
        }),
        ("80 passes in batches of 256", {"epochs": 80, "batch_size": 256}),
    ]  # fmt: skip
    recipe = replace(RECIPES["lenet5-1998"], source="a rung of the ladder", published={})
    rungs = [("as in 1998", recipe)]
    for name, change in changes:
        recipe = recipe.override(change)
        rungs.append((name, recipe))
    return rungs


# ---- baselines ---------------------------------------------------------------------------------------------


def measure_baselines() -> Entry:
    from sklearn.linear_model import RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier

    train_set, test = load("mnist", "train"), load("mnist", "test")
    given, asked = (data.images.flatten(1).numpy() / 255 for data in (train_set, test))
    models = {"1-nearest-neighbour": KNeighborsClassifier(1), "linear": RidgeClassifier()}
    results = {}
    for name, model in models.items():
        model.fit(given, train_set.labels.numpy())
        results[name] = round(100 * float((model.predict(asked) != test.labels.numpy()).mean()), 2)
    return {"errors": results}


if __name__ == "__main__":
    main()
