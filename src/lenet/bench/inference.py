"""How fast the kernel's inference is, beside onnxruntime in one run, with one thread each."""

from __future__ import annotations

import statistics
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.bench.speed import Measurement, measure_fma_peak, time_pairs
from lenet.export.line_file import make_line_onnx
from lenet.export.onnx_file import NEEDED, Session, make_onnx
from lenet.models.checkpoint import Checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.inference import DigitNetwork, StripNetwork, open_line
from lenet.models.line import load_line
from lenet.models.line_config import ROWS
from lenet.models.network import LeNet
from lenet.models.torch_inference import pack_module

BATCHES = (1, 256)
COLUMNS = (64, 160)
"""Widths of the strips that the line network reads: about two and six digits."""


def measure_inference(config: LeNetConfig) -> list[Measurement]:
    """Inference on random images with one thread, in one call of the kernel for each batch.

    With the ratio to onnxruntime where the extra `export` is installed. Empty without the kernel.
    """
    network = LeNet(config).eval().requires_grad_(False)
    packed = pack_module(network)
    if packed is None:
        return []
    random, side = np.random.default_rng(0), config.input_size
    rival = None
    if has_onnxruntime():
        card = {"classes": [str(number) for number in range(config.classes)]}
        rival = Session(make_onnx(Checkpoint(network, card), side, side))
    figures = []
    for count in BATCHES:
        images = random.integers(0, 256, (count, 1, side, side), dtype=np.uint8)
        figures += time_beside(f"one call, one thread, batch {count}", "images/s", packed, rival, images)
    if fma := measure_fma_peak():
        share = 100 * figures[-1 if rival is None else -3].value * 2 * config.multiply_adds / fma
        figures.append(Measurement(f"share of one core's peak in batches of {BATCHES[-1]}", share, "%"))
    return figures


def measure_lines() -> list[Measurement]:
    """The same for the shipped line network and single strips."""
    line = load_line()
    network = open_line(line)
    rival = Session(make_line_onnx(line)) if has_onnxruntime() else None
    random, figures = np.random.default_rng(0), []
    for width in COLUMNS:
        strips = random.integers(0, 256, (1, 1, ROWS, width), dtype=np.uint8)
        figures += time_beside(
            f"line network, one thread, {width} columns", "strips/s", network, rival, strips
        )
    return figures


def has_onnxruntime() -> bool:
    """Whether the libraries of the extra `export` are installed."""
    return all(find_spec(name) is not None for name in NEEDED)


def time_beside(
    what: str,
    unit: str,
    network: DigitNetwork | StripNetwork,
    rival: Session | None,
    images: NDArray[np.uint8],
) -> list[Measurement]:
    """The speed of `network`, and that of `rival`, where there is one, and their ratio."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        works = [lambda: network.compute_logits(images)]
        if rival is not None:
            works.append(lambda: rival.run_batch(images, ["logits"])[0])
        rows = time_pairs(works)
    finally:
        torch.set_num_threads(threads)
    speeds = [len(images) / statistics.median(column) for column in zip(*rows, strict=True)]
    figures = [Measurement(what, speeds[0], unit)]
    if rival is not None:
        ratio = statistics.median(theirs / ours for ours, theirs in rows)
        figures.append(Measurement(f"{what}, onnxruntime", speeds[1], unit))
        figures.append(Measurement(f"{what}, ratio", ratio, "times"))
    return figures
