"""Exported networks beside the network itself: accuracy, bytes, differences and time, on MNIST's test images.

    python benchmarks/exports.py
    python benchmarks/exports.py reader

For each checkpoint: the ONNX file and its form of 8 bits in onnxruntime, and the C header, compiled by gcc
-O2. Ranges are calibrated with MNIST's training images. Times are the processor time of one image by itself,
with one thread, the best of some rounds. The scores of the C program are compared with those of numpy, bit
for bit. Results go to benchmarks/results/exports.json.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import process_time

import numpy as np
import torch

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.export.agreement import Samples, measure_agreement
from lenet.export.header import Header, write_header
from lenet.export.integer import SCORE_BITS
from lenet.export.onnx_file import NEEDED, Session, check_onnx, make_onnx
from lenet.export.onnx_int8 import quantise_onnx
from lenet.export.quantisation import quantise
from lenet.files import write_text
from lenet.models.checkpoint import Checkpoint, load_checkpoint

RESULTS = Path(__file__).parent / "results" / "exports.json"
CALIBRATION = 1000  # training images
TIMED, ROUNDS = 500, 7
GCC = ("gcc", "-std=c99", "-O2")
PROGRAM = r"""
#include "network.h"
#include <stdio.h>
#include <time.h>

static uint8_t images[10000][LENET_HEIGHT * LENET_WIDTH];
static int32_t scores[10000][LENET_CLASSES];

int main(void) {
    double best = 1e9;
    const size_t count = fread(images, sizeof images[0], 10000, stdin);
    size_t i;
    int round;
    for (round = 0; round < ROUNDS; round++) {
        const clock_t start = clock();
        double seconds;
        for (i = 0; i < count; i++)
            lenet_classify(images[i], scores[i]);
        seconds = (double)(clock() - start) / CLOCKS_PER_SEC / (double)count;
        if (seconds < best)
            best = seconds;
    }
    fwrite(scores, sizeof scores[0], count, stdout);
    fprintf(stderr, "%g", 1000 * best);
    return 0;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", default=["mnist", "reader"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    test, train = load("mnist", "test"), load("mnist", "train")
    places = torch.linspace(0, len(train) - 1, CALIBRATION).long()
    samples = Samples(test, train.images[places], "mnist test", True)
    result = {
        "what": "exports",
        "command": shlex.join(["python", "benchmarks/exports.py", *sys.argv[1:]]),
        "images": len(test),
        "calibration_images": CALIBRATION,
        "compiler": first_line([GCC[0], "--version"]),
        "compiled": shlex.join(GCC),
        "versions": {name: version(name) for name in NEEDED},
        "checkpoints": {name: examine(name, load_checkpoint(name), samples) for name in given.checkpoints},
        "machine": machine,
    }
    write_text(RESULTS, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["checkpoints"], indent=1))


def examine(name: str, checkpoint: Checkpoint, samples: Samples) -> dict[str, object]:
    test, model = samples.test, checkpoint.model
    with torch.inference_mode():
        own = time_one(test, lambda image: model(torch.from_numpy(image)))
    content = make_onnx(checkpoint, *test.images.shape[2:])
    check_onnx(Session(content), checkpoint, test.images)
    small = quantise_onnx(content, checkpoint, samples.calibration.numpy())
    network = quantise(model, samples.calibration)
    golden = np.empty((0, *test.images.shape[2:]), np.uint8)
    header = write_header(network, name, checkpoint.classes, reject=model.config.reject_class, golden=golden)
    scores, milliseconds = run_c(header, test)
    expected = network.compute_scores(test.images[:, 0].numpy())
    agreement = measure_agreement(
        checkpoint, samples, lambda _: scores.astype(np.float32) / (1 << SCORE_BITS)
    )
    return {
        "parameters": model.config.parameters,
        "float_accuracy": agreement.float_accuracy,
        "milliseconds": own,
        "onnx": measure_onnx(content, checkpoint, samples),
        "onnx_int8": measure_onnx(small, checkpoint, samples),
        "c": {
            "accuracy": agreement.accuracy,
            "bytes": header.rom_bytes,
            "ram_bytes": header.ram_bytes,
            "largest_difference": agreement.largest_difference,
            "milliseconds": milliseconds,
            "equal_to_numpy": int((scores == expected).all(axis=1).sum()),
        },
    }


def measure_onnx(content: bytes, checkpoint: Checkpoint, samples: Samples) -> dict[str, object]:
    session = Session(content)
    agreement = measure_agreement(checkpoint, samples, lambda images: session.run(images)[0])
    return {
        "accuracy": agreement.accuracy,
        "bytes": len(content),
        "largest_difference": agreement.largest_difference,
        "milliseconds": time_one(samples.test, lambda image: session.run(image, batch=1)),
    }


def time_one(data: ImageSet, run: Callable[[np.ndarray], object]) -> float:
    """Milliseconds for one image (1, 1, H, W) by itself."""
    images, best = data.images[:TIMED].numpy(), float("inf")
    for _ in range(ROUNDS):
        start = process_time()
        for number in range(len(images)):
            run(images[number : number + 1])
        best = min(best, process_time() - start)
    return 1000 * best / len(images)


def run_c(header: Header, data: ImageSet) -> tuple[np.ndarray, float]:
    """Scores (N, classes) of the compiled header, and its milliseconds for one image."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "network.h").write_text(header.text)
        (Path(folder) / "program.c").write_text(PROGRAM)
        program = Path(folder) / "program"
        subprocess.run([*GCC, f"-DROUNDS={ROUNDS}", f"{program}.c", "-o", program], check=True)
        done = subprocess.run([program], input=data.images.numpy().tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int32).reshape(len(data), -1), float(done.stderr)


def first_line(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


if __name__ == "__main__":
    main()
