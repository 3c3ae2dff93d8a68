"""LeNet beside its peers on one processor: PyTorch eager and compiled, JAX, onnxruntime.

    pip install jax onnx onnxscript onnxruntime
    python benchmarks/peers.py

Every peer runs the same network (61,706 parameters, ReLU, max pooling) on the same random images, in turn
with ours in one process; a ratio is the median over the pairs. A peer that is not installed is left out.
Training is a step of plain SGD with cross-entropy; images are bytes and scaled within the step. Results go to
benchmarks/results/peers.json, and a plot of how speed grows with batch, channels and threads to
docs/growth.png. Memory is what training at one batch size adds to a process that has done a step already.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as lenet does, before torch is loaded

import numpy as np
import torch

from lenet.bench.machine import describe_machine
from lenet.bench.speed import (
    PlainLeNet,
    inference_pass,
    measure_peak,
    time_once,
    time_pairs,
    training_step,
)
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.torch_inference import pack_module

Work = Callable[[], object]
CONFIG = LeNetConfig()
RESULTS = Path(__file__).parent / "results" / "peers.json"
PLOT = Path(__file__).parents[1] / "docs" / "growth.png"
BATCHES = (1, 4, 16, 64, 256, 1024)
MEMORY = """
import re, sys, torch
from pathlib import Path
from lenet.bench.speed import PlainLeNet, training_step
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
def step(batch):
    images, labels = torch.zeros(batch, 1, 28, 28).byte(), torch.zeros(batch).long()
    model = {"LeNet": LeNet, "PlainLeNet": PlainLeNet}[sys.argv[1]](LeNetConfig())
    return training_step(model, images, labels)
