"""Read strings of digits and say how many come out exactly, how sure, and how fast.

    python benchmarks/strings.py strings.csv
    python benchmarks/strings.py --composed 500

The table has the columns file, text and kind; the pictures lie beside it or in the folder of its name. With
--composed strings are made of MNIST test digits: apart, close and touching. Besides the share read exactly,
of all and of two random halves of each kind, the results say how many are accepted at the confidence above
which one in a hundred is wrong. Results go to benchmarks/results/strings-WEIGHTS.json.
"""

import argparse
import csv
import json
import shlex
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from lenet.bench.speed import describe_machine
from lenet.data.datasets import load
from lenet.images.decoding import Picture
from lenet.models.checkpoint import load_checkpoint
from lenet.reading.reader import Reader
from lenet.synthesis.strings import SPACINGS, compose_string

RESULTS = Path(__file__).parent / "results"
LONGEST = 7  # digits in a composed string
WRONG = 0.01  # of what is accepted

Row = tuple[str, Picture, str]  # kind, picture, text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--weights", default="reader")
    parser.add_argument("--composed", type=int, default=0, help="so many strings of each spacing")
    parser.add_argument("--amount", action="store_true", help="say that they are amounts")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list_pictures(given.table) if given.table else []
    rows += list_composed(given.composed, given.seed)
    if not rows:
        parser.error("nothing to read; give a table, or --composed 500")
    reader = Reader(load_checkpoint(given.weights))

    answers = defaultdict(list)
    seconds = []
    for kind, picture, text in rows:
        began = time.perf_counter()
        reading = reader.read(picture, amount=given.amount)
        seconds.append(time.perf_counter() - began)
        answers[kind].append((reading.text == text, reading.confidence, reading.rejected))
    result = {
        "what": "strings",
        "weights": given.weights,
        "command": shlex.join(["python", "benchmarks/strings.py", *(Path(a).name for a in sys.argv[1:])]),
        "exact": {kind: sum_up(found, given.seed) for kind, found in answers.items()},
        "milliseconds": {
            name: round(1000 * float(np.quantile(seconds, share)), 1)
            for name, share in (("median", 0.5), ("95th of 100", 0.95))
        },
        "machine": describe_machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / f"strings-{Path(given.weights).stem}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out, json.dumps({name: result[name] for name in ("exact", "milliseconds")}, indent=1))


def list_pictures(table: Path) -> list[Row]:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    folder = table.parent
    if not (folder / rows[0]["file"]).exists():
        folder /= table.stem
    return [(row.get("kind") or "all", folder / row["file"], row["text"]) for row in rows]


def list_composed(count: int, seed: int) -> list[Row]:
    """Strings of 2 to LONGEST digits of MNIST's test images, which no training has seen."""
    if not count:
        return []
    data = load("mnist", "test")
    images, labels = data.images[:, 0].numpy(), data.labels.numpy()
    rows = []
    for spacing in SPACINGS:
        random = np.random.default_rng([seed, len(spacing)])
        for _ in range(count):
            chosen = random.integers(len(images), size=int(random.integers(2, LONGEST, endpoint=True)))
            text = "".join(str(label) for label in labels[chosen])
            rows.append((f"composed, {spacing}", compose_string(images[chosen], random, spacing), text))
    return rows


def sum_up(found: list[tuple[bool, float, bool]], seed: int) -> dict[str, object]:
    """The share read exactly, that of two random halves, and what is accepted at one wrong in a hundred."""
    right, confidence, rejected = (np.array(column) for column in zip(*found, strict=True))
    order = np.random.default_rng(seed).permutation(len(right))
    halves = [right[half].mean() for half in np.array_split(order, 2)]
    ranked = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[ranked]) / np.arange(1, len(right) + 1)
    accepted = np.flatnonzero(wrong <= WRONG)
    last = int(accepted[-1]) if accepted.size else -1
    return {
        "count": len(right),
        "share": round(float(right.mean()), 4),
        "halves": [round(float(half), 4) for half in halves],
        "rejected": round(float(rejected.mean()), 4),
        f"coverage at {WRONG:.0%} wrong": round((last + 1) / len(right), 4),
        "confidence there": round(float(confidence[ranked[last]]), 4) if last >= 0 else None,
    }


if __name__ == "__main__":
    main()
