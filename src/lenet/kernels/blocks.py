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

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lenet.kernels.library import POOLINGS, Plan, load_library, make_plan, run_backward, run_forward

SMALLEST_BATCH = 6
"""The kernel always computes 16 images at once; below this many, PyTorch's operators are done sooner."""


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
        or not _suits(images, weights, biases)
        or not _has_plan(*_sizes(images, weights, biases), padding, activation, pooling)
    ):
        return reference(images, weights, biases, padding, activation, pooling)
    features: Tensor
    if torch.compiler.is_compiling() or type(images) is not Tensor:
        features, _ = _forward(images, weights, biases, padding, activation, pooling, differentiable)
    elif differentiable:
        apply: Any = _Differentiable.apply
        features = apply((padding, activation, pooling), images, *weights, *biases)
    else:
        features, _ = _run_forward(images, weights, biases, padding, activation, pooling, False)
    return features


def explain_backend(images: Tensor | None = None) -> Backend:
    """Which path `run_blocks` takes on this machine, for these images if given, and why."""
    library, name = load_library()
    if library is None:
        return Backend("torch", name)
    if images is not None and images.device.type != "cpu":
        return Backend("torch", f"the kernel is for the CPU, the images are on {images.device}")
    if images is not None and images.dtype != torch.float32:
        return Backend("torch", f"the kernel computes in float32, the images are {images.dtype}")
    if images is not None and len(images) < SMALLEST_BATCH:
        return Backend("torch", f"fewer than {SMALLEST_BATCH} images")
    return Backend(name, "fused kernel")


def find_activation(name: str) -> Callable[[Tensor], Tensor]:
    """PyTorch's own function of that name. Raises ValueError where there is none."""
    if name == "identity":
        return torch.clone
    name = name.replace("-", "_")
    for place in (torch, functional):
        if callable(getattr(place, name, None)):
            return getattr(place, name)  # type: ignore[no-any-return]
    raise ValueError(f"PyTorch has no activation {name!r}")


def reference(
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


def _suits(*tensors: Tensor | Sequence[Tensor]) -> bool:
    """True for floats in the processor's own memory."""
    return all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.layout == torch.strided
        for part in tensors
        for tensor in ((part,) if isinstance(part, Tensor) else part)
    )


def _sizes(images: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Any, ...]:
    # int, because torch.compile may call with symbols: it makes one graph for each batch size
    shapes = [tuple([int(side) for side in tensor.shape]) for tensor in (images, *weights, *biases)]
    return shapes[0], tuple(shapes[1 : 1 + len(weights)]), tuple(shapes[1 + len(weights) :])


def _has_plan(*sizes_and_settings: Any) -> bool:
    return make_plan(*sizes_and_settings) is not None


# Plain numbers in, so torch.compile need not look inside. This is what torch.compiler.assume_constant_result
# does, which would import the compiler first: most of a second, for all who never compile.
_has_plan._dynamo_marked_constant = True  # type: ignore[attr-defined]
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


def _plan(images: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any) -> Plan:
    """The plan; ValueError where the operator was called with what it cannot do."""
    plan = make_plan(*_sizes(images, weights, biases), *settings)
    if plan is None or not _suits(images, weights, biases):
        raise ValueError("these shapes, types or settings are not for the kernel; call run_blocks instead")
    return plan


def _run_forward(
    images: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any
) -> tuple[Tensor, Tensor]:
    *rest, keep = settings
    return run_forward(_plan(images, weights, biases, *rest), images, weights, biases, keep)


def _run_backward(
    gradient: Tensor,
    images: Tensor,
    saved: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    *settings: Any,
) -> list[Tensor]:
    *rest, wants_images = settings
    plan = _plan(images, weights, biases, *rest)
    if gradient.shape != (len(images), *plan.features) or gradient.dtype != torch.float32:
        raise ValueError(f"the gradient has the shape {tuple(gradient.shape)} and type {gradient.dtype}")
    if saved.shape != (plan.saved_size,) or saved.dtype != torch.float32:
        raise ValueError("what was saved belongs to another call")
    return run_backward(plan, gradient, images, saved, weights, biases, wants_images)


def _fake_forward(
    images: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any
) -> tuple[Tensor, Tensor]:
    *rest, keep = settings
    plan = _plan(images, weights, biases, *rest)
    features = images.new_empty((images.shape[0], *plan.features))
    return features, images.new_empty(plan.saved_size if keep else 0)


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


def _gradients(ctx: Any, gradient: Tensor, run: Any, wants_images: bool) -> tuple[Any, ...]:
    """Of images, then of all weights and biases."""
    images, saved, *parameters = ctx.saved_tensors
    count = len(parameters) // 2
    weights, biases = parameters[:count], parameters[count:]
    if not torch.is_grad_enabled():
        found = run(gradient, images, saved, weights, biases, *ctx.settings, wants_images)
        return (found[0] if wants_images else None, *found[1:])
    # The gradient is to be differentiated again: PyTorch knows how.
    features = reference(images, weights, biases, *ctx.settings)
    wanted = [tensor for tensor in (images, *parameters) if tensor.requires_grad]
    parts = iter(torch.autograd.grad(features, wanted, gradient, create_graph=True))
    return tuple([next(parts) if tensor.requires_grad else None for tensor in (images, *parameters)])


class _Differentiable(torch.autograd.Function):
    """The shorter way to the same functions: that through the operators costs a tenth of a millisecond."""

    @staticmethod
    def forward(ctx: Any, settings: tuple[Any, ...], images: Tensor, *parameters: Tensor) -> Tensor:
        count = len(parameters) // 2
        weights, biases = list(parameters[:count]), list(parameters[count:])
        features, saved = _run_forward(images, weights, biases, *settings, True)
        ctx.settings = settings
        ctx.save_for_backward(images, saved, *parameters)
        return features

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, *_gradients(ctx, gradient, _run_backward, ctx.needs_input_grad[1])


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    images, weights, biases, *settings, _ = inputs
    ctx.settings = settings
    ctx.save_for_backward(images, output[1], *weights, *biases)


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    first, *rest = _gradients(ctx, gradient, _backward, ctx.needs_input_grad[0])
    count = len(rest) // 2
    return first, rest[:count], rest[count:], *[None] * 4


_operators.impl("blocks_forward", _run_forward, "CPU")
_operators.impl("blocks_backward", _run_backward, "CPU")
torch.library.register_fake("lenet::blocks_forward", _fake_forward, lib=_operators)
torch.library.register_fake("lenet::blocks_backward", _fake_backward, lib=_operators)
torch.library.register_autograd(
    "lenet::blocks_forward", _differentiate, setup_context=_remember, lib=_operators
)
