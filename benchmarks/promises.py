"""Measure whether readings keep the error that `--max-error` promises, and how many are rejected for it.

    python benchmarks/promises.py
    python benchmarks/promises.py --pictures FOLDER

Sets: single digits, numbers and amounts, composed of MNIST's test digits on any paper; with --pictures also
the pictures in FOLDER/digits and FOLDER/strings with their tables digits.csv (file, label, half) and
strings.csv (file, text, half), which give counts alone. Each picture is read once; a reading is accepted if
it reaches the threshold that `Reader` has for its number of digits. Beside it stands the threshold that is
fitted to single images, which does not fit readings. Results go to benchmarks/results/promises.json.
"""

import argparse
import csv
import json
import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.errors import CheckpointError
from lenet.files import write_text
from lenet.images.decoding import Picture
from lenet.models.line import open_checkpoint
from lenet.reading.calibration import MeasuredReading, measure_readings
from lenet.reading.reader import Reader
from lenet.synthesis.lines import compose_pictures
from lenet.uncertainty.reading_rejection import GROUPS, find_group
from lenet.uncertainty.rejection import find_threshold

RESULTS = Path(__file__).parent / "results" / "promises.json"
MAX_ERRORS = (0.01, 0.005)
SEED = 77  # not that of the calibration


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="line")
    parser.add_argument("--singles", type=int, default=2000)
    parser.add_argument("--strings", type=int, default=2000, help="numbers and amounts")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(given.weights)
    reader = Reader(checkpoint)
    data = load("mnist", "test")
    images, labels = data.images[:, 0].numpy(), data.labels.numpy()
    sets: dict[str, Iterable[tuple[Picture, str]]] = {
        "composed": compose_pictures(images, labels, given.singles, given.strings, SEED),
    }
    if given.pictures:
        for name, column in (("digits", "label"), ("strings", "text")):
            with (given.pictures / f"{name}.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            for half in sorted({row["half"] for row in rows}):
                sets[f"{name}, {half}"] = [
                    (given.pictures / name / row["file"], row[column]) for row in rows if row["half"] == half
                ]
    readings = {name: measure_readings(reader, pictures) for name, pictures in sets.items()}
    promises = {error: Reader(checkpoint, error).thresholds for error in MAX_ERRORS}
    before = {}
    for error in MAX_ERRORS:
        try:
            before[error] = dict.fromkeys(GROUPS, find_threshold(checkpoint.card.get("rejection"), error))
        except CheckpointError:
            before[error] = {}
    result = {
        "what": "promises",
        "weights": given.weights,
        "command": shlex.join(["python", "benchmarks/promises.py", *sys.argv[1:]]).replace(
            str(given.pictures), "FOLDER"
        ),
        "thresholds": {
            f"{error:.1%}": {name: one if math.isfinite(one) else None for name, one in thresholds.items()}
            for error, thresholds in promises.items()
        },
        "sets": {
            name: {
                f"{error:.1%}": {
                    "promised": count_groups(rows, promises[error]),
                    "single images": count_groups(rows, before[error]),
                }
                for error in MAX_ERRORS
            }
            for name, rows in readings.items()
        },
        "machine": describe_machine(),
    }
    write_text(RESULTS, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["sets"], indent=1))


def count_groups(
    rows: list[MeasuredReading], thresholds: dict[str, float]
) -> dict[str, dict[str, float | int | None]]:
    """Of all readings, and of those in each group: how many there are, are accepted, and are wrong."""
    chosen = {"all": rows} | {
        name: [row for row in rows if row.digits and find_group(row.digits) == name] for name in GROUPS
    }
    counts = {}
    for name, group in chosen.items():
        accepted = (
            [row for row in group if row.accepted and row.confidence >= thresholds[find_group(row.digits)]]
            if thresholds
            else []
        )
        wrong = sum(not row.right for row in accepted)
        counts[name] = {
            "count": len(group),
            "accepted": len(accepted),
            "wrong": wrong,
            "share": round(wrong / len(accepted), 5) if accepted else None,
            "rejected": round(1 - len(accepted) / len(group), 4) if group else None,
        }
    return counts


if __name__ == "__main__":
    main()
