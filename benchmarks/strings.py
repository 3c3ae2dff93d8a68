"""Read strings of digits and say how many come out exactly, how sure, and how fast.

    python benchmarks/strings.py strings.csv
    python benchmarks/strings.py --composed 500

The table has the columns file, text, kind and half; the pictures lie beside it or in the folder of its name.
With --composed numbers are composed of MNIST test digits, on any paper: apart, close and touching. Besides
the share read exactly, of all and of both halves of each kind, the results say how many are accepted at the
confidence above which one in a hundred is wrong. Results go to benchmarks/results/strings-WEIGHTS.json.
"""

import argparse
import csv
import json
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch

from halves import Answer, sum_up_kinds
from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.images.decoding import Picture
from lenet.reading.reader import Reader
from lenet.synthesis.hands import gather_material
from lenet.synthesis.lines import compose_picture
from lenet.synthesis.strings import SPACINGS

RESULTS = Path(__file__).parent / "results"

Row = tuple[str, str, Picture, str]  # kind, half, picture, text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--weights", default="line")
    parser.add_argument("--composed", type=int, default=0, help="so many strings of each spacing")
    parser.add_argument("--amount", action="store_true", help="say that they are amounts")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list_pictures(given.table) if given.table else []
    rows += list_composed(given.composed, given.seed)
    if not rows:
        parser.error("nothing to read; give a table, or --composed 500")
    reader = Reader(given.weights)

    answers, seconds = [], []
    for kind, half, picture, text in rows:
        began = time.perf_counter()
        reading = reader.read(picture, amount=given.amount)
        seconds.append(time.perf_counter() - began)
        answers.append(Answer(kind, half, reading.text == text, reading))
    result = {
        "what": "strings",
        "weights": given.weights,
        "command": shlex.join(["python", "benchmarks/strings.py", *(Path(a).name for a in sys.argv[1:])]),
        "exact": sum_up_kinds(answers),
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
    return [
        (row.get("kind") or "all", row.get("half", ""), folder / row["file"], row["text"]) for row in rows
    ]


def list_composed(count: int, seed: int) -> list[Row]:
    """Numbers of MNIST's test images, which no training has seen."""
    if not count:
        return []
    data = load("mnist", "test")
    material = gather_material(data.images[:, 0].numpy(), data.labels.numpy())
    rows = []
    for spacing in SPACINGS:
        for number in range(count):
            random = np.random.default_rng([seed, len(spacing), number])
            picture = compose_picture(material, random, "number", spacing)
            rows.append((f"composed, {spacing}", "", picture.image, picture.written.text))
    return rows


if __name__ == "__main__":
    main()
