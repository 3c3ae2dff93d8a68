"""A line network as one ONNX file: strips of bytes in, the logits of every frame out, the card inside."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.data.cache import list_sources
from lenet.data.datasets import load
from lenet.errors import ExportError
from lenet.export.agreement import Agreement
from lenet.export.onnx_file import BATCHES, EXAMPLES, LARGEST_DIFFERENCE, Session, trace_onnx, write_card
from lenet.images.strips import stack_strips
from lenet.models.line import LineCheckpoint
from lenet.models.line_config import COLUMNS_PER_STEP, ROWS, read_best_path
from lenet.synthesis.hands import gather_material
from lenet.synthesis.lines import compose_line

INPUT, OUTPUT = "strips", "logits"
LINES = 200  # to compare on
SEED = 0
COLUMNS = 64  # of the strip that torch follows through the network


@dataclass(frozen=True)
class LineSamples:
    """Composed lines, from short to long: strips uint8 (ROWS, w) and their texts."""

    strips: list[NDArray[np.uint8]]
    texts: list[str]
    title: str
    """What the digits are drawn from, such as 'lines of mnist test'."""


def compose_samples(count: int = LINES) -> LineSamples:
    """Lines composed of drawn digits and of MNIST's test images.

    Where those are not on this machine, of scikit-learn's digits; nothing is downloaded.
    """
    missing = {listing.name for listing in list_sources() if listing.found == "missing"}
    data = load("digits" if "mnist" in missing else "mnist", "test")
    material = gather_material(data.images[:, 0].numpy(), data.labels.numpy())
    drawn = (compose_line(material, SEED, "export", number) for number in range(count))
    lines = sorted((line for line in drawn if line is not None), key=lambda line: line.image.shape[1])
    return LineSamples(
        [line.image for line in lines], [line.text for line in lines], f"lines of {data.name} test"
    )


def make_line_onnx(checkpoint: LineCheckpoint) -> bytes:
    """The network as an ONNX file for strips uint8 (N, 1, ROWS, w), any N and any w that is a multiple of 4.

    The output `logits` is float32 (N, w / 2, 11), the last class the blank. The card is in the file's
    metadata. Raises ExportError where the extra is not installed.
    """
    examples = torch.zeros(EXAMPLES, 1, ROWS, COLUMNS, dtype=torch.uint8)
    shapes = {0: torch.export.Dim("batch"), 3: COLUMNS_PER_STEP * torch.export.Dim("steps", min=1)}
    file = trace_onnx(checkpoint.network, examples, INPUT, [OUTPUT], shapes)
    file.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "frames"
    write_card(file, checkpoint)
    content: bytes = file.SerializeToString(deterministic=True)
    return content


def check_line(session: Session, checkpoint: LineCheckpoint, samples: LineSamples) -> Agreement:
    """Compare onnxruntime with the checkpoint's network on lines, in batches of several sizes and lengths.

    Raises ExportError where a logit differs by more than LARGEST_DIFFERENCE.
    """
    largest = 0.0
    right = {"onnx": 0, "own": 0}
    for size in BATCHES:
        count = len(samples.strips) if size == BATCHES[-1] else 3 * size
        for start in range(0, count, size):
            strips = samples.strips[start : start + size]
            width = max(strip.shape[1] for strip in strips)
            batch = stack_strips(strips, -(-width // COLUMNS_PER_STEP) * COLUMNS_PER_STEP)
            with torch.inference_mode():
                expected = checkpoint.network(torch.from_numpy(batch)).numpy()
            (found,) = session.run_batch(batch)
            largest = max(largest, float(np.abs(found - expected).max()))
            if not largest <= LARGEST_DIFFERENCE:
                raise ExportError(
                    f"onnxruntime differs from the network by {largest:.2g} in batches of {size}; at most "
                    f"{LARGEST_DIFFERENCE:g} is allowed, so nothing was written"
                )
            if size == BATCHES[-1]:
                texts = samples.texts[start : start + size]
                right["onnx"] += count_right(found, texts)
                right["own"] += count_right(expected, texts)
    shares = {name: number / len(samples.texts) for name, number in right.items()}
    return Agreement(len(samples.texts), largest, shares["onnx"], shares["own"])


def count_right(logits: NDArray[np.float32], texts: list[str]) -> int:
    """How many lines are read without an error, by the best class of each frame, (N, frames, 11)."""
    found = (read_best_path(labels) for labels in logits.argmax(axis=2))
    return sum(one == text for one, text in zip(found, texts, strict=True))
