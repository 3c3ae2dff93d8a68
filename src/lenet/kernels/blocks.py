"""The operator in front of the fused convolution blocks.

A block is convolution + bias, activation, 2×2 pooling; `run_blocks` sends images through all of them:

    features = run_blocks(images, [(conv1.weight, conv1.bias), (conv2.weight, conv2.bias)],
                          padding=2, activation="relu", pooling="max")       # (N, 16, 5, 5)

On the CPU, in float32, with kernels that the machine can run, the work is done by `blocks.cpp`; everywhere
else, and wherever its derivative is to be differentiated once more, by PyTorch's own operators. The two agree
to rounding (a few 1e-6 of the largest value), and the caller cannot tell which it was except by asking
`explain_backend`. LENET_KERNEL=off in the environment forces PyTorch; avx512, avx2 or baseline choose less
than the best instruction set, for measurements.
"""

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
from torch.nn import functional

ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")  # numbered as in blocks.cpp
POOLINGS = ("none", "max", "avg")
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
LARGEST_KERNEL = 11  # beyond it, a convolution is better done by other means
SMALLEST_BATCH = 6
"""The kernel always computes 16 images at once; below this many, PyTorch's operators are done sooner."""

ERRORS = {1: "impossible shape", 2: "out of memory", 3: "unknown error"}


class Backend(NamedTuple):
    """Who computes the blocks, and why."""

    name: str
    """avx512, avx2 or baseline for the kernel, 'torch' for PyTorch's operators."""
    reason: str


def run_blocks(
    images: Tensor,
    blocks: Sequence[tuple[Tensor, Tensor]],
    *,
    padding: int = 0,
    activation: str = "relu",
    pooling: str = "max",
) -> Tensor:
    """Convolution + bias, activation and 2×2 pooling with stride 2, once for each block.

    Args:
        images: (N, C, H, W), floats.
        blocks: weight (outputs, inputs, k, k) and bias (outputs,) of each convolution.
        padding: zeros around the input of the first convolution; the others have none.
        activation: identity, relu, tanh or sigmoid, or the name of another in torch.nn.functional.
        pooling: max, avg or none. A map of which a side is one pixel is not pooled; the odd last row or
            column is dropped, and of several largest pixels the first in reading order gets the gradient, as
            in PyTorch.

    Returns:
        Features (N, outputs of the last block, rows, columns), differentiable in images, weights and biases.
        Raises ValueError or RuntimeError where shapes, types or names do not fit together.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; it must be one of {', '.join(POOLINGS)}")
    weights, biases = [weight for weight, _ in blocks], [bias for _, bias in blocks]
    differentiable = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (images, *weights, *biases)
    )
    if (
        (len(images) < SMALLEST_BATCH and not differentiable)
        or torch.compiler.is_exporting()  # what leaves this package has PyTorch's operators only
        or not _suits(images, weights, biases, padding, activation, pooling)
    ):
        return reference(images, weights, biases, padding, activation, pooling)
    features: Tensor
    features, _ = _forward(images, weights, biases, padding, activation, pooling, differentiable)
    return features


def explain_backend(images: Tensor | None = None) -> Backend:
    """Which path `run_blocks` takes on this machine, for these images if given, and why."""
    name = _library()[1]
    if _library()[0] is None:
        return Backend("torch", name)
    if images is not None and images.device.type != "cpu":
        return Backend("torch", f"the kernel is for the CPU, the images are on {images.device}")
    if images is not None and images.dtype != torch.float32:
        return Backend("torch", f"the kernel computes in float32, the images are {images.dtype}")
    if images is not None and len(images) < SMALLEST_BATCH:
        return Backend("torch", f"fewer than {SMALLEST_BATCH} images")
    return Backend(name, "fused kernel")


def reference(
    images: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    padding: int,
    activation: str,
    pooling: str,
) -> Tensor:
    """What the kernel computes, in PyTorch's own operators."""
    activate = None if activation == "identity" else getattr(torch, activation, None)
    if activate is None and activation != "identity":
        activate = getattr(functional, activation.replace("-", "_"))
    maps = images
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        maps = functional.conv2d(maps, weight, bias, padding=0 if number else padding)
        maps = activate(maps) if activate else maps
        if pooling != "none" and min(maps.shape[2:]) > 1:
            maps = (functional.max_pool2d if pooling == "max" else functional.avg_pool2d)(maps, 2)
    return maps


