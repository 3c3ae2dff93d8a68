"""The operator in front of the fully connected layers, which would otherwise be most of what is left to do.

`run_dense` is linear, activation, linear, …, linear in one call:

    logits = run_dense(features.flatten(1), [(dense1.weight, dense1.bias), …, (output.weight, output.bias)],
                       activation="relu")                                                 # (N, classes)

It is chosen, and replaced by PyTorch's own operators, as `run_blocks` is; see there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lenet.kernels.blocks import find_activation
from lenet.kernels.library import ACTIVATIONS, call, contiguous, load_library, pointer, pointers

SMALLEST_BATCH = 16  # below it, laying out the weights takes longer than multiplying by them
MOST_LAYERS = 16
LARGEST_WIDTH = 1 << 16


def run_dense(
    features: Tensor, layers: Sequence[tuple[Tensor, Tensor]], *, activation: str = "relu"
) -> Tensor:
    """Fully connected layers, with the activation after each but the last.

    Args:
        features: (N, inputs), floats.
        layers: weight (outputs, inputs) and bias (outputs,) of each.
        activation: identity, relu, tanh or sigmoid, or the name of another in torch.nn.functional.

    Returns:
        (N, outputs of the last layer), differentiable in features, weights and biases. Raises RuntimeError
        or ValueError where shapes, types or names do not fit together.
    """
    weights, biases = [weight for weight, _ in layers], [bias for _, bias in layers]
    if (
        len(features) < SMALLEST_BATCH
        or torch.compiler.is_exporting()  # what leaves this package has PyTorch's operators only
        or not _suits(features, weights, biases, activation)
    ):
        return reference(features, weights, biases, activation)
    if torch.compiler.is_compiling() or type(features) is not Tensor:
        logits: Tensor = _forward(features, weights, biases, activation)[-1]
    else:
        apply: Any = _Differentiable.apply
        logits = apply(activation, features, *weights, *biases)
    return logits


def reference(
    features: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], activation: str
) -> Tensor:
    """What the kernel computes, in PyTorch's own operators."""
    activate = find_activation(activation)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        features = functional.linear(features, weight, bias)
        if number < len(weights):
            features = activate(features)
    return features


def _suits(features: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], activation: str) -> bool:
    if activation not in ACTIVATIONS:
        return False
    for tensor in (features, *weights, *biases):
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            return False
    shapes = [tuple([int(side) for side in tensor.shape]) for tensor in (features, *weights, *biases)]
    return _fits(shapes[0], tuple(shapes[1 : len(weights) + 1]), tuple(shapes[len(weights) + 1 :]))


def _fits(*shapes: Any) -> bool:
    return _figure_fit(*shapes)


# Plain numbers in, so torch.compile need not look inside. This is what torch.compiler.assume_constant_result
# does, which would import the compiler first: most of a second, for all who never compile.
_fits._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=256)
def _figure_fit(
    features: tuple[int, ...], weights: tuple[tuple[int, ...], ...], biases: tuple[tuple[int, ...], ...]
) -> bool:
    library, name = load_library()
    if library is None or name == "baseline":  # with short vectors the library that PyTorch uses is faster
        return False
    if len(features) != 2 or not 1 <= features[0] <= 1 << 20:
        return False
    if not 0 < len(weights) == len(biases) <= MOST_LAYERS:
        return False
    widths = [features[1]]
    for weight, bias in zip(weights, biases, strict=True):
        if len(weight) != 2 or weight[1] != widths[-1] or bias != weight[:1]:
            return False
        widths.append(weight[0])
    return all(1 <= width <= LARGEST_WIDTH for width in widths)


# ---- the two operators that torch knows ------------------------------------------------------------------

_operators = torch.library.Library("lenet", "FRAGMENT")
_operators.define(
    "dense_forward(Tensor features, Tensor[] weights, Tensor[] biases, str activation) -> Tensor[]"
)
_operators.define(
    "dense_backward(Tensor gradient, Tensor features, Tensor[] outputs, Tensor[] weights, Tensor[] biases,"
    " str activation, bool wants_features) -> Tensor[]"
)
_forward = torch.ops.lenet.dense_forward.default
_backward = torch.ops.lenet.dense_backward.default


def _numbers(features: Tensor, weights: list[Tensor], biases: list[Tensor], activation: str) -> Any:
    if not _suits(features, weights, biases, activation):
        raise ValueError("these shapes, types or settings are not for the kernel; call run_dense instead")
    widths = [features.shape[1], *[len(weight) for weight in weights]]
    numbers = [len(features), ACTIVATIONS.index(activation), len(weights), *widths]
    return (ctypes.c_int64 * len(numbers))(*numbers)


