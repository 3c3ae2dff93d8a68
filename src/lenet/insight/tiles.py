"""Many maps, or kernels, as one canvas, with gaps between them."""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lenet.insight.colours import Array

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
