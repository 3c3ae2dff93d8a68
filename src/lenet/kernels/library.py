"""The compiled kernel as Python sees it: found, loaded, asked what it can do, and called through ctypes."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")  # numbered as in blocks.cpp
POOLINGS = ("none", "max", "avg")
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
LARGEST_KERNEL = 11  # beyond it, a convolution is better done by other means
ERRORS = {1: "impossible shape", 2: "out of memory", 3: "unknown error"}
Sides = tuple[int, ...]


class Plan(NamedTuple):
    """What is to be computed: all sizes and settings."""

    numbers: Any
    """Of int64, as read_shape in blocks.cpp takes them."""
    features: tuple[int, int, int]
    """Channels, rows and columns of the result."""
    saved_size: int
    """Floats that backward needs from forward."""


@cache
def load_library() -> tuple[ctypes.CDLL | None, str]:
    """The kernel and the name of its instruction set; or None and the reason why there is none."""
    wanted = os.environ.get("LENET_KERNEL", "auto")
    if wanted == "off":
        return None, "switched off by LENET_KERNEL=off"
    paths = [Path(__file__).with_name(f"_blocks{suffix}") for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return None, "the kernel was not built: no C++ compiler at installation"
    try:
        library = ctypes.CDLL(str(path))
        library.lenet_saved_size.restype = ctypes.c_int64
        number = INSTRUCTION_SETS.index(wanted) if wanted in INSTRUCTION_SETS else -1
        return library, INSTRUCTION_SETS[library.lenet_choose(number)]
    except (OSError, AttributeError) as error:
        return None, f"the kernel cannot be loaded: {error}"


@lru_cache(maxsize=256)
def make_plan(
    images: Sides,
    weights: tuple[Sides, ...],
    biases: tuple[Sides, ...],
    padding: int,
    activation: str,
    pooling: str,
) -> Plan | None:
    """The plan for these shapes; None where they do not fit together or the kernel cannot do it."""
    library = load_library()[0]
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
        if not 1 <= kernel <= min(height, width, LARGEST_KERNEL) or channels < 1:
            return None
        height, width = height - kernel + 1, width - kernel + 1
        if pooling != "none" and min(height, width) > 1:
            height, width = height // 2, width // 2
        numbers += [channels, kernel]
    array = (ctypes.c_int64 * len(numbers))(*numbers)
    saved_size = library.lenet_saved_size(array)
    return None if saved_size < 0 else Plan(array, (channels, height, width), saved_size)


def run_forward(
    plan: Plan, images: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], keep: bool
) -> tuple[Tensor, Tensor]:
    """Features, and with `keep` what backward needs (else nothing). Raises RuntimeError."""
    images, weights, biases = images.contiguous(), contiguous(weights), contiguous(biases)
    features = images.new_empty((len(images), *plan.features))
    saved = _lend(plan.saved_size if keep else 0)
    call(
        "lenet_forward",
        plan.numbers,
        pointer(images),
        pointers(weights),
        pointers(biases),
        pointer(features),
        pointer(saved if keep else None),
    )
    return features, saved


def run_backward(
    plan: Plan,
    gradient: Tensor,
    images: Tensor,
    saved: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    wants_images: bool,
) -> list[Tensor]:
    """Gradients of the images (empty unless wanted), of all weights, of all biases. Raises RuntimeError."""
    gradient, images, saved = gradient.contiguous(), images.contiguous(), saved.contiguous()
    weights = contiguous(weights)
    if saved.data_ptr() % 64:  # vectors are loaded from whole cache lines
        saved = saved.clone()
    image_gradient = torch.empty_like(images) if wants_images else images.new_empty(0)
    weight_gradients = [torch.empty_like(weight) for weight in weights]
    bias_gradients = [bias.new_empty(bias.shape) for bias in biases]
    call(
        "lenet_backward",
        plan.numbers,
        pointer(gradient),
        pointer(images),
        pointer(saved),
        pointers(weights),
        pointer(image_gradient if wants_images else None),
        pointers(weight_gradients),
        pointers(bias_gradients),
    )
    return [image_gradient, *weight_gradients, *bias_gradients]


def contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each in one piece of memory, row by row."""
    return [tensor.contiguous() for tensor in tensors]


def pointers(tensors: Sequence[Tensor]) -> Any:
    """Where the numbers of each are, as C takes them."""
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where the numbers are; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def call(function: str, *arguments: Any) -> None:
    """Call the kernel, with as many threads as PyTorch uses. Raises RuntimeError where it fails."""
    code = getattr(load_library()[0], function)(*arguments, torch.get_num_threads())
    if code:
        raise RuntimeError(f"the kernel failed: {ERRORS.get(code, code)}")


_free_memory: dict[int, list[Tensor]] = {}  # by number of floats


def _lend(size: int) -> Tensor:
    """Uninitialised floats in memory that comes back here when the tensor is gone.

    The same megabytes are wanted in every step; from the system they would come as fresh pages, and making
    those takes a fifth of the step.
    """
    if not size:
        return torch.empty(0)
    if size not in _free_memory and len(_free_memory) > 8:  # sizes that come no more
        _free_memory.clear()
    free = _free_memory.setdefault(size, [])
    try:
        memory = free.pop()
    except IndexError:
        memory = torch.empty(size)
    lease = (ctypes.c_float * size).from_address(memory.data_ptr())
    weakref.finalize(lease, _give_back, free, memory).atexit = False
    return torch.frombuffer(lease, dtype=torch.float32)


def _give_back(free: list[Tensor], memory: Tensor) -> None:
    if len(free) < 2:
        free.append(memory)
