"""Small pictures that travel inside a page: arrays as PNG in `data:` URIs."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from lenet.data.imageset import ImageSet
from lenet.insight.activations import find_patches, trace_maps
from lenet.insight.attribution import compute_attribution
from lenet.insight.plots.canvas import NOTHING, Colours, choose_colours
from lenet.models.checkpoint import Checkpoint
from lenet.models.network import LeNet
from lenet.training.evaluation import Evaluation, compute_logits


def encode_image(image: Tensor) -> str:
    """An image, uint8 (1, H, W), as it is."""
    return _encode(image[0].numpy())


def encode_patch(patch: Tensor) -> str:
    """A patch (h, w) of 0..1; NaN, beyond the image, comes out blue-grey."""
    values = patch.numpy()
    pixels = np.repeat(values.clip(0, 1)[..., None], 3, axis=2)
    pixels[np.isnan(values)] = NOTHING
    return _encode(np.rint(pixels * 255).astype(np.uint8))


def encode_map(values: Tensor, colours: Colours) -> str:
    """A map (h, w), a pixel a value."""
    import matplotlib

    name, least, most = colours
    shares = (values.detach().double().numpy() - least) / (most - least)
    return _encode(matplotlib.colormaps[name](shares, bytes=True)[..., :3])


def encode_scale(colours: Colours) -> str:
    """The bar that belongs to the colours, from the least value on the left to the most."""
    import matplotlib

    return _encode(matplotlib.colormaps[colours[0]](np.linspace(0, 1, 64)[None], bytes=True)[..., :3])


def _encode(pixels: NDArray[np.uint8]) -> str:
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


MOST_MAPS = 32  # of one layer
MOST_KERNELS = 8  # of one map
PATCHES = 8


def show_filters(model: LeNet, data: ImageSet) -> list[dict[str, Any]]:
    """Of the first two convolutions, each map's kernels and the patches of `data` it answers to most."""
    shown = []
    for name, layer in [(n, part) for n, part in model.named_children() if isinstance(part, nn.Conv2d)][:2]:
        weights = layer.weight.detach().cpu()
        colours = choose_colours(weights.numpy(), signed=True)
        patches = find_patches(model, data.images, name, PATCHES)
        maps = [
            {
                "kernels": [encode_map(kernel, colours) for kernel in kernels[:MOST_KERNELS]],
                "patches": [encode_patch(patch) for patch in row],
                "answer": answers[0].item(),
            }
            for kernels, row, answers in zip(
                weights[:MOST_MAPS], patches.images[:MOST_MAPS], patches.answers, strict=False
            )
        ]
        shown.append(
            {
                "name": name,
                "maps": maps,
                "count": len(weights),
                "inputs": weights.shape[1],
                "most_kernels": MOST_KERNELS,
                "side": weights.shape[2],
                "size": patches.images.shape[2],
                "scale": _show_scale(colours),
            }
        )
    return shown


def show_examples(checkpoint: Checkpoint, data: ImageSet, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Two images of `data` in every layer, with the evidence: the first read right and the worst mistake."""
    predicted = compute_logits(checkpoint.model, data.images).argmax(dim=1)
    right = (predicted == data.labels.cpu()).nonzero().flatten()
    places = right[:1].tolist()
    places += [hard.index for hard in evaluation.hardest[:1] if hard.label != hard.predicted]
    return [show_example(checkpoint, data, place) for place in places]


def show_example(checkpoint: Checkpoint, data: ImageSet, place: int) -> dict[str, Any]:
    """One image on its way through the network, and what speaks for its class and for the rival."""
    image, label = data.images[place], int(data.labels[place])
    evidence = compute_attribution(checkpoint.model, image, label)
    kinds = {layer.name: layer.kind for layer in checkpoint.model.config.layers()}
    layers = []
    for name, maps in trace_maps(checkpoint.model, image[None]).items():
        if name.startswith(("input", "flatten", "dropout")):
            continue
        values = maps[0]
        is_signed = kinds[name] in ("Conv2d", "Linear")
        colours = choose_colours(values.numpy(), is_signed)
        layers.append(
            {
                "name": name,
                "kind": kinds[name],
                "shape": "×".join(map(str, values.shape)),
                "maps": [encode_map(one, colours) for one in _split(values)],
                "is_flat": values.ndim == 1,
                "scale": _show_scale(colours),
            }
        )
    first, second = (checkpoint.classes[number] for number in (evidence.predicted, evidence.rival))
    weighed = []
    for name, maps in (
        ("more ink there would add (gradient)", evidence.gradient),
        ("the ink there adds (gradient × ink)", evidence.contribution),
        ("covering it takes away (occlusion)", evidence.occlusion),
    ):
        rows = [*maps, maps[0] - maps[1]]
        colours = choose_colours(np.stack([row.numpy() for row in rows]), signed=True)
        weighed.append(
            {
                "name": name,
                "maps": [encode_map(row, colours) for row in rows],
                "scale": _show_scale(colours),
            }
        )
    return {
        "index": place,
        "image": encode_image(image),
        "label": checkpoint.classes[label],
        "predicted": first,
        "probability": float(evidence.probabilities[evidence.predicted]),
        "rival": second,
        "rival_probability": float(evidence.probabilities[evidence.rival]),
        "evidence": weighed,
        "layers": layers,
    }


def _split(values: Tensor) -> list[Tensor]:
    """Maps (C, h, w) one by one; a vector as one strip of a pixel's height."""
    return [values[None]] if values.ndim == 1 else list(torch.unbind(values[:MOST_MAPS]))


def _show_scale(colours: Colours) -> dict[str, Any]:
    return {"bar": encode_scale(colours), "least": colours[1], "most": colours[2]}
