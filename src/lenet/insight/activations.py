"""The outputs of each layer, the receptive field of a map, and the patches that activate it most."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenet.models.config import LeNetConfig
from lenet.models.layers import CONVOLUTION_KINDS, POOL, POOLING_KINDS
from lenet.models.network import LeNet
from lenet.models.preprocessing import fit_within
from lenet.training.evaluation import BATCH

PATCHES = 9
MAX_MAPS = 64  # of one layer, whose patches are looked for


@dataclass(frozen=True, eq=False)
class Subject:
    """One image, uint8 (1, H, W), its name, and its class, where that is known."""

    name: str
    image: Tensor
    label: str | None = None
    probabilities: tuple[float, ...] | None = None
    """Of each class, where a reader has read the image: the ones that `lenet predict` reports."""


@dataclass(frozen=True)
class ReceptiveField:
    """The square of the network's input that one output of a layer depends on.

    The output at (row, column) depends on `size` pixels a side, from `stride` * row + `start` and
    `stride` * column + `start` on; below 0 and beyond the input lies the padding.
    """

    size: int
    stride: int
    start: int


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches with the highest activation of each map, at most one of each image, the highest first.

    Of more than 64 maps, the first 64.
    """

    layer: str
    images: Tensor
    """float (maps, count, size, size), 0 background to 1 full ink; NaN where the padding begins."""
    answers: Tensor
    """float (maps, count): the activations."""
    indices: Tensor
    """int64 (maps, count): the images that they come from."""


def trace_maps(model: LeNet, images: Tensor) -> dict[str, Tensor]:
    """The outputs of each layer for images (N, 1, H, W), by its name and in order, on the CPU.

    'input' is the prepared images; the last is the logits (N, classes). The model keeps its mode.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return {name: maps.cpu() for name, maps in model.trace(images.to(device)).items()}
    finally:
        model.train(was_training)


def describe_layers(maps: dict[str, Tensor], place: int) -> list[dict[str, Any]]:
    """For each layer of `trace_maps`, of the image at `place`: shape, range, mean, share of zeros."""
    rows = []
    for name, values in maps.items():
        one = values[place].double()
        low, high = one.min().item(), one.max().item()
        rows.append(
            {
                "name": name,
                "shape": list(one.shape),
                "minimum": low,
                "maximum": high,
                "least": low,  # the earlier names, which programs may read
                "most": high,
                "mean": one.mean().item(),
                "zeros": (one == 0).double().mean().item(),
            }
        )
    return rows


def find_receptive_field(config: LeNetConfig, layer: str) -> ReceptiveField:
    """The receptive field of a convolution, or of the activation or pooling behind it.

    Raises KeyError for dense layers, which see all of the input, and for names of no layer.
    """
    size, stride, start = 1, 1, 0
    for row in config.layers():
        if row.kind in CONVOLUTION_KINDS:
            is_strided = row.kind == "StridedConv2d"
            start -= stride * (config.padding if row.name == "conv1" or is_strided else 0)
            size += (config.kernel_size - 1) * stride
            stride *= POOL if is_strided else 1
        elif row.kind in POOLING_KINDS.values():
            size += (POOL - 1) * stride
            stride *= POOL
        elif row.kind == "Flatten":
            break
        if row.name == layer:
            return ReceptiveField(size, stride, start)
    raise KeyError(layer)


def find_patches(model: LeNet, images: Tensor, layer: str, count: int = PATCHES) -> Patches:
    """The parts of `images` (N, 1, H, W) that activate the maps of a convolution most.

    Of each image only its highest activation counts, so that `count` images are seen (N, if that is less).
    """
    field = find_receptive_field(model.config, layer)
    peaks, places = [], []
    for batch in images.split(BATCH):
        maps = trace_maps(model, batch)[layer][:, :MAX_MAPS]  # (n, maps, h, w)
        width = maps.shape[3]
        peak, place = maps.flatten(2).max(dim=2)
        peaks.append(peak)
        places.append(place)
    answers, indices = torch.cat(peaks).T.topk(min(count, len(images)), dim=1)  # (maps, count)
    strongest = torch.cat(places).T.gather(1, indices)
    crops = [
        torch.stack(
            [
                crop_input(model, images[index], field, place // width, place % width)
                for index, place in zip(row, spots, strict=True)
            ]
        )
        for row, spots in zip(indices.tolist(), strongest.tolist(), strict=True)
    ]
    return Patches(layer, torch.stack(crops), answers, indices)


def crop_input(model: LeNet, image: Tensor, field: ReceptiveField, row: int, column: int) -> Tensor:
    """The receptive field of (row, column) in an image (1, H, W): (size, size) in 0..1, NaN for padding."""
    config = model.config
    with torch.inference_mode():
        pixels = fit_within(image[None].cpu(), config)[0, 0]
    top, left = (field.stride * place + field.start for place in (row, column))
    crop = torch.full((field.size, field.size), float("nan"))
    side = config.input_size
    rows = slice(max(top, 0), min(top + field.size, side))
    columns = slice(max(left, 0), min(left + field.size, side))
    crop[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = pixels[
        rows, columns
    ]
    return crop
