"""How fast this machine trains and runs LeNet, beside the same network in PyTorch's own operators.

Rivals run in turn, A B A B …, in one process with the same threads, and the median of the pairs' ratios is
what counts: a machine's speed drifts, a ratio within a second does not.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.kernels.library import load_library
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet

SECONDS = 0.4  # of each timing
PAUSE = 0.02  # seconds
PAIRS = 7


@dataclass(frozen=True)
class Measurement:
    """One measured number."""

    what: str
    value: float
    unit: str


def measure_speed(config: LeNetConfig, batch_size: int = 256) -> list[Measurement]:
    """Training, inference and latency on the CPU for random images; about a quarter of a minute.

    'training' is a step of SGD as the loop makes it: bytes scaled, forward, cross-entropy, backward, update.
    """
    images = torch.randint(256, (batch_size, 1, config.input_size, config.input_size), dtype=torch.uint8)
    labels = torch.randint(config.classes, (batch_size,))
    ours, plain = LeNet(config), PlainLeNet(config)
    figures = []
    steps = [training_step(model, images, labels) for model in (ours, plain)]
    figures += _compare("training", "images/s", batch_size, steps)
    passes = [inference_pass(model, images) for model in (ours, plain)]
    figures += _compare(f"inference, batch {batch_size}", "images/s", batch_size, passes)
    single = [inference_pass(model, images[:1]) for model in (ours, plain)]
    figures += _compare("inference, batch 1", "images/s", 1, single)
    latencies = sorted(1e6 * time_once(single[0]) for _ in range(2000))
    for name, share in (("median", 0.5), ("95th percentile", 0.95), ("99th percentile", 0.99)):
        figures.append(
            Measurement(f"latency of one image, {name}", latencies[int(share * len(latencies))], "µs")
        )
    peak = measure_peak()
    rate = next(figure.value for figure in figures if figure.what == "training")
    # Backward costs two products where forward costs one, but C1 needs no gradient of its input.
    first = next(layer.multiply_adds for layer in config.layers() if layer.name == "conv1")
    work = 2 * (3 * config.multiply_adds - first)
    figures.append(Measurement("matrix product, the most this machine multiplies", peak / 1e9, "GFLOP/s"))
    figures.append(Measurement("share of that in a whole training step", 100 * rate * work / peak, "%"))
    if fma := measure_fma_peak():
        cores = torch.get_num_threads()
        figures.append(Measurement("fused multiply-adds in registers, one core", fma / 1e9, "GFLOP/s"))
        share = 100 * rate * work / (fma * cores)
        figures.append(Measurement(f"share of {cores} cores' peak in a whole training step", share, "%"))
    return figures


class PlainLeNet(nn.Module):
    """The same network in torch's own layers alone: what the tutorials write down."""

    def __init__(self, config: LeNetConfig) -> None:
        super().__init__()
        self.scaled = LeNet(config)  # for its pixel scaling only
        self.layers = nn.Sequential(*self.scaled.children())

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.layers(self.scaled.prepare(images))
        return logits


def training_step(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], object]:
    """A function that makes one step of training on the same batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)

    def step() -> None:
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference_pass(model: nn.Module, images: Tensor) -> Callable[[], object]:
    """A function that reads the same batch once."""
    model.eval()

    def read() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(images)
            return logits

    return read


def measure_fma_peak(seconds: float = 0.02) -> float | None:
    """Floating-point operations a second of one core's fused multiply-adds in registers, the best of several.

    With the kernel's instruction set; None without the kernel. No arithmetic on this core is faster.
    """
    library, _ = load_library()
    if library is None:
        return None
    flops, rounds = library.lenet_flops_a_round(), 1000
    while time_once(partial(library.lenet_multiply_add, rounds)) < seconds:
        rounds *= 2
    best = min(time_once(partial(library.lenet_multiply_add, rounds)) for _ in range(20))
    return float(flops * rounds / best)


def measure_peak(side: int = 1024) -> float:
    """Floating-point operations a second of a large float32 matrix product, the best of several."""
    left, right = torch.rand(side, side), torch.rand(side, side)
    seconds = min(time_once(lambda: left @ right) for _ in range(20))
    return 2 * side**3 / seconds


def time_once(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def time_pairs(rivals: Sequence[Callable[[], object]], pairs: int = PAIRS) -> list[list[float]]:
    """Seconds a call, (pairs, rivals): each pair times every rival in turn for about `SECONDS`.

    Before each there is a pause, in which the threads of the one before fall asleep (some spin for long while
    they wait for work, on the processors that the next one needs), and a call that is not timed.
    """
    calls = []
    for work in rivals:
        work()
        work()
        calls.append(max(1, round(SECONDS / time_once(work))))
    rows = []
    for _ in range(pairs):
        row = []
        for work, count in zip(rivals, calls, strict=True):
            time.sleep(PAUSE)
            work()
            began = time.perf_counter()
            for _ in range(count):
                work()
            row.append((time.perf_counter() - began) / count)
        rows.append(row)
    return rows


def _compare(what: str, unit: str, images: int, rivals: Sequence[Callable[[], object]]) -> list[Measurement]:
    rows = time_pairs(rivals)
    ours, theirs = (images / statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(plain / own for own, plain in rows)
    return [
        Measurement(what, ours, unit),
        Measurement(f"{what}, PyTorch's own operators", theirs, unit),
        Measurement(f"{what}, ratio", ratio, "times"),
    ]
