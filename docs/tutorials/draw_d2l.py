"""Draw the figures of d2l.md, d2l-relu.md and classic-sigmoid.md.

    python docs/tutorials/draw_d2l.py

The curves come from benchmarks/results/. For the gradients, three networks are trained for three epochs on
Fashion-MNIST.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

import lenet
from lenet.insight.plots.canvas import COLOURS, make_figure, trim_axes

ROOT = Path(__file__).parents[2]
DRAWN = Path(__file__).parent
RESULTS = ROOT / "benchmarks/results"
# What two authors' runs of the chapter's code printed: loss, training and test accuracy.
PRINTED = {"author 1": ("o", (0.470, 0.823, 0.814)), "author 2": ("D", (0.467, 0.824, 0.786))}
Printed = Mapping[str, tuple[str, tuple[float, float, float]]]
LINES = {"train loss": COLOURS["train"], "train accuracy": COLOURS["loss"], "test accuracy": COLOURS["test"]}
EPOCHS, BATCH, EVERY = 3, 256, 5
NETWORKS: Mapping[str, tuple[str, Mapping[str, object], str]] = {
    "sigmoid, PyTorch's initial weights": ("d2l", {"initialisation": "default"}, COLOURS["validation"]),
    "sigmoid, Xavier (d2l)": ("d2l", {}, COLOURS["train"]),
    "ReLU, Xavier (d2l-relu)": ("d2l-relu", {}, COLOURS["test"]),
}
LAYERS = ("conv1", "conv2", "dense1", "dense2", "output")


def main() -> None:
    write(draw_recipe("d2l-fashion-mnist", PRINTED), "d2l-curves")
    write(draw_recipe("d2l-relu-fashion-mnist", {}), "d2l-relu-curves")
    write(draw_recipe("classic-sigmoid-mnist", {}), "classic-sigmoid-curves")
    write(draw_standstill(), "d2l-stall")
    draw_maps(ROOT / "examples/pictures/7-blue-ink.png", DRAWN / "classic-sigmoid-maps.webp")


def write(figure: Figure, name: str) -> None:
    figure.savefig(DRAWN / f"{name}.webp", pil_kwargs={"lossless": True, "method": 6})


def draw_recipe(name: str, printed: Printed) -> Figure:
    """Loss and accuracies of each epoch over one axis, as the chapter's Animator draws them; a line a seed.

    On the right, the accuracies alone. `printed` are values of the source, with their markers.
    """
    runs: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["runs"]
    paths = np.array([run["path"] for run in runs])  # (seeds, epochs, 3)
    figure = make_figure(9, 3.8)
    together, enlarged = figure.subplots(1, 2)
    draw_lines(together, paths, printed, tuple(LINES))
    draw_lines(enlarged, paths, printed, tuple(LINES)[1:])
    lowest = paths[:, -1, 1:].min()
    together.set_title(f"{len(runs)} seeds, a line each")
    enlarged.set(ylim=(lowest - 0.12, min(1, lowest + 0.12)), title="the accuracies, enlarged")
    keys = [line for line in together.get_lines() if not str(line.get_label()).startswith("_")]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    return figure


def draw_lines(axes: Axes, paths: NDArray[np.float64], printed: Printed, names: Sequence[str]) -> None:
    epochs = np.arange(1, paths.shape[1] + 1)
    for name in names:
        number, colour = list(LINES).index(name), LINES[name]
        for seed, path in enumerate(paths):
            axes.plot(epochs, path[:, number], color=colour, linewidth=1.2, label="_" if seed else name)
        for marker, values in printed.values():
            axes.plot(epochs[-1], values[number], marker, color=colour, markeredgecolor="black", zorder=3)
    for author, (marker, _) in printed.items():
        axes.plot([], [], marker, color="white", markeredgecolor="black", label=f"printed by {author}")
    axes.set(xlabel="epoch", xticks=epochs[1::2])
    trim_axes(axes)


def draw_standstill() -> Figure:
    """The loss of each step, and, at the initial weights, what goes through the layers and comes back."""
    data = lenet.load_data("fashion-mnist", "train")
    figure = make_figure(9, 3.6, spacing=0.06)
    losses, spread, gradient = figure.subplots(1, 3)
    for label, (name, changes, colour) in NETWORKS.items():
        recipe = lenet.RECIPES[name].override({**changes, "epochs": EPOCHS})
        model = lenet.make_model(recipe, seed=0)
        differences, shares = measure_layers(model, data)
        spread.plot(LAYERS, differences, "o-", color=colour, label=label)
        gradient.plot(LAYERS, shares, "o-", color=colour)
        history = train_with_losses(model, data, recipe)
        losses.plot(np.arange(len(history)) * EVERY, history, color=colour, linewidth=1.2)
    losses.axhline(np.log(10), color="black", linewidth=0.8, linestyle=":")
    losses.text(len(history) * EVERY, np.log(10) + 0.03, "ln 10", ha="right", va="bottom", fontsize=9)
    losses.set(title="loss of a batch", xlabel="step", ylim=(0, 2.75))
    spread.set(title="difference between images", yscale="log")
    gradient.set(title="gradient / weights", yscale="log")
    for axes in (spread, gradient):
        axes.tick_params(axis="x", labelrotation=35)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axes in (losses, spread, gradient):
        trim_axes(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_maps(picture: Path, path: Path) -> None:
    """The maps of a picture in the shipped sigmoid network, in half the size of `lenet explain`."""
    checkpoint = lenet.load("d2l")
    layers = ("input", "sigmoid1", "pool1", "sigmoid2", "pool2")
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "layers.png"
        subjects = lenet.find_subjects(checkpoint, picture, picture.name)
        lenet.draw_layers(checkpoint.model, subjects, drawn, layers=layers)
        with Image.open(drawn) as image:
            image.convert("RGB").reduce(2).save(path, quality=85, method=6)


def measure_layers(model: lenet.LeNet, data: lenet.ImageSet) -> tuple[list[float], list[float]]:
    """For each layer with weights, of the first batch: how much the outputs behind its activation differ
    between images (the mean standard deviation), and the norm of the gradient as a share of the weights'."""
    images, labels = data.images[:BATCH], data.labels[:BATCH]
    functional.cross_entropy(model(images), labels).backward()
    outputs = list(model.trace(images).items())
    names = [name for name, _ in outputs]
    behind = [outputs[min(names.index(layer) + 1, len(names) - 1)][1] for layer in LAYERS]
    weights = [model.get_parameter(f"{layer}.weight") for layer in LAYERS]
    shares = [float(w.grad.norm() / w.detach().norm()) for w in weights if w.grad is not None]
    model.zero_grad()
    return [float(values.detach().std(dim=0).mean()) for values in behind], shares


def train_with_losses(model: lenet.LeNet, data: lenet.ImageSet, recipe: lenet.Recipe) -> Sequence[float]:
    """Train with PyTorch's own optimiser, and return the mean loss of every EVERY steps."""
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[recipe.optimizer]
    steps, losses = optimizer(model.parameters(), lr=recipe.lr), []
    generator = torch.Generator().manual_seed(0)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(data), generator=generator).split(recipe.batch_size):
            loss = functional.cross_entropy(model(data.images[chosen]), data.labels[chosen])
            steps.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            steps.step()
            losses.append(loss.item())
    count = len(losses) // EVERY * EVERY
    means: list[float] = np.array(losses[:count]).reshape(-1, EVERY).mean(axis=1).tolist()
    return means


if __name__ == "__main__":
    main()