def megabytes(which):
    return int(re.search(which + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
step(1)()
work = step(int(sys.argv[2]))
Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far, which was that of the imports
before = megabytes("VmRSS")
for _ in range(10): work()
print(megabytes("VmHWM") - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=256)
    given = parser.parse_args()
    images = torch.randint(256, (given.batch_size, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(10, (given.batch_size,))
    figures = {"training": compare(training_peers(images, labels), given.batch_size)}
    figures["inference"] = compare(inference_peers(images), given.batch_size)
    figures["inference, one image"] = compare(inference_peers(images[:1]), 1)
    growth = measure_growth()
    draw(growth)
    result = {
        "what": "peers",
        "command": "python benchmarks/peers.py",
        "batch_size": given.batch_size,
        "images_per_second": figures,
        "growth": growth,
        "megabytes_of_training": measure_memory(),
        "latency_of_one_image_microseconds": latencies(images[:1]),
        "sgemm_gflops": measure_peak() / 1e9,
        "machine": describe_machine(),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(RESULTS)


def compare(peers: dict[str, Work], batch: int) -> dict[str, dict[str, float]]:
    """Images/s of each, and how many times faster ours is, pair by pair."""
    figures: dict[str, dict[str, float]] = {}
    ours = peers.pop("lenet")
    for name, work in peers.items():
        began = time.perf_counter()
        work()
        first_call = time.perf_counter() - began
        rows = time_pairs([ours, work])
        figures[name] = {
            "images_per_second": batch / statistics.median(row[1] for row in rows),
            "ours_images_per_second": batch / statistics.median(row[0] for row in rows),
            "ratio": statistics.median(row[1] / row[0] for row in rows),
            "first_call_seconds": first_call,
        }
        print(name, {key: round(value, 2) for key, value in figures[name].items()}, file=sys.stderr)
    return figures


def training_peers(images: torch.Tensor, labels: torch.Tensor) -> dict[str, Work]:
    peers: dict[str, Work] = {
        "lenet": training_step(LeNet(CONFIG), images, labels),
        "PyTorch eager": training_step(PlainLeNet(CONFIG), images, labels),
        "PyTorch compiled": training_step(torch.compile(PlainLeNet(CONFIG)), images, labels),
    }
    if find_spec("jax"):
        peers["JAX"] = jax_training(images.numpy(), labels.numpy())
    return peers


def inference_peers(images: torch.Tensor) -> dict[str, Work]:
    model = LeNet(CONFIG).eval()
    peers: dict[str, Work] = {
        "lenet": one_call(model, images),
        "PyTorch eager": inference_pass(PlainLeNet(CONFIG), images),
        "PyTorch compiled": inference_pass(torch.compile(PlainLeNet(CONFIG)), images),
    }
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        peers["onnxruntime"] = onnx_inference(model, images)
    if find_spec("jax"):
        peers["JAX"] = jax_inference(images.numpy())
    return peers


def one_call(model: LeNet, images: torch.Tensor) -> Work:
    """In one call of the kernel, as `Reader`, `lenet predict` and `lenet.evaluate` compute."""
    packed, array = pack_module(model), images.numpy()
    assert packed is not None, "no compiled kernel"
    return lambda: packed.compute_logits(array, torch.get_num_threads())


def onnx_inference(model: LeNet, images: torch.Tensor) -> Work:
    import onnxruntime

    content = io.BytesIO()
    torch.onnx.export(model, (images,), dynamo=True, verbose=False).save(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content.getvalue(), options)
    name, array = session.get_inputs()[0].name, images.numpy()
    (logits,) = session.run(None, {name: array})
    np.testing.assert_allclose(logits, model(images).detach().numpy(), atol=1e-4)
    return lambda: session.run(None, {name: array})


def jax_parameters() -> list[tuple[np.ndarray, np.ndarray]]:
    layers = [layer for layer in LeNet(CONFIG).children() if hasattr(layer, "weight")]
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]


def jax_logits(parameters, images):
    import jax
    from jax import lax

    (w1, b1), (w2, b2), *dense = parameters
    maps = images.astype("float32") / 255
    for weight, bias, padding in ((w1, b1, 2), (w2, b2, 0)):
        maps = lax.conv_general_dilated(maps, weight, (1, 1), [(padding, padding)] * 2)
        maps = jax.nn.relu(maps + bias[:, None, None])
        maps = lax.reduce_window(maps, -np.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    features = maps.reshape(len(maps), -1)
    for number, (weight, bias) in enumerate(dense, 1):
        features = features @ weight.T + bias
        features = jax.nn.relu(features) if number < len(dense) else features
    return features


def jax_inference(images: np.ndarray) -> Work:
    import jax

    forward, parameters = jax.jit(jax_logits), jax_parameters()
    return lambda: forward(parameters, images).block_until_ready()


def jax_training(images: np.ndarray, labels: np.ndarray) -> Work:
    import jax

    def loss(parameters, images, labels):
        rows = jax.nn.log_softmax(jax_logits(parameters, images))
        return -rows[np.arange(len(labels)), labels].mean()

    @jax.jit
    def update(parameters, images, labels):
        gradients = jax.grad(loss)(parameters, images, labels)
        return jax.tree.map(lambda value, slope: value - 0.01 * slope, parameters, gradients)

    state = {"parameters": jax_parameters()}

    def step() -> None:
        state["parameters"] = jax.block_until_ready(update(state["parameters"], images, labels))

    return step


def measure_growth() -> list[dict[str, float]]:
    """Seconds a training step, ours and eager, as the batch, the channels and the threads grow."""
    rows, threads = [], torch.get_num_threads()
    for batch in BATCHES:
        rows.append({"batch": batch, "width": 1, "threads": threads, **step_seconds(CONFIG, batch)})
    for width in (2, 4, 8):
        config = LeNetConfig(channels=(6 * width, 16 * width))
        rows.append({"batch": 256, "width": width, "threads": threads, **step_seconds(config, 256)})
    for fewer in range(1, threads):
        torch.set_num_threads(fewer)
        rows.append({"batch": 256, "width": 1, "threads": fewer, **step_seconds(CONFIG, 256)})
    torch.set_num_threads(threads)
    return rows


def measure_memory() -> dict[str, dict[str, float]]:
    """Megabytes that ten training steps take beyond the network and its images, by network and batch."""
    return {
        name: {
            str(batch): float(subprocess.check_output([sys.executable, "-c", MEMORY, name, str(batch)]))
            for batch in (256, 1024, 4096)
        }
        for name in ("LeNet", "PlainLeNet")
    }


def step_seconds(config: LeNetConfig, batch: int) -> dict[str, float]:
    images = torch.randint(256, (batch, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(10, (batch,))
    rivals = [training_step(model, images, labels) for model in (LeNet(config), PlainLeNet(config))]
    rows = time_pairs(rivals, pairs=3)
    ours, eager = (statistics.median(column) for column in zip(*rows, strict=True))
    return {"ours": ours, "eager": eager}


def latencies(image: torch.Tensor) -> dict[str, float]:
    work = one_call(LeNet(CONFIG), image)
    times = sorted(1e6 * time_once(work) for _ in range(3000))
    return {"median": times[1500], "95 %": times[2850], "99 %": times[2970]}


def draw(growth: list[dict[str, float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), dpi=110, layout="constrained")
    usual = {"batch": 256, "width": 1, "threads": max(row["threads"] for row in growth)}
    labels = {"batch": "images a step", "width": "channels × (6, 16)", "threads": "threads"}
    for place, (key, label) in enumerate(labels.items(), 1):
        others = usual.keys() - {key}
        rows = [row for row in growth if all(row[other] == usual[other] for other in others)]
        rows.sort(key=lambda row: row[key])
        axes = figure.add_subplot(1, 3, place)
        for name, colour in (("ours", "#4269d0"), ("eager", "#ff725c")):
            speeds = [row["batch"] / row[name] for row in rows]
            axes.plot(
                [row[key] for row in rows],
                speeds,
                "o-",
                color=colour,
                label={"ours": "lenet", "eager": "PyTorch eager"}[name],
            )
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="images/s of training")
        values = [row[key] for row in rows]
        axes.set_xticks(values, [str(value) for value in values])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25, which="both")
        axes.legend(frameon=False)
    figure.savefig(PLOT)


if __name__ == "__main__":
    main()
