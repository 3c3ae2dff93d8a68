"""A network as one ONNX file: bytes of pixels in, logits and probabilities out, the card inside."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenet.errors import ExportError
from lenet.models.checkpoint import Checkpoint
from lenet.models.line import LineCheckpoint
from lenet.models.line_config import CLASSES
from lenet.models.network import LeNet

OPSET = 20
NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUTS = "images", ("logits", "probabilities")
LARGEST_DIFFERENCE = 1e-4
BATCHES = (1, 7, 64)
EXAMPLES = 2  # for one example, torch takes the batch for a fixed 1
TIMED, ROUNDS = 200, 3

Floats = NDArray[np.float32]


class _Outputs(nn.Module):
    """Logits and probabilities of the same images."""

    def __init__(self, network: LeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images)
        return logits, self.network.as_probabilities(logits)


def check_installed() -> None:
    """Raise ExportError where a library of the extra is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(f"ONNX files need {', '.join(missing)}; install with: pip install 'lenet[export]'")


def make_onnx(checkpoint: Checkpoint, height: int, width: int) -> bytes:
    """The network as an ONNX file for uint8 images (N, 1, height, width), any N.

    Outputs: `logits` and `probabilities`, float32 (N, classes). The card is in the file's metadata: one
    property for each of its keys, in JSON. Raises ExportError where the extra is not installed.
    """
    examples = torch.zeros(EXAMPLES, 1, height, width, dtype=torch.uint8)
    shapes = {0: torch.export.Dim("batch")}
    file = trace_onnx(_Outputs(checkpoint.model).eval(), examples, INPUT, OUTPUTS, shapes)
    write_card(file, checkpoint)
    content: bytes = file.SerializeToString(deterministic=True)
    return content


def trace_onnx(
    network: nn.Module, examples: Tensor, given: str, outputs: Sequence[str], shapes: Mapping[int, Any]
) -> Any:
    """The ONNX model of a network with one input, `given`, without a card.

    `shapes` names the dimensions of the input that are dynamic; the first of them is the batch, and is so in
    every output. Raises ExportError where the extra is not installed.
    """
    check_installed()
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (examples,),
            input_names=[given],
            output_names=list(outputs),
            dynamic_shapes=(dict(shapes),),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch returned no ONNX program")
    file: Any = program.model_proto
    for part in (file.graph, *file.graph.node, *file.graph.value_info, *file.graph.input, *file.graph.output):
        del part.metadata_props[:]  # where in torch and in this package it came from, with paths
        part.doc_string = ""
    for value in (*file.graph.input, *file.graph.output):
        if value.type.tensor_type.shape.dim[0].dim_param != "batch":
            raise ExportError(f"torch fixed the batch of {value.name}; report it with `lenet env`")
    return file


def write_card(file: Any, checkpoint: Checkpoint | LineCheckpoint) -> None:
    """Put the card into the metadata of an ONNX model, in place of what is there."""
    card = {**checkpoint.card, "classes": CLASSES}
    if isinstance(checkpoint, Checkpoint):
        card |= {"classes": checkpoint.classes, "config": checkpoint.model.config.to_dict()}
    del file.metadata_props[:]
    for key, value in sorted(card.items()):
        file.metadata_props.add(key=key, value=json.dumps(value, sort_keys=True))


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without torch's warnings about its own code, and about torchvision, which is not needed."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


class Session:
    """An ONNX file in onnxruntime, with one thread."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])

    def run(self, images: NDArray[np.uint8], batch: int = BATCHES[-1]) -> tuple[Floats, Floats]:
        """Logits and probabilities, (N, classes) each, of images uint8 (N, 1, H, W)."""
        parts = [self.run_batch(images[start : start + batch]) for start in range(0, len(images), batch)]
        logits, probabilities = zip(*parts, strict=True)
        return np.concatenate(logits), np.concatenate(probabilities)

    def run_batch(self, images: NDArray[np.uint8], names: list[str] | None = None) -> list[Floats]:
        """The outputs called `names`, or all in order, for images uint8 (N, 1, H, W) at once."""
        (given,) = self._session.get_inputs()
        outputs: list[Floats] = self._session.run(names, {given.name: images})
        return outputs

    def measure_milliseconds(self, images: NDArray[np.uint8]) -> float:
        """Processor time of one image by itself: the best of some rounds."""
        count = min(TIMED, len(images))

        def run() -> float:
            start = process_time()
            self.run(images[:count], batch=1)
            return process_time() - start

        return 1000 * min(run() for _ in range(ROUNDS)) / count


def check_onnx(session: Session, checkpoint: Checkpoint, images: Tensor) -> None:
    """Compare onnxruntime with the checkpoint's network on images uint8 (N, 1, H, W), in several batch sizes.

    Raises ExportError where a logit or a probability differs by more than LARGEST_DIFFERENCE.
    """
    model = checkpoint.model
    for batch in BATCHES:
        chosen = images if batch == BATCHES[-1] else images[: 3 * batch]
        with torch.inference_mode():
            logits = torch.cat([model(part) for part in chosen.split(batch)])
            expected = (logits.numpy(), model.as_probabilities(logits).numpy())
        for found, wanted in zip(session.run(chosen.numpy(), batch), expected, strict=True):
            difference = float(np.abs(found - wanted).max())
            if not difference <= LARGEST_DIFFERENCE:
                raise ExportError(
                    f"onnxruntime differs from the network by {difference:.2g} in batches of {batch}; at "
                    f"most {LARGEST_DIFFERENCE:g} is allowed, so nothing was written"
                )
