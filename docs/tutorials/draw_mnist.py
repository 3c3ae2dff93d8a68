"""Draw the figures of the pages lab3 and lenet5-tanh, from the runs that these pages train on MNIST.

    python docs/tutorials/draw_mnist.py [RUNS]

Runs that the folder RUNS (by default `runs`) lacks are trained first; this takes about ten minutes.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from PIL import Image

import lenet
from lenet.insight.plots.canvas import COLOURS, make_figure, save_figure, show_image, trim_axes

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parents[1] / "examples/pictures"
AUTHORS_LOSSES, AUTHORS_TEST = (0.2806, 0.2195), 93.26  # lab3: the first and the last loss, the accuracy
AUTHORS_VALIDATION = 98.80  # lenet5-tanh
EVALUATED = 16  # the checkpoint of lab3 that is closest to its author's


def main(runs: Path) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    lab, tanh = runs / "lab3-mnist-0", runs / "lenet5-tanh-mnist-0"
    for run, recipe, epochs in ((lab, "lab3", 20), (tanh, "lenet5-tanh", 60)):
        if not run.exists():
            call(runs, "train", recipe, "--runs-dir", ".")
        if len(read_history(run)) < epochs:
            call(runs, "train", "--resume", run.name, "--epochs", str(epochs))
    draw_lab(read_history(lab))
    draw_tanh(read_history(tanh))
    call(runs, "evaluate", f"{lab.name}/epoch-{EVALUATED:03d}.safetensors", "--out", "figures")
    (HERE / "lab3-confusion.png").write_bytes((runs / "figures/confusion.png").read_bytes())
    sample = str(HERE / "lenet5-tanh-sample.png")
    call(runs, "predict", "--sample", "50", "--checkpoint", tanh.name, "--data", "mnist", "--out", sample)
    draw_inverted(lenet.load(tanh))
    for figure in (*HERE.glob("lab3-*.png"), *HERE.glob("lenet5-tanh-*.png")):
        with Image.open(figure) as drawn:
            # A palette halves the file; this method keeps colours that few pixels have.
            small = drawn.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(figure, optimize=True)


def call(folder: Path, *arguments: str) -> None:
    """A command, run in `folder`."""
    subprocess.run([sys.executable, "-m", "lenet", *arguments], cwd=folder, check=True)


def read_history(run: Path) -> list[dict[str, Any]]:
    """One object an epoch."""
    return [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]


def draw_lab(history: list[dict[str, Any]]) -> None:
    """Training loss and test accuracy of each epoch, and what the lab printed."""
    figure = make_figure(9, 3.6)
    loss, accuracy = figure.subplots(1, 2)
    draw_lines(loss, history, {"train_loss": "train"}, 1, "upper right")
    for value, side in zip(AUTHORS_LOSSES, ("bottom", "top"), strict=True):
        mark(loss, value, f"the lab: {value:.4f}", side)
    loss.set(title="loss", xlabel="epoch", ylim=(0, 1.2))
    draw_lines(accuracy, history, {"test_accuracy": "test"}, 100, "lower right")
    mark(accuracy, AUTHORS_TEST, f"the lab: {AUTHORS_TEST} %")
    accuracy.plot(EVALUATED, 100 * history[EVALUATED - 1]["test_accuracy"], "o", color=COLOURS["test"])
    accuracy.set(title="accuracy in %", xlabel="epoch")
    save_figure(figure, HERE / "lab3-curves.png")


def draw_tanh(history: list[dict[str, Any]]) -> None:
    """Loss and accuracy of each epoch on training and held-out images, and what the author printed."""
    figure = make_figure(9, 3.6)
    loss, accuracy = figure.subplots(1, 2)
    kinds = ("train", "validation")
    draw_lines(loss, history, {f"{kind}_loss": kind for kind in kinds}, 1, "upper right")
    loss.set(title="loss", xlabel="epoch")
    draw_lines(accuracy, history, {f"{kind}_accuracy": kind for kind in kinds}, 100, "lower right")
    mark(accuracy, AUTHORS_VALIDATION, f"the author: {AUTHORS_VALIDATION:.2f} %")
    best = max(history, key=lambda epoch: (epoch["validation_accuracy"], -epoch["validation_loss"]))
    for axes, name, scale in ((loss, "validation_loss", 1), (accuracy, "validation_accuracy", 100)):
        axes.plot(best["epoch"], scale * best[name], "o", color=COLOURS["validation"])
    accuracy.set(title="accuracy in %", xlabel="epoch", ylim=(96, 100.2))
    save_figure(figure, HERE / "lenet5-tanh-curves.png")


def draw_lines(
    axes: Axes, history: list[dict[str, Any]], names: dict[str, str], scale: float, legend: str
) -> None:
    """A line for each value of the history that `names` names, with its kind."""
    epochs = [epoch["epoch"] for epoch in history]
    for name, kind in names.items():
        axes.plot(epochs, [scale * epoch[name] for epoch in history], color=COLOURS[kind], label=kind)
    axes.legend(frameon=False, loc=legend)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    trim_axes(axes)


def mark(axes: Axes, value: float, text: str, side: str = "bottom") -> None:
    """A dashed line at a value that an author printed; `side` of the text touches it."""
    axes.axhline(value, color="0.4", linestyle="--", linewidth=1)
    axes.annotate(text, (0.02, value), xycoords=("axes fraction", "data"), va=side, fontsize=9, color="0.3")


def draw_inverted(checkpoint: lenet.Checkpoint) -> None:
    """The example pictures in three ways: made grey and small, also inverted, and cut out by the reader."""
    reader = lenet.Reader(checkpoint)
    paths = sorted(PICTURES.iterdir())
    figure = make_figure(10, 4.1)
    cells = figure.subplots(3, len(paths))
    for column, path in enumerate(paths):
        grey = np.asarray(Image.open(path).convert("L").resize((28, 28)))  # as single_predict does
        reading, steps = reader.explain(path, length=1)
        framed = steps[-1].image
        answers = [*(answer(checkpoint, image) for image in (grey, 255 - grey)), reading.text]
        for axes, image, text in zip(cells[:, column], (grey, 255 - grey, framed), answers, strict=True):
            show_image(axes, image)
            axes.set_title(text, color="#2b8a3e" if text == path.name[0] else "#c92a2a", fontsize=11)
    for axes, name in zip(cells[:, 0], ("as it is", "inverted", "lenet predict"), strict=True):
        axes.set_ylabel(name)
    save_figure(figure, HERE / "lenet5-tanh-inverted.png")


def answer(checkpoint: lenet.Checkpoint, image: np.ndarray) -> str:
    """The class of an image, uint8 (28, 28)."""
    pixels = torch.tensor(image)[None, None]
    return checkpoint.card["classes"][int(checkpoint.model.probabilities(pixels).argmax())]


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