def _run_forward(
    features: Tensor, weights: list[Tensor], biases: list[Tensor], activation: str
) -> list[Tensor]:
    numbers = _numbers(features, weights, biases, activation)
    features, weights, biases = features.contiguous(), contiguous(weights), contiguous(biases)
    outputs = _fake_forward(features, weights, biases, activation)
    call(
        "lenet_dense_forward",
        numbers,
        pointer(features),
        pointers(weights),
        pointers(biases),
        pointers(outputs),
    )
    return outputs


def _run_backward(
    gradient: Tensor,
    features: Tensor,
    outputs: list[Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    activation: str,
    wants_features: bool,
) -> list[Tensor]:
    numbers = _numbers(features, weights, biases, activation)
    expected = [(len(features), len(weight)) for weight in weights]
    if [tuple(output.shape) for output in outputs] != expected or tuple(gradient.shape) != expected[-1]:
        raise ValueError("the gradient or the outputs belong to another call")
    if any(tensor.dtype != torch.float32 for tensor in (gradient, *outputs)):
        raise ValueError("the gradient or the outputs are not float32")
    gradient, features = gradient.contiguous(), features.contiguous()
    outputs, weights = contiguous(outputs), contiguous(weights)
    results = _fake_backward(gradient, features, outputs, weights, biases, activation, wants_features)
    call(
        "lenet_dense_backward",
        numbers,
        pointer(gradient),
        pointer(features),
        pointers(outputs),
        pointers(weights),
        pointer(results[0] if wants_features else None),
        pointers(results[1 : len(weights) + 1]),
        pointers(results[len(weights) + 1 :]),
    )
    return results


def _fake_forward(
    features: Tensor, weights: list[Tensor], biases: list[Tensor], activation: str
) -> list[Tensor]:
    return [features.new_empty((features.shape[0], weight.shape[0])) for weight in weights]


def _fake_backward(
    gradient: Tensor,
    features: Tensor,
    outputs: list[Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    activation: str,
    wants_features: bool,
) -> list[Tensor]:
    first = features.new_empty(features.shape if wants_features else 0)
    return [first, *[tensor.new_empty(tensor.shape) for tensor in (*weights, *biases)]]


def _gradients(ctx: Any, gradient: Tensor, run: Any, wants_features: bool) -> tuple[Any, ...]:
    """Of features, then of all weights and biases."""
    features, *rest = ctx.saved_tensors
    count = len(rest) // 3
    weights, biases, outputs = rest[:count], rest[count : 2 * count], rest[2 * count :]
    if not torch.is_grad_enabled():
        found = run(gradient, features, outputs, weights, biases, ctx.activation, wants_features)
        return (found[0] if wants_features else None, *found[1:])
    # The gradient is to be differentiated again: PyTorch knows how.
    logits, leaves = reference(features, weights, biases, ctx.activation), (features, *weights, *biases)
    wanted = [tensor for tensor in leaves if tensor.requires_grad]
    parts = iter(torch.autograd.grad(logits, wanted, gradient, create_graph=True))
    return tuple([next(parts) if tensor.requires_grad else None for tensor in leaves])


class _Differentiable(torch.autograd.Function):
    """The shorter way to the same functions: that through the operators costs a tenth of a millisecond."""

    @staticmethod
    def forward(ctx: Any, activation: str, features: Tensor, *parameters: Tensor) -> Tensor:
        count = len(parameters) // 2
        outputs = _run_forward(features, list(parameters[:count]), list(parameters[count:]), activation)
        ctx.activation = activation
        ctx.save_for_backward(features, *parameters, *outputs)
        return outputs[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, *_gradients(ctx, gradient, _run_backward, ctx.needs_input_grad[1])


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    features, weights, biases, ctx.activation = inputs
    ctx.save_for_backward(features, *weights, *biases, *output)


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    gradient = gradients[-1]
    assert gradient is not None
    first, *rest = _gradients(ctx, gradient, _backward, ctx.needs_input_grad[0])
    return first, rest[: len(rest) // 2], rest[len(rest) // 2 :], None


_operators.impl("dense_forward", _run_forward, "CPU")
_operators.impl("dense_backward", _run_backward, "CPU")
torch.library.register_fake("lenet::dense_forward", _fake_forward, lib=_operators)
torch.library.register_fake("lenet::dense_backward", _fake_backward, lib=_operators)
torch.library.register_autograd(
    "lenet::dense_forward", _differentiate, setup_context=_remember, lib=_operators
)
