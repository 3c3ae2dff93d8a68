"""The corruption benchmark: each kind by name, a pure function of the images and a seed.

After Mu and Gilmer 2019, "MNIST-C: A robustness benchmark for computer vision": the same fifteen kinds with
the same strengths, implemented again. The random numbers and details differ from the published files, so
accuracies are similar but not equal; `lenet.data.corrupted` reads the published files.

No recipe trains on these corruptions, so that the benchmark measures robustness to unseen ones. Some
distortions of training are related to them: `ruled_lines`, `paper`, `noise`, `blur`.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet.errors import DataError
from lenet.images.affine import rotate, scale, shear, translate
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
from lenet.images.stroke_corruptions import draw_dotted_line, draw_zigzag, find_edges

CHUNK = 1000  # images at a time: bounds the memory, and determines the random numbers
Corruption = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]
"""Maps ink (N, 28, 28), 0..1, to corrupted ink; values outside 0..1 are clipped afterwards."""

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
"""The name of the uncorrupted images. Not one of the fifteen kinds."""


def corrupt(images: Tensor, name: str, seed: int = 0) -> Tensor:
    """Apply one corruption to images.

    Args:
        images: uint8 (N, 1, 28, 28), white ink on black.
        name: one of CORRUPTIONS.
        seed: 0 or above; the same seed gives the same images. Each kind has its own random stream.

    Returns:
        New uint8 (N, 1, 28, 28) on the CPU. Raises DataError for another name, type or shape.
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
