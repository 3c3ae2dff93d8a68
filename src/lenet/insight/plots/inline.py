"""Filters, patches, layers and attribution as small PNGs inside a page, a pixel for each value."""

from typing import Any

import numpy as np
from torch import Tensor

from lenet.data.imageset import ImageSet
from lenet.images.inline import embed_image
from lenet.insight.activations import find_patches, trace_maps
from lenet.insight.attribution import compute_attribution
from lenet.insight.plots.canvas import Array, Colours, choose_colours, colour_patch, colour_values
from lenet.models.checkpoint import Checkpoint
from lenet.models.layers import CONVOLUTION_KINDS
from lenet.models.network import LeNet
from lenet.training.evaluation import Evaluation, compute_logits

SIGNED = (*CONVOLUTION_KINDS, "Linear", "Subsampling")  # kinds of layers with outputs on both sides of 0
MAX_MAPS = 32  # of one layer
MAX_KERNELS = 8  # of one map
PATCHES = 8


def show_filters(model: LeNet, data: ImageSet) -> list[dict[str, Any]]:
    """For each map of the first two convolutions, its kernels and the patches of `data` that activate it."""
    shown = []
    for name, kernels_of_layer in list(model.find_kernels().items())[:2]:
        weights = kernels_of_layer.numpy()
        colours = choose_colours(weights, signed=True)
        patches = find_patches(model, data.images, name, PATCHES)
        maps = [
            {
                "kernels": [embed_map(kernel, colours) for kernel in kernels[:MAX_KERNELS]],
                "patches": [
                    embed_image(np.rint(colour_patch(patch) * 255).astype(np.uint8)) for patch in row
                ],
            }
            for kernels, row in zip(weights[:MAX_MAPS], patches.images[:MAX_MAPS].numpy(), strict=True)
        ]
        shown.append(
            {
                "name": name,
                "maps": maps,
                "count": len(weights),
                "inputs": weights.shape[1],
                "max_kernels": MAX_KERNELS,
                "size": patches.images.shape[2],
                "scale": show_scale(colours),
            }
        )
    return shown


def show_examples(checkpoint: Checkpoint, data: ImageSet, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Two images of `data` in every layer, with attribution: the first right one, and the worst mistake."""
    predicted = compute_logits(checkpoint.model, data.images).argmax(dim=1)
    places = (predicted == data.labels.cpu()).nonzero().flatten()[:1].tolist()
    places += [hard.index for hard in evaluation.hardest[:1] if hard.label != hard.predicted]
    return [show_example(checkpoint, data, place) for place in places]


def show_example(checkpoint: Checkpoint, data: ImageSet, place: int) -> dict[str, Any]:
    """The outputs of each layer for one image, and the attribution to its class and to the rival."""
    image, label = data.images[place], int(data.labels[place])
    found = compute_attribution(checkpoint.model, image, label)
    traced = trace_maps(checkpoint.model, image[None])
    return {
        "index": place,
        "image": embed_image(image[0].numpy()),
        "label": checkpoint.classes[label],
        "predicted": checkpoint.classes[found.predicted],
        "probability": float(found.probabilities[found.predicted]),
        "rival": checkpoint.classes[found.rival],
        "rival_probability": float(found.probabilities[found.rival]),
        "attribution": [
            {"name": name, **_show_maps(maps, signed=True)} for name, maps in found.methods.items()
        ],
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": "×".join(map(str, layer.output_shape)),
                "is_flat": len(layer.output_shape) == 1,
                **_show_maps(
                    traced[layer.name][0], signed=layer.kind in (*CONVOLUTION_KINDS, "Linear", "Subsampling")
                ),
            }
            for layer in checkpoint.model.config.layers()
            if layer.kind not in ("Flatten", "Dropout")
        ],
    }


def embed_map(values: Array, colours: Colours) -> str:
    """A map (h, w) in a `data:` URI."""
    return embed_image(colour_values(values, colours))


def show_scale(colours: Colours) -> dict[str, Any]:
    """The bar of a scale, and the values at its ends."""
    name, low, high = colours
    return {"bar": embed_map(np.linspace(0, 1, 64)[None], (name, 0, 1)), "low": low, "high": high}


def _show_maps(values: Tensor, signed: bool) -> dict[str, Any]:
    """Maps (C, h, w) one by one, a vector as one strip of a pixel's height, and their scale."""
    maps = values.detach().double().numpy()
    colours = choose_colours(maps, signed)
    parts = maps[None, None] if maps.ndim == 1 else maps[:MAX_MAPS]
    return {"maps": [embed_map(one, colours) for one in parts], "scale": show_scale(colours)}
