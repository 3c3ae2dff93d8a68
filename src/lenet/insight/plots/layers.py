"""Figures of a network at work: layers, filters, attribution, and patches; with one rule for colours.

Red is above zero and blue below; values without a sign go from dark to bright.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lenet.insight.activations import Patches, Subject, trace_maps
from lenet.insight.attribution import Attribution
from lenet.insight.language import say, translate_text
from lenet.insight.plots.canvas import (
    PADDING,
    Array,
    Colours,
    choose_colours,
    choose_rotation,
    colour_patch,
    make_figure,
    name_row,
    save_figure,
    show_image,
    show_values,
)
from lenet.models.network import LeNet
from lenet.phrases import ClassName, Phrase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MAX_MAPS = 64  # of one layer
MAX_OUTPUTS, MAX_INPUTS = 120, 64  # of the kernels of one layer


@dataclass(frozen=True, eq=False)
class Tile:
    """Maps side by side on one canvas, NaN between, and where each begins: (left, top)."""

    canvas: Array
    corners: list[tuple[int, int]]


def tile_maps(maps: Tensor, columns: int) -> Tile:
    """Maps (C, h, w) in a rectangle, with room for a number above each; a vector (C,) as cells of a strip.

    `columns` of the figure share its width.
    """
    values = maps.detach().float().numpy()
    values = values[:, None, None] if values.ndim == 1 else values[:MAX_MAPS]
    count, height, width = values.shape
    if height * width == 1:
        across, gap, above = min(count, 42 // columns), 0, 0
    else:
        across = min(count, 8) if columns == 1 else math.ceil(math.sqrt(count))
        gap, above = max(1, width // 12), math.ceil(height * max(0.14, 0.025 * across * min(columns, 3)))
    down = -(-count // across)
    canvas = np.full((down * (height + above) - above, across * (width + gap) - gap), np.nan)
    corners = [((n % across) * (width + gap), (n // across) * (height + above)) for n in range(count)]
    for one, (left, top) in zip(values, corners, strict=True):
        canvas[top : top + height, left : left + width] = one
    return Tile(canvas, corners if count > 1 and gap else [])


def tile_filters(weights: Tensor) -> Array:
    """Kernels (outputs, inputs, k, k) as one image, NaN between: a column for each output, a row an input."""
    values = weights[:MAX_OUTPUTS, :MAX_INPUTS].numpy()
    outputs, inputs, side, _ = values.shape
    padded = np.pad(values, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
    return padded.transpose(1, 2, 0, 3).reshape(inputs * (side + 1), outputs * (side + 1))[:-1, :-1]


def draw_layers(
    model: LeNet,
    subjects: Sequence[Subject],
    path: Path,
    title: str = "",
    classes: Sequence[str] = (),
    difference: tuple[str, dict[str, Tensor]] | None = None,
    layers: Sequence[str] | None = None,
) -> None:
    """Draw the outputs of each layer: a row for each layer, with a scale of its own; a column for a subject.

    `classes` name the outputs. `difference` adds a named column with scales of its own: signed maps
    (C, h, w) by layer. `layers` are those to draw, by default all.
    """
    traces = [trace_maps(model, subject.image[None]) for subject in subjects]
    names = [name for name in traces[0] if not name.startswith(("flatten", "dropout"))]
    names = [name for name in names if layers is None or name in layers or name == "input"]
    columns = len(subjects) + (difference is not None)
    rows = [[tile_maps(maps[name][0], columns) for maps in traces] for name in names]
    shapes = [row[0].canvas.shape for row in rows]
    heights = [max(0.35, min(2.4, 10.5 / columns * height / width)) for height, width in shapes]
    legend = say("Each row has its own scale, beside it. Red: above 0, blue: below 0.")
    height = sum(heights) + 0.42 * len(rows) + 0.7
    figure = make_figure(12, height, f"{translate_text(title)}\n{legend}".strip(), 0.04)
    cells = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    kinds = {layer.name: layer.kind for layer in model.config.layers()}
    for name, row, across in zip(names, rows, cells, strict=True):
        colours = choose_colours(np.concatenate([tile.canvas.ravel() for tile in row]))
        if name == "input":
            values = [tile.canvas for tile in row]
            colours = ("gray", float(min(map(np.min, values))), float(max(map(np.max, values))))
        _show_row(across[: len(row)], row, colours)
        shape = "×".join(map(str, traces[0][name][0].shape))
        heading = f"{name}\n{kinds[name]}" if name in kinds else say("input\nas prepared")
        name_row(across[0], f"{heading}\n{shape}")
        if difference is not None and name in difference[1]:
            tile = tile_maps(difference[1][name], columns)
            _show_row(across[-1:], [tile], choose_colours(tile.canvas, signed=True))
        elif difference is not None:
            across[-1].axis("off")
    for axes, heading in zip(cells[0], [*(s.name for s in subjects), *(difference or ())[:1]], strict=True):
        axes.set_title(translate_text(heading), fontsize=10)
    classes = [translate_text(ClassName(name)) for name in classes]
    if classes and len(classes) * columns <= 40 and "output" in names:
        for axes in cells[-1, : len(subjects)]:
            axes.set_xticks(range(len(classes)), classes, rotation=choose_rotation(classes))
            axes.tick_params(length=0, labelsize=8)
    save_figure(figure, path)


def draw_filters(model: LeNet, path: Path, title: str = "") -> None:
    """Draw the kernels of each convolution: a column for each output map, a row for each input map."""
    convolutions = model.find_kernels()
    grids = [tile_filters(kernels) for kernels in convolutions.values()]
    heights = [max(1.1, min(5.0, 11 * grid.shape[0] / max(grid.shape[1], 60))) for grid in grids]
    legend = say("Red: ink there raises the map's activation; blue: ink there lowers it; white: no effect.")
    height = sum(heights) + 0.8 * len(grids) + 0.6
    figure = make_figure(12, height, f"{translate_text(title)}\n{legend}".strip())
    for place, ((name, kernels), grid) in enumerate(zip(convolutions.items(), grids, strict=True), 1):
        axes = figure.add_subplot(len(grids), 1, place)
        shown = show_values(axes, grid, choose_colours(grid, signed=True))
        figure.colorbar(shown, ax=axes, pad=0.01, aspect=12)
        outputs, inputs, side, _ = kernels.shape
        kept = [min(outputs, MAX_OUTPUTS), min(inputs, MAX_INPUTS)]
        _number(axes.set_xticks, kept[0], side)
        _number(axes.set_yticks, kept[1], side)
        heading = Phrase(
            "{layer}: {outputs} maps, {side}×{side} over {inputs} each",
            layer=name, outputs=outputs, side=side, inputs=inputs,
        )  # fmt: skip
        if kept != [outputs, inputs]:
            cut = "{heading}; the first {shown} of {count} are shown"
            heading = Phrase(cut, heading=heading, shown=kept[0], count=outputs)
        axes.set_title(translate_text(heading), fontsize=10)
        axes.set(xlabel=say("output map"), ylabel=say("input map"))
    save_figure(figure, path)


def draw_attribution(
    subjects: Sequence[Subject],
    attributions: Sequence[Attribution],
    classes: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
    """Draw the attribution of each subject to its class and to its rival, and the difference of the two."""
    legend = say(
        "In logits. Red speaks for the class, blue against it; the line is the outline of the image."
    )
    figure = make_figure(10.5, 6.6 * len(subjects) + 0.8, f"{translate_text(title)}\n{legend}".strip())
    parts = figure.subfigures(len(subjects), 1, squeeze=False)[:, 0]
    for part, subject, found in zip(parts, subjects, attributions, strict=True):
        pair = (found.predicted, found.rival)
        first, second = (translate_text(ClassName(classes[number])) for number in pair)
        caption = Phrase(
            "{name}: {first} {share:.1%}, {second} {rival:.1%}",
            name=subject.name,
            first=first,
            second=second,
            share=float(found.probabilities[found.predicted]),
            rival=float(found.probabilities[found.rival]),
        )
        part.suptitle(translate_text(caption), fontsize=11)
        cells = part.subplots(3, 4)
        image = subject.image[0].numpy()
        headings = [
            say("for\n{name}", name=first),
            say("for\n{name}", name=second),
            say("for\n{first}, not {second}", first=first, second=second),
        ]
        for axes, heading in zip(cells[:, 0], headings, strict=True):
            show_image(axes, image)
            name_row(axes, heading)
        for place, (method, maps) in enumerate(found.methods.items(), 1):
            colours = choose_colours(maps.numpy(), signed=True)
            for axes, one in zip(cells[:, place], maps.numpy(), strict=True):
                shown = show_values(axes, one, colours)
                if image.min() < 128 <= image.max():
                    axes.contour(image, [127.5], colors="0.35", linewidths=0.6)
            part.colorbar(shown, ax=cells[:, place], location="bottom", pad=0.02, aspect=25, shrink=0.9)
            cells[0, place].set_title(translate_text(method), fontsize=9)
    save_figure(figure, path)


def draw_patches(patches: Sequence[Patches], data: str, path: Path, title: str = "") -> None:
    """Draw, for every map of some layers, the patches with its highest activations, the highest first."""
    rows = max(len(layer.images) for layer in patches)
    legend = say("The parts of {data} that activate each map most, the highest activation first.", data=data)
    figure = make_figure(6 * len(patches), 0.42 * rows + 1.6, f"{translate_text(title)}\n{legend}".strip())
    figure.supxlabel(say("white: ink, black: background, blue-grey: beyond the image"), fontsize=9)
    for axes, layer in zip(figure.subplots(1, len(patches), squeeze=False)[0], patches, strict=True):
        count, size = layer.images.shape[1:3]
        gap = max(1, size // 8)
        canvas = np.full(((size + gap) * len(layer.images) - gap, (size + gap) * count - gap, 3), PADDING)
        for row, strip in enumerate(layer.images.numpy()):
            for column, patch in enumerate(strip):
                top, left = row * (size + gap), column * (size + gap)
                canvas[top : top + size, left : left + size] = colour_patch(patch)
        axes.imshow(canvas, interpolation="nearest", aspect="equal")
        axes.spines[:].set_visible(False)
        names = [f"{number}   ({best:.2f})" for number, best in enumerate(layer.answers[:, 0].tolist(), 1)]
        axes.set_yticks([(size + gap) * n + (size - 1) / 2 for n in range(len(names))], names, fontsize=8)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.set_title(say("{layer}: {size}×{size} pixels each", layer=layer.layer, size=size), fontsize=10)
        axes.set_ylabel(say("map (its maximum)"), fontsize=9)
    save_figure(figure, path)


def _show_row(cells: "Sequence[Axes]", tiles: Sequence[Tile], colours: Colours) -> None:
    """Tiles of one scale, their bar beside them, and above each map its number from 1."""
    shown: AxesImage
    for axes, tile in zip(cells, tiles, strict=True):
        axes.spines[:].set_visible(False)
        for number, (left, top) in enumerate(tile.corners, 1):
            axes.text(left - 0.5, top - 0.5, str(number), fontsize=8, color="0.2", ha="left", va="bottom")
        shown = show_values(axes, tile.canvas, colours)
    axes.figure.colorbar(shown, ax=list(cells), pad=0.01, aspect=12, shrink=0.95)
    for axes in cells:
        axes.set_anchor("C")  # the bar moves it


def _number(set_ticks: Callable[..., object], count: int, side: int) -> None:
    step = 1 if count <= 20 else 10
    numbers = range(0, count, step)
    set_ticks([n * (side + 1) + (side - 1) / 2 for n in numbers], [str(n + 1) for n in numbers], fontsize=7)
