"""Draw docs/reading.png, a picture of the README: a photograph on its way through the network.

    make docs

It uses the public interface alone: the shipped weights, a picture of examples/, the output of each layer.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import lenet

PICTURE = Path(__file__).parents[1] / "examples/pictures/3-yellow-paper.jpg"
DRAWN = Path(__file__).with_name("reading.png")
GREY, BLUE = "0.35", "#2b5fa8"


def main(path: Path) -> None:
    checkpoint = lenet.load("reader")
    model = checkpoint.model
    _, steps = lenet.Reader(checkpoint).explain(PICTURE)
    image = torch.from_numpy(steps[-1].image)[None, None]  # uint8 (1, 1, 28, 28)
    with torch.inference_mode():
        outputs = model.trace(image)
        probabilities = model.probabilities(image)[0].tolist()

    figure = Figure(figsize=(9, 2.7), dpi=180)
    widths = (1.25, 1.5, 2.15, 1.5, 0.2, 1.2)
    columns = figure.add_gridspec(
        1, len(widths), width_ratios=widths, left=0.01, right=0.985, top=0.79, bottom=0.05, wspace=0.2
    )
    cells = [figure.add_subplot(columns[0, number]) for number in (0, 1, 2, 3, 5)]  # 4 is for labels
    show(cells[0], np.asarray(Image.open(PICTURE)), "picture", "JPEG, 240×320")
    show(cells[1], image[0, 0].numpy(), "input image", "28×28")
    show(cells[2], tile(outputs["pool1"][0], 3), "first block", "6 maps, 14×14")
    show(cells[3], tile(outputs["pool2"][0], 4), "second block", "16 maps, 5×5")
    draw_bars(cells[4], probabilities, checkpoint.classes)
    for before, after in pairwise(cells):
        left, right = before.get_position().x1, after.get_position().x0 - 0.03 * (after is cells[-1])
        figure.text((left + right) / 2, 0.42, "→", fontsize=17, color=GREY, ha="center", va="center")
    figure.savefig(path)


def tile(maps: torch.Tensor, across: int) -> np.ndarray:
    """Maps (C, h, w) side by side, each from 0 to its layer's largest value, NaN between them."""
    values = maps.numpy() / float(maps.max())
    count, height, width = values.shape
    gap = max(1, width // 7)
    canvas = np.full((count // across * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    for number, one in enumerate(values):
        top, left = number // across * (height + gap), number % across * (width + gap)
        canvas[top : top + height, left : left + width] = one
    return canvas


def show(axes: Axes, pixels: np.ndarray, title: str, about: str) -> None:
    colours = "magma" if np.isnan(pixels).any() else "gray"
    axes.imshow(pixels, cmap=colours, interpolation="nearest" if pixels.ndim == 2 else "antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    write_title(axes, title, about)


def draw_bars(axes: Axes, probabilities: list[float], classes: tuple[str, ...]) -> None:
    axes.barh(range(len(classes)), probabilities, color=BLUE)
    axes.set(xlim=(0, 1), xticks=[], ylim=(len(classes) - 0.5, -0.5))
    axes.set_yticks(range(len(classes)), classes, fontsize=10)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    best = int(np.argmax(probabilities))
    axes.text(0.94, best, f"{probabilities[best]:.1%}", color="white", fontsize=9, ha="right", va="center")
    write_title(axes, "probabilities", "10 classes")


def write_title(axes: Axes, title: str, about: str) -> None:
    """Both lines at one height over all columns, whatever height their pictures have."""
    place = axes.get_position()
    for text, height, colour, size in ((title, 0.92, "0", 12), (about, 0.835, GREY, 10)):
        axes.figure.text(
            (place.x0 + place.x1) / 2, height, text, fontsize=size, color=colour, ha="center", va="center"
        )


if __name__ == "__main__":
    main(DRAWN)
