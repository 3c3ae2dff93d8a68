"""Convolution + bias, activation and 2×2 pooling, several times, as one operator.

    features = run_convolutions(images, [(conv1.weight, conv1.bias), (conv2.weight, conv2.bias)],
                                padding=2, activation="relu", pooling="max")          # (N, 16, 5, 5)

On the CPU and in float32 the C++ kernel computes it, elsewhere PyTorch's own operators do (see operators.py).
The two agree to rounding: a few 1e-6 of the largest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lenet.kernels.library import ACTIVATIONS, POOLINGS, integers, load_library
from lenet.kernels.operators import Backend, KernelPlan, Operator, Settings, Sizes, find_activation, halve
from lenet.kernels.tensors import call, contiguous, lend, pointer, pointers

MINIMUM_BATCH = 6
"""Without gradients; the kernel always computes 8 or 16 images at once, so for fewer PyTorch is faster."""
MAXIMUM_KERNEL = 11  # for larger ones, other algorithms are faster


class BackendChoice(NamedTuple):
    """Who computes, and why."""

    name: str
    """avx512, avx2 or baseline for the kernel, 'torch' for PyTorch's operators."""
    reason: str


def run_convolutions(
    images: Tensor,
    layers: Sequence[tuple[Tensor, Tensor]],
    *,
    padding: int = 0,
    activation: str = "relu",
    pooling: str = "max",
) -> Tensor:
    """Convolution + bias, activation and 2×2 pooling with stride 2, once for each layer.

    Args:
        images: (N, C, H, W), floats.
        layers: weight (outputs, inputs, k, k) and bias (outputs,) of each convolution.
        padding: zeros around the input of the first convolution; the others have none.
        activation: identity, relu, tanh or sigmoid, or the name of another in torch.nn.functional.
        pooling: max, avg or none. A map of which a side is one pixel is not pooled; the odd last row or
            column is dropped, and of several largest pixels the first in reading order gets the gradient, as
            in PyTorch.

    Returns:
        Features (N, outputs of the last layer, rows, columns), differentiable in images, weights and biases.
        Raises ValueError or RuntimeError where shapes, types or names do not fit together.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; it must be one of {', '.join(POOLINGS)}")
    weights, biases = [weight for weight, _ in layers], [bias for _, bias in layers]
    return _convolutions(images, weights, biases, padding, activation, pooling)


def explain_backend(images: Tensor | None = None) -> BackendChoice:
    """Who computes `run_convolutions` on this machine, of these images if given, and why."""
    library, name = load_library()
    if library is None:
        return BackendChoice("torch", name)
    if images is not None and images.device.type != "cpu":
        return BackendChoice("torch", f"the kernel is for the CPU, the images are on {images.device}")
    if images is not None and images.dtype != torch.float32:
        return BackendChoice("torch", f"the kernel computes in float32, the images are {images.dtype}")
    if images is not None and len(images) < MINIMUM_BATCH:
        return BackendChoice("torch", f"fewer than {MINIMUM_BATCH} images")
    return BackendChoice(name, "fused kernel")


def convolve_reference(
    images: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    padding: int,
    activation: str,
    pooling: str,
) -> Tensor:
    """What the kernel computes, in PyTorch's own operators."""
    activate = find_activation(activation)
    maps = images
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        maps = functional.conv2d(maps, weight, bias, padding=0 if number else padding)
        maps = activate(maps)
        if pooling != "none" and min(maps.shape[2:]) > 1:
            maps = (functional.max_pool2d if pooling == "max" else functional.avg_pool2d)(maps, 2)
    return maps


@lru_cache(maxsize=512)
def supports_convolutions(sizes: Sizes, settings: Settings) -> KernelPlan | None:
    """The plan; None where the shapes do not fit together, the kernel cannot do it, or PyTorch is faster."""
    library = load_library()[0]
    images, (weights, biases), (padding, activation, pooling) = sizes[0], halve(sizes[1:]), settings
    if library is None or activation not in ACTIVATIONS or pooling not in POOLINGS:
        return None
    if len(images) != 4 or padding < 0 or min(images) < 1 or not 0 < len(weights) == len(biases):
        return None
    channels, height, width = images[1], images[2] + 2 * padding, images[3] + 2 * padding
    numbers = [*images, padding, ACTIVATIONS.index(activation), POOLINGS.index(pooling), len(weights)]
    for weight, bias in zip(weights, biases, strict=True):
        if len(weight) != 4 or weight[1] != channels or weight[2] != weight[3] or bias != weight[:1]:
            return None
        channels, kernel = weight[0], weight[2]
        if not 1 <= kernel <= min(height, width, MAXIMUM_KERNEL) or channels < 1:
            return None
        height, width = height - kernel + 1, width - kernel + 1
        if pooling != "none" and min(height, width) > 1:
            height, width = height // 2, width // 2
        numbers += [channels, kernel]
    array = integers(numbers)
    saved_size = library.lenet_convolution_saved_size(array)
    if saved_size < 0:
        return None
    return KernelPlan((images[0], channels, height, width), ((saved_size,),), array)


def _forward(plan: KernelPlan, images: Tensor, parameters: list[Tensor], keep: bool) -> list[Tensor]:
    images, (weights, biases) = images.contiguous(), halve(contiguous(parameters))
    features = images.new_empty(plan.result)
    kept = [lend(plan.kept[0][0])] if keep else []
    call(
        "lenet_convolution_forward",
        plan.details,
        pointer(images),
        pointers(weights),
        pointers(biases),
        pointer(features),
        pointer(kept[0] if keep else None),
    )
    return [features, *kept]


def _backward(
    plan: KernelPlan,
    gradient: Tensor,
    images: Tensor,
    parameters: list[Tensor],
    kept: list[Tensor],
    gradients: list[Tensor],
) -> None:
    gradient, images, saved = gradient.contiguous(), images.contiguous(), kept[0].contiguous()
    if saved.data_ptr() % 64:  # vectors are loaded from whole cache lines
        saved = saved.clone()
    weights = contiguous(halve(parameters)[0])
    image_gradient, (weight_gradients, bias_gradients) = gradients[0], halve(gradients[1:])
    call(
        "lenet_convolution_backward",
        plan.details,
        pointer(gradient),
        pointer(images),
        pointer(saved),
        pointers(weights),
        pointer(image_gradient if image_gradient.numel() else None),
        pointers(weight_gradients),
        pointers(bias_gradients),
    )


_cpu = Backend("cpu", supports_convolutions, _forward, _backward)
_settings = "int padding, str activation, str pooling"
_convolutions = Operator("convolutions", _settings, convolve_reference, [_cpu], (MINIMUM_BATCH, 1))
