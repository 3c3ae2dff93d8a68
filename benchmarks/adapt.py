"""Adapt the weights `reader` to writers, and say what is learnt and what is forgotten.

    python benchmarks/adapt.py digits.csv

The table has the columns file, label, repo (the writer) and half. Each writer with 20 pictures or more is
split in two by the parity of the index; the weights are adapted to each part, and read the other one. The
pictures of the half `blind` chose no setting. The artificial hands are MNIST images, slanted or mirrored: 40
training images that were held out of training are learnt, all test images are tested, by the network alone.
Results go to benchmarks/results/adapt.json; it needs MNIST.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.experiments.corrections import frame_corrections
from lenet.experiments.reading_calibration import find_held_out
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.reading.reader import Reader
from lenet.training.evaluation import evaluate
from lenet.training.recipes import RECIPES
from lenet.training.rehearsal import gather_rehearsal
from lenet.training.runs import begin_run, run_training

RESULTS = Path(__file__).parent / "results"
FEWEST = 20  # pictures of a writer
PER_CLASS = 4  # corrections of an artificial hand
SLANT = 1.0  # tangent
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with given.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    reader, mnist = load_checkpoint("reader"), load("mnist", "test")
    held_out = find_held_out(reader, load("mnist", "train"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    result = {
        "what": "adapt",
        "command": shlex.join(["python", "benchmarks/adapt.py", given.table.name, *sys.argv[2:]]),
        "commit": commit.stdout.strip(),
        "seed": given.seed,
        "recipe": RECIPES["adapt"].to_dict(),
        "mnist_before": evaluate(reader, mnist).accuracy,
        "writers": {
            half: adapt_to_writers(reader, rows, half, given.table, mnist, given.seed)
            for half in ("seen", "blind")
        },
        "artificial": {
            f"{name}, {'with' if rehearsal else 'without'} rehearsal": adapt_to_hand(
                reader, transform, held_out, mnist, rehearsal, given.seed
            )
            for name, transform in HANDS.items()
            for rehearsal in (RECIPES["adapt"].rehearsal, 0.0)
        },
        "machine": describe_machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / "adapt.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out, json.dumps({name: result[name] for name in ("writers", "artificial")}, indent=1))


def adapt_to_writers(
    reader: Checkpoint, rows: list[Row], half: str, table: Path, mnist: ImageSet, seed: int
) -> dict[str, Any]:
    """Totals over the writers of a half, each adapted to twice; no picture is named."""
    writers: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["half"] == half:
            writers[row["repo"]].append(row)
    chosen = [own for own in writers.values() if len(own) >= FEWEST]
    folder = table.parent if (table.parent / rows[0]["file"]).exists() else table.parent / table.stem
    totals = {"writers": len(chosen), "pictures": 0, "wrong_before": 0, "wrong_after": 0}
    after, seconds = [], []
    for own in chosen:
        for parity in (0, 1):
            with tempfile.TemporaryDirectory() as place:
                for number, row in enumerate(own[parity::2]):
                    target = Path(place) / row["label"] / f"{number}{Path(row['file']).suffix}"
                    target.parent.mkdir(exist_ok=True)
                    shutil.copyfile(folder / row["file"], target)
                adapted, duration = adapt(reader, Path(place), seed)
            others = own[1 - parity :: 2]
            totals["pictures"] += len(others)
            totals["wrong_before"] += count_wrong(reader, others, folder)
            totals["wrong_after"] += count_wrong(adapted, others, folder)
            after.append(evaluate(adapted, mnist).accuracy)
            seconds.append(duration)
            print(f"{half}: {len(after)} of {2 * len(chosen)}", file=sys.stderr)
    return {**totals, **summarise(after, seconds)}


def count_wrong(checkpoint: Checkpoint, rows: list[Row], folder: Path) -> int:
    reader = Reader(checkpoint)
    return sum(reader.read(folder / row["file"]).text != row["label"] for row in rows)


def summarise(after: list[float], seconds: list[float]) -> dict[str, float]:
    return {
        "mnist_after_mean": sum(after) / len(after),
        "mnist_after_lowest": min(after),
        "processor_seconds_mean": round(sum(seconds) / len(seconds), 2),
        "processor_seconds_longest": round(max(seconds), 2),
    }


def adapt(
    reader: Checkpoint, corrections: Path, seed: int, rehearsal: float = RECIPES["adapt"].rehearsal
) -> tuple[Checkpoint, float]:
    """The adapted checkpoint, and the processor seconds of all but the imports: framing to evaluation."""
    gather_rehearsal.cache_clear()
    began = time.process_time()
    recipe = replace(RECIPES["adapt"], model=reader.model.config, data=str(corrections), rehearsal=rehearsal)
    with tempfile.TemporaryDirectory() as place:
        run = begin_run(
            recipe,
            seed=seed,
            device="cpu",
            runs_dir=Path(place),
            initial=reader,
            corrections=frame_corrections(corrections, reader),
        )
        for _ in run_training(run):
            pass
        return load_checkpoint(run.last), time.process_time() - began


def adapt_to_hand(
    reader: Checkpoint,
    transform: Callable[[Tensor], Tensor],
    held_out: ImageSet,
    mnist: ImageSet,
    rehearsal: float,
    seed: int,
) -> dict[str, float]:
    """Adapt to the first held-out images of each class, and measure on MNIST's test images."""
    with tempfile.TemporaryDirectory() as place:
        for label in range(10):
            (Path(place) / str(label)).mkdir()
            images = transform(held_out.images[held_out.labels == label][:PER_CLASS])
            for number, image in enumerate(images):
                Image.fromarray(image[0].numpy()).save(Path(place) / str(label) / f"{number}.png")
        adapted, duration = adapt(reader, Path(place), seed, rehearsal)
    hand = replace(mnist, images=transform(mnist.images))
    return {
        "corrections": 10 * PER_CLASS,
        "accuracy_before": evaluate(reader, hand).accuracy,
        "accuracy_after": evaluate(adapted, hand).accuracy,
        "mnist_after": evaluate(adapted, mnist).accuracy,
        "processor_seconds": round(duration, 2),
    }


def slant(images: Tensor) -> Tensor:
    matrix = torch.tensor([[1, SLANT, 0], [0, 1.0, 0]]).expand(len(images), 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images.float(), grid, align_corners=False).round().byte()


HANDS: dict[str, Callable[[Tensor], Tensor]] = {
    "slanted": slant,
    "mirrored": lambda images: images.flip(3),
}


if __name__ == "__main__":
    main()