@cache
def _library() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernel and its instruction set; or None and the reason."""
    wanted = os.environ.get("LENET_KERNEL", "auto")
    if wanted == "off":
        return None, "switched off by LENET_KERNEL=off"
    here = Path(__file__).parent
    paths = [here / f"_blocks{suffix}" for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return None, "the kernel was not built: no C++ compiler at installation"
    try:
        library = ctypes.CDLL(str(path))
        library.lenet_saved_size.restype = ctypes.c_int64
        for function in (library.lenet_forward, library.lenet_backward, library.lenet_choose):
            function.restype = ctypes.c_int
    except (OSError, AttributeError) as error:
        return None, f"the kernel cannot be loaded: {error}"
    chosen = library.lenet_choose(INSTRUCTION_SETS.index(wanted) if wanted in INSTRUCTION_SETS else -1)
    return library, INSTRUCTION_SETS[chosen]


def _suits(
    images: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    padding: int,
    activation: str,
    pooling: str,
) -> bool:
    """True where the kernel can do it; wrong shapes do not suit either and get PyTorch's own message."""
    if activation not in ACTIVATIONS or pooling not in POOLINGS:
        return False
    for tensor in (images, *weights, *biases):
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            return False
    return _has_room(*_sizes(images, weights, biases), padding, activation, pooling)


def _has_room(*plan: Any) -> bool:
    shape = _figure_shape(*plan) if _library()[0] else None
    return shape is not None and shape.saved_size >= 0


torch.compiler.assume_constant_result(_has_room)  # plain numbers in, so torch.compile need not look inside


class _Shape(NamedTuple):
    numbers: Any  # of int64, as read_shape in blocks.cpp takes them
    features: tuple[int, int, int]
    saved_size: int  # floats; -1 where the kernel cannot do it


def _sizes(images: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Any, ...]:
    # int, because torch.compile may call with symbols: it makes one graph for each batch size
    shapes = [tuple([int(side) for side in tensor.shape]) for tensor in (images, *weights, *biases)]
    return shapes[0], tuple(shapes[1 : 1 + len(weights)]), tuple(shapes[1 + len(weights) :])


@lru_cache(maxsize=256)
def _figure_shape(
    images: tuple[int, ...],
    weights: tuple[tuple[int, ...], ...],
    biases: tuple[tuple[int, ...], ...],
    padding: int,
    activation: str,
    pooling: str,
) -> _Shape | None:
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
    library = _library()[0]
    assert library is not None
    return _Shape(array, (channels, height, width), library.lenet_saved_size(array))


# ---- the two operators that torch knows ------------------------------------------------------------------

_operators = torch.library.Library("lenet", "DEF")
_operators.define(
    "blocks_forward(Tensor images, Tensor[] weights, Tensor[] biases,"
    " int padding, str activation, str pooling, bool keep) -> (Tensor, Tensor)"
)
_operators.define(
    "blocks_backward(Tensor gradient, Tensor images, Tensor saved, Tensor[] weights, Tensor[] biases,"
    " int padding, str activation, str pooling, bool wants_images) -> Tensor[]"
)
_forward = torch.ops.lenet.blocks_forward.default
_backward = torch.ops.lenet.blocks_backward.default


def _checked_shape(images: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any) -> _Shape:
    """The sizes; ValueError where the operator was called with what it cannot do."""
    if not _suits(images, weights, biases, *settings):
        raise ValueError("these shapes, types or settings are not for the kernel; call run_blocks instead")
    shape = _figure_shape(*_sizes(images, weights, biases), *settings)
    assert shape is not None
    return shape


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


_free_memory: dict[int, list[Tensor]] = {}  # by number of floats


def _lend(size: int) -> Tensor:
    """Uninitialised floats in memory that comes back here when the tensor is gone.

    The same megabytes are wanted in every step; from the system they would come as fresh pages, and making
    those takes a fifth of the step.
    """
    if not size:
        return torch.empty(0)
    free = _free_memory.setdefault(size, [])
    try:
        memory = free.pop()
    except IndexError:
        if len(_free_memory) > 8:  # sizes that come no more
            _free_memory.clear()
            free = _free_memory.setdefault(size, [])
        memory = torch.empty(size)
    lease = (ctypes.c_float * size).from_address(memory.data_ptr())
    weakref.finalize(lease, _give_back, free, memory).atexit = False
    return torch.frombuffer(lease, dtype=torch.float32)


def _give_back(free: list[Tensor], memory: Tensor) -> None:
    if len(free) < 2:
        free.append(memory)


