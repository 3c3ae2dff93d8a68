"""Fifteen corruptions of MNIST's test images, strengths as in MNIST-C: how much accuracy each of them costs.

    python benchmarks/corruptions.py
    python benchmarks/corruptions.py mnist reader --data mnist_c --pictures 0

'images' hands the spoilt 28×28 images to the network as they are, 'pictures' hands some of them to the
reader, as a user's pictures would be: it finds the ink first. Nothing was trained on any of them. `--data`
may be a folder with the published files. Results go to benchmarks/results/corruptions.json.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from statistics import mean

import torch

from lenet.bench.machine import describe_machine
from lenet.data.corrupted import load_corrupted
from lenet.data.imageset import ImageSet
from lenet.files import write_text
from lenet.images.corruptions import CORRUPTIONS
from lenet.models.checkpoint import load_checkpoint
from lenet.reading.reader import Reader
from lenet.training.evaluation import measure_robustness

RESULTS = Path(__file__).parent / "results" / "corruptions.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", default=["mnist", "reader"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--pictures", type=int, default=500, help="how many of each the reader is shown")
    given = parser.parse_args()
    torch.set_num_threads(1)
    corrupted = load_corrupted(given.data, "test")
    result = {
        "what": "corruptions",
        "command": shlex.join(["python", "benchmarks/corruptions.py", *sys.argv[1:]]),
        "data": given.data,
        "checkpoints": {name: examine(name, corrupted, given.pictures) for name in given.checkpoints},
        "machine": describe_machine(),
    }
    write_text(RESULTS, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["checkpoints"], indent=1))


def examine(name: str, corrupted: dict[str, ImageSet], pictures: int) -> dict[str, object]:
    checkpoint = load_checkpoint(name)
    figures: dict[str, object] = {"images": measure_robustness(checkpoint, corrupted).to_dict()}
    if pictures:
        reader = Reader(checkpoint)
        read = {kind: read_pictures(reader, data, pictures) for kind, data in corrupted.items()}
        rights = {kind: values["right"] for kind, values in read.items()}
        mean_right = mean(rights[kind] for kind in CORRUPTIONS)
        figures["pictures"] = {"count": pictures, "corruptions": read, "corruptions_mean": mean_right}
    return figures


def read_pictures(reader: Reader, data: ImageSet, count: int) -> dict[str, float]:
    """The share of some images, evenly spread, that are read right, and the share rejected."""
    places = range(0, len(data), max(1, len(data) // count))[:count]
    readings = [
        (reader.read(data.images[at, 0].numpy()), data.classes[int(data.labels[at])]) for at in places
    ]
    return {
        "right": mean(reading.text == truth for reading, truth in readings),
        "rejected": mean(reading.rejected for reading, _ in readings),
    }


if __name__ == "__main__":
    main()
