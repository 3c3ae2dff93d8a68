"""One rule for the colours of all maps: red is above zero, blue below; without signs, from dark to bright."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from lenet.insight.activations import Patches, Subject, trace_maps
from lenet.insight.attribution import Attribution
from lenet.insight.plots.canvas import NOTHING, SIGNED, Array, Colours, choose_colours, save_figure
from lenet.models.network import LeNet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

MOST_MAPS = 64  # of one layer
MOST_OUTPUTS, MOST_INPUTS = 120, 64  # of the kernels of one layer


@dataclass(frozen=True, eq=False)
class Tile:
    """Maps side by side on one canvas, NaN between, and where each begins: (left, top)."""

    canvas: Array
    corners: list[tuple[int, int]]


def tile_maps(maps: Tensor, columns: int) -> Tile:
    """Maps (C, h, w) in a rectangle; a vector (C,) as cells of a strip. `columns` share the sheet's width."""
    values = maps.detach().float().numpy()
    values = values[:, None, None] if values.ndim == 1 else values[:MOST_MAPS]
    count, height, width = values.shape
    if height * width == 1:
        across, gap = min(count, 42 // columns), 0
    else:
        across, gap = min(count, 8) if columns == 1 else math.ceil(math.sqrt(count)), max(1, width // 12)
    down = -(-count // across)
    canvas = np.full((down * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    corners = [((n % across) * (width + gap), (n // across) * (height + gap)) for n in range(count)]
    for one, (left, top) in zip(values, corners, strict=True):
        canvas[top : top + height, left : left + width] = one
    return Tile(canvas, corners if count > 1 and gap else [])


def tile_filters(weights: Tensor) -> Array:
    """Kernels (outputs, inputs, k, k) as one picture, NaN between: a column an output, a row an input."""
    values = weights[:MOST_OUTPUTS, :MOST_INPUTS].numpy()
    outputs, inputs, side, _ = values.shape
    canvas = np.full((inputs * (side + 1) - 1, outputs * (side + 1) - 1), np.nan)
    for column, kernels in enumerate(values):
        for row, kernel in enumerate(kernels):
            top, left = row * (side + 1), column * (side + 1)
            canvas[top : top + side, left : left + side] = kernel
    return canvas


def draw_layers(
    model: LeNet,
    subjects: Sequence[Subject],
    path: Path,
    title: str = "",
    classes: Sequence[str] = (),
    difference: tuple[str, dict[str, Tensor]] | None = None,
    layers: Sequence[str] | None = None,
) -> None:
    """Draw what leaves each layer, a row a layer and a column a subject, whose scale is the row's.

    `classes` name the outputs. `difference` adds a column of its own scale, named so: signed maps (C, h, w)
    by layer. `layers` are those to draw, by default all.
    """
    traces = [trace_maps(model, subject.image[None]) for subject in subjects]
    names = [name for name in traces[0] if not name.startswith(("flatten", "dropout"))]
    names = [name for name in names if layers is None or name in layers or name == "input"]
    columns = len(subjects) + (difference is not None)
    rows = [[tile_maps(maps[name][0], columns) for maps in traces] for name in names]
    shapes = [row[0].canvas.shape for row in rows]
    heights = [max(0.35, min(2.4, 10.5 / columns * height / width)) for height, width in shapes]
    figure = _figure(12, sum(heights) + 0.42 * len(rows) + 0.7, 0.04)
    figure.suptitle(_headed(title, "Each row has its own scale, beside it. Red: above 0, blue: below 0."))
    cells = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    kinds = {layer.name: layer.kind for layer in model.config.layers()}
    for name, row, across in zip(names, rows, cells, strict=True):
        colours = choose_colours(np.concatenate([tile.canvas.ravel() for tile in row]))
        if name == "input":
            values = [tile.canvas for tile in row]
            colours = ("gray", float(min(map(np.nanmin, values))), float(max(map(np.nanmax, values))))
        for axes, tile in zip(across, row, strict=False):
            shown = _show_tile(axes, tile, colours)
        _add_bar(figure, shown, list(across[: len(row)]))
        _name(across[0], f"{name}\n{kinds.get(name, 'as prepared')}\n{_shape(traces[0][name][0])}")
        if difference is not None and name in difference[1]:
            tile = tile_maps(difference[1][name], columns)
            shown = _show_tile(across[-1], tile, choose_colours(tile.canvas, signed=True))
            _add_bar(figure, shown, [across[-1]])
        elif difference is not None:
            across[-1].axis("off")
    for axes, heading in zip(cells[0], [*(s.name for s in subjects), *(difference or ())[:1]], strict=True):
        axes.set_title(heading, fontsize=10)
    if classes and len(classes) * columns <= 40 and "output" in names:
        for axes in cells[-1, : len(subjects)]:
            axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
            axes.tick_params(length=0, labelsize=8)
    save_figure(figure, path)


def draw_filters(model: LeNet, path: Path, title: str = "") -> None:
    """Draw the kernels of each convolution: a column for each map it makes, a row for each map it sees."""
    convolutions = [(name, layer) for name, layer in model.named_children() if isinstance(layer, nn.Conv2d)]
    grids = [tile_filters(layer.weight.detach().cpu()) for _, layer in convolutions]
    heights = [max(1.1, min(5.0, 11 * grid.shape[0] / max(grid.shape[1], 60))) for grid in grids]
    figure = _figure(12, sum(heights) + 0.8 * len(grids) + 0.6)
    figure.suptitle(
        _headed(title, "Red: ink there raises the map's answer; blue: ink there lowers it; white: no matter.")
    )
    for place, ((name, layer), grid) in enumerate(zip(convolutions, grids, strict=True), 1):
        axes = figure.add_subplot(len(grids), 1, place)
        figure.colorbar(
            _show(axes, grid, choose_colours(grid.ravel(), signed=True)), ax=axes, pad=0.01, aspect=12
        )
        outputs, inputs, side, _ = layer.weight.shape
        shown = [min(outputs, MOST_OUTPUTS), min(inputs, MOST_INPUTS)]
        _number(axes.set_xticks, shown[0], side)
        _number(axes.set_yticks, shown[1], side)
        cut = "" if shown == [outputs, inputs] else f"; the first {shown[0]} of {outputs} are shown"
        axes.set_title(f"{name}: {outputs} maps, {side}×{side} over {inputs} each{cut}", fontsize=10)
        axes.set(xlabel="map that it makes", ylabel="map that it sees")
    save_figure(figure, path)


def draw_attribution(
    subjects: Sequence[Subject],
    evidence: Sequence[Attribution],
    classes: Sequence[str],
    path: Path,
    title: str = "",
    patch: int = 5,
) -> None:
    """Draw what speaks for each subject's class and for its rival, and what tells the two apart."""
    figure = _figure(10.5, 6.6 * len(subjects) + 0.8)
    figure.suptitle(
        _headed(
            title, "In logits. Red speaks for the class, blue against it; the line is the image's outline."
        )
    )
    parts = figure.subfigures(len(subjects), 1, squeeze=False)[:, 0]
    for part, subject, weighed in zip(parts, subjects, evidence, strict=True):
        first, second = (classes[number] for number in (weighed.predicted, weighed.rival))
        shares = [float(weighed.probabilities[number]) for number in (weighed.predicted, weighed.rival)]
        part.suptitle(f"{subject.name}: {first} {shares[0]:.1%}, {second} {shares[1]:.1%}", fontsize=11)
        cells = part.subplots(3, 4)
        image = subject.image[0].numpy()
        columns = (
            ("gradient:\nmore ink here would add", weighed.gradient),
            ("gradient × ink:\nthe ink here adds", weighed.contribution),
            (f"occlusion:\na cover of {patch}×{patch} takes away", weighed.occlusion),
        )
        for axes, name in zip(cells[:, 0], (first, second, f"{first}, not {second}"), strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            _name(axes, f"for\n{name}")
        for place, (heading, maps) in enumerate(columns, 1):
            both = [*maps.numpy(), (maps[0] - maps[1]).numpy()]
            colours = choose_colours(np.concatenate([one.ravel() for one in both]), signed=True)
            for axes, one in zip(cells[:, place], both, strict=True):
                shown = _show(axes, one, colours)
                if image.min() < 128 <= image.max():
                    axes.contour(image, [127.5], colors="0.35", linewidths=0.6)
            part.colorbar(shown, ax=cells[:, place], location="bottom", pad=0.02, aspect=25, shrink=0.9)
            cells[0, place].set_title(heading, fontsize=9)
    save_figure(figure, path)


def draw_patches(patches: Sequence[Patches], data: str, path: Path, title: str = "") -> None:
    """Draw, for every map of some layers, the patches that it answers to most, the strongest first."""
    rows = max(len(layer.images) for layer in patches)
    figure = _figure(6 * len(patches), 0.42 * rows + 1.6)
    figure.suptitle(
        _headed(title, f"The parts of {data} that each map answers to most, the strongest first.")
    )
    figure.supxlabel("white: ink, black: background, blue-grey: beyond the image", fontsize=9)
    for axes, layer in zip(figure.subplots(1, len(patches), squeeze=False)[0], patches, strict=True):
        maps = layer.images.numpy()
        count, size = maps.shape[1], maps.shape[2]
        gap = max(1, size // 8)
        canvas = np.full(((size + gap) * len(maps) - gap, (size + gap) * count - gap, 3), NOTHING)
        for row, strip in enumerate(maps):
            for column, patch in enumerate(strip):
                cell = np.repeat(patch.clip(0, 1)[..., None], 3, axis=2)
                cell[np.isnan(patch)] = NOTHING
                top, left = row * (size + gap), column * (size + gap)
                canvas[top : top + size, left : left + size] = cell
        axes.imshow(canvas, interpolation="nearest", aspect="equal")
        axes.spines[:].set_visible(False)
        answers = [f"{number}   ({best:.2f})" for number, best in enumerate(layer.answers[:, 0].tolist(), 1)]
        axes.set_yticks([(size + gap) * n + (size - 1) / 2 for n in range(len(maps))], answers, fontsize=8)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.set_title(f"{layer.layer}: {size}×{size} pixels each", fontsize=10)
        axes.set_ylabel("map (its strongest answer)", fontsize=9)
    save_figure(figure, path)


def _show_tile(axes: "Axes", tile: Tile, colours: Colours) -> "AxesImage":
    """Show a canvas; number its maps from 1, as the filters' columns are."""
    axes.spines[:].set_visible(False)
    ink = "0.25" if colours[0] == SIGNED else "white"
    for number, (left, top) in enumerate(tile.corners, 1):
        axes.text(left, top, str(number), fontsize=6, color=ink, ha="left", va="top")
    return _show(axes, tile.canvas, colours)


def _add_bar(figure: "Figure", shown: "AxesImage", cells: "list[Axes]") -> None:
    figure.colorbar(shown, ax=cells, pad=0.01, aspect=12, shrink=0.95)
    for axes in cells:
        axes.set_anchor("C")


def _show(axes: "Axes", values: Array, colours: Colours) -> "AxesImage":
    cmap, least, most = colours
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_linewidth(0.4)
    return axes.imshow(values, cmap=cmap, vmin=least, vmax=most, interpolation="nearest")


def _number(set_ticks: Callable[..., object], count: int, side: int) -> None:
    step = 1 if count <= 20 else 10
    numbers = range(0, count, step)
    set_ticks([n * (side + 1) + (side - 1) / 2 for n in numbers], [str(n + 1) for n in numbers], fontsize=7)


def _name(axes: "Axes", text: str) -> None:
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9)


def _shape(maps: Tensor) -> str:
    return "×".join(map(str, maps.shape))


def _headed(title: str, legend: str) -> str:
    return f"{title}\n{legend}" if title else legend


def _figure(width: float, height: float, apart: float = 0.02) -> "Figure":
    from matplotlib.figure import Figure  # a second to import, needed only here
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(wspace=apart, hspace=apart)
    return Figure(figsize=(width, height), dpi=110, layout=layout)
