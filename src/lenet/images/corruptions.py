"""The corruption benchmark: every kind by name, as a pure function of the images and a seed.

After Mu and Gilmer 2019, "MNIST-C: A robustness benchmark for computer vision": the same fifteen kinds with
the same strengths, written anew. Where chance comes in, other numbers are drawn than in the published files,
and the definitions here are our own, so figures are of that kind but not comparable to the last tenth;
`lenet.data.corrupted` reads the published files.

No recipe trains on any of these: a network that has met them would be examined in what it learnt by heart.
Distortions have relatives of a few, as forms and photographs do: `rulings`, `paper`, `noise`, `blur`.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet.errors import DataError
from lenet.images.framing import SIDE
from lenet.images.pixel_corruptions import (
    add_fog,
    add_impulse_noise,
    add_shot_noise,
    blur_by_motion,
    blur_through_glass,
    brighten,
    invert_stripes,
    spatter,
)
from lenet.images.stroke_corruptions import (
    draw_dotted_line,
    draw_zigzag,
    find_edges,
    rotate,
    scale,
    shear,
    translate,
)

CHUNK = 1000  # images at a time: bounds the memory, and is part of the definition
Corruption = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]
"""Ink (N, 28, 28), 0..1, to what is left of it; what leaves 0..1 is cut off afterwards."""

CORRUPTIONS: dict[str, Corruption] = {
    "shot_noise": add_shot_noise,
    "impulse_noise": add_impulse_noise,
    "glass_blur": blur_through_glass,
    "motion_blur": blur_by_motion,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brighten,
    "translate": translate,
    "stripe": invert_stripes,
    "fog": add_fog,
    "spatter": spatter,
    "dotted_line": draw_dotted_line,
    "zigzag": draw_zigzag,
    "canny_edges": find_edges,
}

IDENTITY = "identity"
"""The name of the control: images as they are. Not one of the fifteen."""


def corrupt(images: Tensor, name: str, seed: int = 0) -> Tensor:
    """Spoil images in one way.

    Args:
        images: uint8 (N, 1, 28, 28), white ink on black.
        name: one of CORRUPTIONS.
        seed: 0 or above; the same seed gives the same images, and each kind draws numbers of its own.

    Returns:
        New uint8 (N, 1, 28, 28) on the CPU. Raises DataError on another name, type or shape.
    """
    if name not in CORRUPTIONS:
        raise DataError(f"there is no corruption {name!r}; choose one of {', '.join(CORRUPTIONS)}")
    if images.dtype != torch.uint8 or images.shape[1:] != (1, SIDE, SIDE):
        raise DataError(
            f"corruptions are made for images of bytes (N, 1, {SIDE}, {SIDE}), not "
            f"{images.dtype} {tuple(images.shape)}"
        )
    generator = np.random.default_rng([seed, *name.encode()])
    chunks = [
        CORRUPTIONS[name](chunk[:, 0].numpy().astype(np.float32) / 255, generator)
        for chunk in images.cpu().split(CHUNK)
    ]
    ink = np.concatenate(chunks) if chunks else np.empty((0, SIDE, SIDE), np.float32)
    return torch.from_numpy(np.rint(255 * ink.clip(0, 1)).astype(np.uint8)).unsqueeze(1)
