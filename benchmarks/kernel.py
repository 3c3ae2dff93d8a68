"""The fused kernel beside PyTorch's own operators: training, inference, and the convolutions alone.

    python benchmarks/kernel.py [--threads 2] [--rounds 21]
    GOMP_SPINCOUNT=300000 python benchmarks/kernel.py

Both do the same work on the same tensors in one process, by turns (A B A B …); the figures are medians over
the rounds, and ratios are medians of the rounds' ratios. Wall time is what a user sees; processor time (of
all threads) is what can be trusted on a machine that others use too. With the first command threads wait for
work as lenet sets it, with the second as PyTorch does by default. Writes
benchmarks/results/kernel.json and kernel-spinning.json.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as lenet does, before torch is loaded

import torch
from torch import Tensor, nn

from lenet.bench.machine import describe_machine
from lenet.bench.speed import measure_fma_peak
from lenet.files import write_text
from lenet.kernels.convolution import explain_backend, run_convolutions
from lenet.kernels.dense import run_dense
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet

RESULTS = Path(__file__).parent / "results"
# PyTorch's own threads spin 300,000 times before they sleep (libgomp's default).
SUFFIX = "" if os.environ["GOMP_SPINCOUNT"] == "1000" else "-spinning"
BATCH = 256


def measure(functions: dict[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, object]:
    """Seconds of each function, wall and processor, and how the first one's compare with the second one's."""
    wall: dict[str, list[float]] = {name: [] for name in functions}
    processor: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 2):
        for name, function in functions.items():
            function()  # caches hold this one's data again
            began, used = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                function()
            if number >= 2:
                wall[name].append((time.perf_counter() - began) / repeats)
                processor[name].append((time.process_time() - used) / repeats)
    eager, fused = functions
    return {
        "wall_seconds": {name: median(times) for name, times in wall.items()},
        "processor_seconds": {name: median(times) for name, times in processor.items()},
        "wall_ratio": median(a / b for a, b in zip(wall[eager], wall[fused], strict=True)),
        "processor_ratio": median(a / b for a, b in zip(processor[eager], processor[fused], strict=True)),
    }


def fuse(model: LeNet) -> Callable[[Tensor], Tensor]:
    """The network in two operators."""
    config, layers = model.config, list(model.children())
    blocks = [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Conv2d)]
    dense = [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Linear)]

    def forward(images: Tensor) -> Tensor:
        features = run_convolutions(
            model.prepare(images),
            blocks,
            padding=config.padding,
            activation=config.activation,
            pooling=config.pooling,
        )
        return run_dense(features.flatten(1), dense, activation=config.activation)

    return forward


def make_steps(config: LeNetConfig, images: Tensor, labels: Tensor) -> dict[str, Callable[[], object]]:
    """One training step of the same network, layer by layer and fused."""

    def step(model: LeNet, forward: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def run() -> None:
            loss = nn.functional.cross_entropy(forward(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return run

    eager, fused = LeNet(config), LeNet(config)
    layers = nn.Sequential(*eager.children())
    return {
        "eager": step(eager, lambda images: layers(eager.prepare(images))),
        "fused": step(fused, fuse(fused)),
    }


def make_inference(config: LeNetConfig, images: Tensor) -> dict[str, Callable[[], object]]:
    """Logits of the same network, layer by layer and fused."""
    model = LeNet(config)
    layers = nn.Sequential(*model.children())
    eager = torch.no_grad()(lambda: layers(model.prepare(images)))
    fused = fuse(model)
    return {"eager": eager, "fused": torch.no_grad()(lambda: fused(images))}


def measure_arithmetic(config: LeNetConfig, images: Tensor, rounds: int) -> dict[str, float]:
    """Multiplications and additions a second in the convolutions, beside those of a matrix product.

    All that the operator does counts as time; as work counts what the layers are defined to need, so that
    work saved (three of four multiplications behind max-pooling) shows as speed.
    """
    model = LeNet(config)
    layers = {name: layer for name, layer in model.named_children() if isinstance(layer, nn.Conv2d)}
    blocks = [(layer.weight, layer.bias) for layer in layers.values()]
    adds = {layer.name: layer.multiply_adds for layer in config.layers()}
    forward = 2 * BATCH * sum(adds[name] for name in layers)
    work = forward + 2 * BATCH * (adds["conv1"] + 2 * adds["conv2"])  # pixels need no gradient
    gradient = torch.rand(BATCH, 16, 5, 5)
    matrix = torch.rand(1024, 1024)

    def convolve() -> None:
        features = run_convolutions(
            images, blocks, padding=2, activation=config.activation, pooling=config.pooling
        )
        torch.autograd.grad(features, [tensor for block in blocks for tensor in block], gradient)

    times = measure({"sgemm": lambda: matrix @ matrix, "blocks": convolve}, rounds, 5)
    seconds = times["processor_seconds"]
    assert isinstance(seconds, dict)
    sgemm, ours = 2 * 1024**3 / seconds["sgemm"] / 1e9, work / seconds["blocks"] / 1e9
    return {"sgemm_gflops_a_core": sgemm, "blocks_gflops_a_core": ours, "share_of_sgemm": ours / sgemm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))
    many, many_labels = torch.cat([images] * 4), torch.cat([labels] * 4)
    results: dict[str, Any] = {
        "backend": explain_backend()._asdict(),
        "load_of_machine": os.getloadavg()[0],
        "machine": describe_machine(),
        "waiting_threads_spin": int(os.environ["GOMP_SPINCOUNT"]),
        "peak_gflops_a_core": (measure_fma_peak() or 0.0) / 1e9,
    }
    for name, config in {
        "relu, max-pooling": LeNetConfig(activation="relu", pooling="max"),
        "sigmoid, average pooling": LeNetConfig(activation="sigmoid", pooling="avg"),
    }.items():
        for what, functions, count, repeats in (
            ("training", make_steps(config, images, labels), BATCH, 5),
            ("training, batch 1,024", make_steps(config, many, many_labels), 4 * BATCH, 2),
            ("inference", make_inference(config, images), BATCH, 5),
            ("inference of one image", make_inference(config, images[:1]), 1, 50),
        ):
            figures = measure(functions, options.rounds, repeats)
            results[f"{what}: {name}"] = figures
            wall, processor = figures["wall_seconds"], figures["processor_seconds"]
            assert isinstance(wall, dict)
            assert isinstance(processor, dict)
            print(
                f"{what + ': ' + name:48} images/s {count / wall['eager']:9,.0f} eager "
                f"{count / wall['fused']:9,.0f} fused; ratio {figures['wall_ratio']:.2f}; of processor time "
                f"{count / processor['eager']:9,.0f} and {count / processor['fused']:9,.0f}; "
                f"ratio {figures['processor_ratio']:.2f}"
            )
        arithmetic = measure_arithmetic(config, images, options.rounds)
        results[f"convolutions: {name}"] = arithmetic
        print(f"{'convolutions: ' + name:48}", {key: round(value, 2) for key, value in arithmetic.items()})
    # The kernel's peak is that of a quiet moment: the best of the beginning and the end.
    results["peak_gflops_a_core"] = max(results["peak_gflops_a_core"], (measure_fma_peak() or 0.0) / 1e9)
    write_text(RESULTS / f"kernel{SUFFIX}.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
