"""Draw docs/reading.webp, a picture of the README: how the line network reads an amount.

    make docs

The amount is composed by the package, written with its drawn digits and put on its own paper.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

import lenet
from lenet.images.decoding import decode
from lenet.models.inference import open_line
from lenet.models.line_config import BLANK, COLUMNS_PER_FRAME, COLUMNS_PER_STEP, CONVOLUTIONS
from lenet.models.stored import read_stored
from lenet.reading.pipeline import COLOURS, find_writing
from lenet.reading.sweep import compute_frames
from lenet.reading.transcription import Constraints, align, find_text
from lenet.synthesis.hands import gather_material
from lenet.synthesis.paper import photograph
from lenet.synthesis.strings import write_string

DRAWN = Path(__file__).with_name("reading.webp")
WRITTEN, SEED = "1.400-", 13
SEEN_STEP = 9  # of the network: the drawing shows the columns that it depends on
GREY, RED = "0.35", "#c0392b"
CLASSES = [*map(str, range(BLANK)), "blank"]


def main(path: Path) -> None:
    picture = compose()
    (line,) = find_writing(decode(picture)).lines
    (frames,) = compute_frames(open_line(read_stored("line")), [line.strip.image])
    text, probability, _ = find_text(frames, Constraints())
    assert text is not None
    spans = align(frames, text)
    columns = len(frames) * COLUMNS_PER_FRAME
    strip = np.pad(line.strip.image, ((0, 0), (0, columns - line.strip.image.shape[1])))

    figure = Figure(figsize=(9, 5.6), dpi=180)
    grid = figure.add_gridspec(
        5,
        1,
        height_ratios=(0.95, 2, 1.6, 0.2, 0.4),
        left=0.205,
        right=0.985,
        top=0.985,
        bottom=0.01,
        hspace=0.12,
    )
    cells = [figure.add_subplot(grid[row]) for row in range(5)]
    cells[0].imshow(picture, cmap="gray", vmin=0, vmax=255)
    cells[0].set_anchor("W")
    label(cells[0], "picture", "composed from a seed")
    show_strip(cells[1], strip)
    label(cells[1], "strip", f"grey, 32 × {columns} pixels")
    cells[2].imshow(np.exp(frames.T), cmap="Blues", vmin=0, vmax=1, extent=(0, columns, 11, 0), aspect="auto")
    cells[2].set_yticks(np.arange(11) + 0.5, CLASSES, fontsize=8)
    cells[2].tick_params(length=0)
    label(cells[2], "probabilities", f"11 classes, {len(frames)} frames", 0.04)
    show_alignment(cells[3], spans, text, len(frames))
    label(cells[3], "best alignment", "· is the blank")
    for number, (digit, span) in enumerate(zip(text, spans, strict=True)):
        middle = (span.start + span.stop) / 2 * COLUMNS_PER_FRAME
        cells[4].text(middle, 0.5, str(digit), fontsize=20, color=colour(number), ha="center", va="center")
    cells[4].text(columns, 0.5, f"{probability:.0%}", fontsize=11, color=GREY, ha="right", va="center")
    cells[4].set(xlim=(0, columns), ylim=(0, 1))
    label(cells[4], "text", "and its probability")
    for axes in cells:
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        if axes is not cells[2]:
            axes.set_yticks([])
    for axes in cells[1:4]:
        for number, span in enumerate(spans):
            first, last = span.start * COLUMNS_PER_FRAME, span.stop * COLUMNS_PER_FRAME
            axes.axvspan(first, last, facecolor=colour(number), alpha=0.18, linewidth=0)
    figure.savefig(path, pil_kwargs={"quality": 90, "method": 6})


def compose() -> NDArray[np.uint8]:
    """The picture, uint8 (h, w)."""
    digits = lenet.load_data("digits", "train")  # for hands that copy images; this one draws its digits
    material = gather_material(digits.images[:, 0].numpy(), digits.labels.numpy())
    rng = np.random.default_rng(SEED)
    return photograph(write_string(WRITTEN, "amount", material, rng, "touching"), rng).image


def show_strip(axes: Axes, strip: NDArray[np.uint8]) -> None:
    """The strip, and around one step of the network the columns that it depends on."""
    height, columns = strip.shape
    axes.imshow(strip, cmap="gray", extent=(0, columns, height, 0), aspect="auto")
    reach, apart = 1, 1  # columns that an output depends on; columns between neighbouring outputs
    for part in CONVOLUTIONS:
        reach += (part.kernel[1] + part.pooling[1] - 2) * apart
        apart *= part.pooling[1]
    left = (SEEN_STEP + 0.5) * COLUMNS_PER_STEP - reach / 2
    window = (left, 0.5), reach, height - 1
    axes.add_patch(Rectangle(*window, fill=False, edgecolor=RED, linewidth=1.2, linestyle="--"))
    seen = f"two frames depend on {reach} columns"
    axes.text(left + 0.7, height - 1.6, seen, color="#ff9d8f", fontsize=8)


def show_alignment(axes: Axes, spans: list[slice], text: tuple[int, ...], count: int) -> None:
    """The class of each frame in the most probable alignment."""
    signs = ["·"] * count
    for digit, span in zip(text, spans, strict=True):
        signs[span] = [str(digit)] * (span.stop - span.start)
    for number, sign in enumerate(signs):
        axes.text((number + 0.5) * COLUMNS_PER_FRAME, 0.5, sign, fontsize=8, ha="center", va="center")
    axes.set(xlim=(0, count * COLUMNS_PER_FRAME), ylim=(0, 1))


def colour(number: int) -> NDArray[np.float64]:
    return np.asarray(COLOURS[number % len(COLOURS)] / 255)


def label(axes: Axes, title: str, about: str, apart: float = 0.0) -> None:
    """A title and a smaller line to the left of the axes."""
    place = axes.get_position()
    middle = (place.y0 + place.y1) / 2
    for words, y, shade, size in ((title, middle + 0.012, "0", 11), (about, middle - 0.014, GREY, 8.5)):
        axes.figure.text(0.19 - apart, y, words, fontsize=size, color=shade, ha="right", va="center")


if __name__ == "__main__":
    main(DRAWN)
