"""An ONNX file with weights and activations of 8 bits: static quantisation by onnxruntime, in QDQ form."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenet.export.onnx_file import INPUT, OUTPUTS, write_card
from lenet.models.checkpoint import Checkpoint

QUANTISED = ["Conv", "Gemm", "Relu"]
BATCH = 100


def quantise_onnx(content: bytes, checkpoint: Checkpoint, images: NDArray[np.uint8]) -> bytes:
    """The ONNX file `content` of the checkpoint, quantised: a scale for each output of a layer.

    The last layer stays in floats. `images`, uint8 (N, 1, H, W), calibrate the ranges of the activations.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(np.split(images, range(BATCH, len(images), BATCH)))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # onnxruntime logs an advice to infer shapes, which the file has
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "int8.onnx"
            file = onnx.load_from_string(content)
            # Logits of 8 bits would be coarse and limited; the last layer is small.
            last = [node.name for node in file.graph.node if OUTPUTS[0] in node.output]
            quantize_static(
                file,
                target,
                Batches(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTISED,
                nodes_to_exclude=last,
                per_channel=True,
                reduce_range=True,  # weights of 7 bits: processors without VNNI add pairs in 16 bits
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            file = onnx.load(target)
    finally:
        logger.setLevel(level)
    write_card(file, checkpoint)
    quantised: bytes = file.SerializeToString(deterministic=True)
    return quantised