def _check(code: int) -> None:
    if code:
        raise RuntimeError(f"the convolution kernel failed: {ERRORS.get(code, code)}")


def _run_forward(
    images: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    padding: int,
    activation: str,
    pooling: str,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    shape = _checked_shape(images, weights, biases, padding, activation, pooling)
    library = _library()[0]
    assert library is not None
    images, weights = images.contiguous(), [weight.contiguous() for weight in weights]
    biases = [bias.contiguous() for bias in biases]
    features = images.new_empty((len(images), *shape.features))
    saved = _lend(shape.saved_size if keep else 0)
    _check(
        library.lenet_forward(
            shape.numbers,
            _pointer(images),
            _pointers(weights),
            _pointers(biases),
            _pointer(features),
            _pointer(saved if keep else None),
            torch.get_num_threads(),
        )
    )
    return features, saved


def _run_backward(
    gradient: Tensor,
    images: Tensor,
    saved: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    padding: int,
    activation: str,
    pooling: str,
    wants_images: bool,
) -> list[Tensor]:
    shape = _checked_shape(images, weights, biases, padding, activation, pooling)
    if gradient.shape != (len(images), *shape.features) or gradient.dtype != torch.float32:
        raise ValueError(f"the gradient has the shape {tuple(gradient.shape)} and type {gradient.dtype}")
    if saved.shape != (shape.saved_size,) or saved.dtype != torch.float32:
        raise ValueError("what was saved belongs to another call")
    library = _library()[0]
    assert library is not None
    gradient, images, saved = gradient.contiguous(), images.contiguous(), saved.contiguous()
    weights = [weight.contiguous() for weight in weights]
    image_gradient = torch.empty_like(images) if wants_images else images.new_empty(0)
    weight_gradients = [torch.empty_like(weight) for weight in weights]
    bias_gradients = [torch.empty_like(bias) for bias in biases]
    _check(
        library.lenet_backward(
            shape.numbers,
            _pointer(gradient),
            _pointer(images),
            _pointer(saved),
            _pointers(weights),
            _pointer(image_gradient if wants_images else None),
            _pointers(weight_gradients),
            _pointers(bias_gradients),
            torch.get_num_threads(),
        )
    )
    return [image_gradient, *weight_gradients, *bias_gradients]


def _fake_forward(
    images: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any
) -> tuple[Tensor, Tensor]:
    *rest, keep = settings
    shape = _checked_shape(images, weights, biases, *rest)
    features = images.new_empty((images.shape[0], *shape.features))
    return features, images.new_empty(shape.saved_size if keep else 0)


def _fake_backward(
    gradient: Tensor,
    images: Tensor,
    saved: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    *settings: Any,
) -> list[Tensor]:
    wants_images = settings[-1]
    first = images.new_empty(images.shape if wants_images else 0)
    return [first, *[w.new_empty(w.shape) for w in weights], *[b.new_empty(b.shape) for b in biases]]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    images, weights, biases, *settings, _ = inputs
    ctx.count, ctx.settings = len(weights), settings
    ctx.save_for_backward(images, output[1], *weights, *biases)


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    images, saved, *parameters = ctx.saved_tensors
    weights, biases = parameters[: ctx.count], parameters[ctx.count :]
    wants_images = ctx.needs_input_grad[0]
    if torch.is_grad_enabled():  # the gradient is to be differentiated again: PyTorch knows how
        features = reference(images, weights, biases, *ctx.settings)
        wanted = [tensor for tensor in (images, *parameters) if tensor.requires_grad]
        found = iter(torch.autograd.grad(features, wanted, gradient, create_graph=True))
        gradients = [next(found) if tensor.requires_grad else None for tensor in (images, *parameters)]
    else:
        gradients = _backward(gradient, images, saved, weights, biases, *ctx.settings, wants_images)
    return (
        gradients[0] if wants_images else None,
        gradients[1 : ctx.count + 1],
        gradients[ctx.count + 1 :],
        *[None] * 4,
    )


_operators.impl("blocks_forward", _run_forward, "CPU")
_operators.impl("blocks_backward", _run_backward, "CPU")
torch.library.register_fake("lenet::blocks_forward", _fake_forward, lib=_operators)
torch.library.register_fake("lenet::blocks_backward", _fake_backward, lib=_operators)
torch.library.register_autograd(
    "lenet::blocks_forward", _differentiate, setup_context=_remember, lib=_operators
)
