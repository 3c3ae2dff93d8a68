"""One training by one process and by two, on the CPU: how fast each is, and that the bits are equal.

    torchrun --nproc-per-node 2 benchmarks/processes.py [--rounds 7]

Three ways take turns (A B C A B C …) in the same two processes, one thread each: plain (whole batches, by the
first process alone), in slices by the first process alone, in slices by both. Each time an epoch is trained
from the same initial weights. Wall time is what a user sees where two cores are free. Processor time (of both
processes) is what can be trusted on a machine that others use too: on two free cores, two processes are at
best as much faster as it says, because they also wait for each other. Figures are medians over the rounds,
and ratios are medians of the rounds' ratios. Writes benchmarks/results/processes.json.
"""

import argparse
import hashlib
import json
import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.training.loop import Epoch, train_steps
from lenet.training.process_group import ALONE, ProcessGroup, join_group
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.start import make_model, start

RESULT = Path(__file__).parent / "results" / "processes.json"
IMAGES = 10_240
CASES = {
    "d2l, batches of 256": ("d2l", 256),
    "d2l, batches of 2048": ("d2l", 2048),
    "best (distorted images), batches of 256": ("best", 256),
    "best (distorted images), batches of 2048": ("best", 2048),
}
WAYS = {"plain": (False, False), "slices, 1 process": (True, False), "slices, 2 processes": (True, True)}


def train_epoch(recipe: Recipe, is_sliced: bool, group: ProcessGroup) -> tuple[float, float, str]:
    """Wall and processor seconds of one epoch in this process, and the SHA-256 of the weights."""
    data = load(recipe.data, "train").subset(torch.arange(IMAGES))
    state = start(make_model(recipe, 0), recipe)
    used = time.process_time()
    [epoch] = [
        record
        for record in train_steps(state, data, recipe, seed=0, is_sliced=is_sliced, group=group)
        if isinstance(record, Epoch)
    ]
    used = time.process_time() - used
    weights = b"".join(tensor.numpy().tobytes() for tensor in state.averaged.state_dict().values())
    return epoch.seconds, used, hashlib.sha256(weights).hexdigest()


def compare(name: str, batch_size: int, rounds: int, group: ProcessGroup) -> dict[str, object]:
    recipe = replace(
        find_recipe(name), batch_size=batch_size, epochs=1, validation=0, patience=0, calibrate=False
    )
    seen: dict[str, list[tuple[float, float, str]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, (is_sliced, is_shared) in WAYS.items():
            group.tell("ready")  # the second process sleeps while the first one trains alone
            wall, used, digest = 0.0, 0.0, ""
            if is_shared or group.leads:
                wall, used, digest = train_epoch(recipe, is_sliced, group if is_shared else ALONE)
            figures = [json.loads(text) for text in group.tell(json.dumps([wall, used]))]
            if number:
                seen[way].append((max(f[0] for f in figures), sum(f[1] for f in figures), digest))
    plain, one, two = seen.values()

    def divide(
        above: list[tuple[float, float, str]], below: list[tuple[float, float, str]], place: int
    ) -> float:
        return median(a[place] / b[place] for a, b in zip(above, below, strict=True))  # type: ignore[operator]

    digests = {way: sorted({digest for *_, digest in rows}) for way, rows in seen.items()}
    return {
        "examples_per_second": {way: IMAGES / median(row[0] for row in rows) for way, rows in seen.items()},
        "examples_per_processor_second": {
            way: IMAGES / median(row[1] for row in rows) for way, rows in seen.items()
        },
        "wall": {"one_against_plain": divide(plain, one, 0), "two_against_one": divide(one, two, 0)},
        "processor": {
            "one_against_plain": divide(plain, one, 1),
            "two_against_one_at_best": 2 * divide(one, two, 1),
            "two_against_plain_at_best": 2 * divide(plain, two, 1),
        },
        "sha256": digests,
        "one_and_two_have_equal_bits": digests["slices, 1 process"] == digests["slices, 2 processes"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with join_group() as group:
        if group.size != 2:
            parser.error("start two processes with torchrun")
        cases = {}
        for case, (name, batch_size) in CASES.items():
            cases[case] = compare(name, batch_size, given.rounds, group)
            if group.leads:
                print(case, json.dumps(cases[case]), flush=True)
    if group.leads:
        command = ["torchrun", "--nproc-per-node", "2", "benchmarks/processes.py", *sys.argv[1:]]
        result = {
            "what": "training by several processes",
            "command": shlex.join(command),
            "images": IMAGES,
            "rounds": given.rounds,
            "cases": cases,
            "load_of_machine": os.getloadavg()[2],
            "machine": describe_machine(),
        }
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
