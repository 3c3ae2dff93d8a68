"""Read pictures with this package and with OCR systems, in one run, picture by picture.

    pip install rapidocr-onnxruntime ddddocr
    python benchmarks/readers.py digits.csv strings.csv

The tables are those of pictures.py and strings.py. The process is bound to one core. Of what a system reads,
only the digits count. RapidOCR recognises pictures of one digit as they are, which it does better than by
searching for text first, and searches in others. Tables with more than one digit a picture are read by
RapidOCR and this package. Results go to benchmarks/results/readers.json.
"""

import argparse
import csv
import json
import os
import shlex
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from ddddocr import DdddOcr
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

from halves import BLIND
from lenet.bench.machine import describe_machine
from lenet.reading.reader import Reader

OUT = Path(__file__).parent / "results" / "readers.json"
Read = Callable[[Path], str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+")
    given = parser.parse_args()
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    torch.set_num_threads(1)
    result = {
        "what": "readers",
        "command": shlex.join(["python", "benchmarks/readers.py", *(path.name for path in given.tables)]),
        "tables": {table.stem: measure(table) for table in given.tables},
        "versions": {name: version(name) for name in ("rapidocr-onnxruntime", "ddddocr", "onnxruntime")},
        "machine": describe_machine(),
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(OUT, json.dumps(result["tables"], indent=1))


def open_systems(is_single: bool) -> dict[str, Read]:
    """What each system reads in a file: the digits alone."""
    own, rapid, single = Reader(), RapidOCR(intra_op_num_threads=1), DdddOcr(show_ad=False)

    def read_rapid(file: Path) -> str:
        image = np.asarray(Image.open(file).convert("RGB"))[:, :, ::-1]
        if is_single:
            found, _ = rapid(image, use_det=False, use_cls=False, use_rec=True)
            return "".join(part[0] for part in found or ())
        found, _ = rapid(image)
        return "".join(part[1] for part in sorted(found or (), key=lambda part: part[0][0][0]))

    return {
        "lenet": lambda file: own.read(file).text,
        "RapidOCR": read_rapid,
        "ddddocr": lambda file: str(single.classification(file.read_bytes())),
    }


def measure(table: Path) -> dict[str, dict[str, object]]:
    """Of each system: the share of pictures read exactly, in both halves, and its time a picture."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    column = "label" if "label" in rows[0] else "text"
    folder = table.parent if (table.parent / rows[0]["file"]).exists() else table.with_suffix("")
    systems = open_systems(column == "label")
    names = [name for name in systems if column == "label" or name != "ddddocr"]
    right: dict[str, list[bool]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, row in enumerate(rows):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = time.perf_counter()
            text = systems[name](folder / row["file"])
            seconds[name].append(time.perf_counter() - began)
            right[name].append("".join(filter(str.isdigit, text)) == row[column])
    blind = np.array([row.get("half") == BLIND for row in rows])
    return {
        name: {
            "count": len(rows),
            "right": round(float(np.mean(right[name])), 4),
            "right, blind half": round(float(np.array(right[name])[blind].mean()), 4),
            "milliseconds": round(1000 * float(np.mean(seconds[name])), 2),
            "times the milliseconds of lenet": round(
                float(np.mean(seconds[name]) / np.mean(seconds["lenet"])), 2
            ),
        }
        for name in names
    }


if __name__ == "__main__":
    main()
