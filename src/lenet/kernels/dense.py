"""Fully connected layers as one operator: linear, activation, linear, …, linear.

    logits = run_dense(features.flatten(1), [(dense1.weight, dense1.bias), …, (output.weight, output.bias)],
                       activation="relu")                                                 # (N, classes)

Behind fused convolutions they would otherwise be most of the time. The C++ kernel or PyTorch's own operators
compute them, as with `run_convolutions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor
from torch.nn import functional

from lenet.kernels.library import ACTIVATIONS, integers, load_library
from lenet.kernels.operators import Backend, KernelPlan, Operator, Settings, Sizes, find_activation, halve
from lenet.kernels.tensors import call, contiguous, pointer, pointers

MINIMUM_BATCH = 16  # below it, packing the weights takes longer than multiplying by them
MAXIMUM_BATCH = 1 << 20
MAXIMUM_LAYERS = 16
MAXIMUM_WIDTH = 1 << 16


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
    return _dense(features, [weight for weight, _ in layers], [bias for _, bias in layers], activation)


def dense_reference(
    features: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], activation: str
) -> Tensor:
    """What the kernel computes, in PyTorch's own operators."""
    activate = find_activation(activation)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        features = functional.linear(features, weight, bias)
        if number < len(weights):
            features = activate(features)
    return features


@lru_cache(maxsize=512)
def supports_dense(sizes: Sizes, settings: Settings) -> KernelPlan | None:
    """The plan; None where the shapes do not fit together, the kernel cannot do it, or PyTorch is faster."""
    (library, name), (activation,) = load_library(), settings
    if library is None or name == "baseline":  # with short vectors the library that PyTorch uses is faster
        return None
    features, (weights, biases) = sizes[0], halve(sizes[1:])
    if activation not in ACTIVATIONS or len(features) != 2:
        return None
    if not 1 <= features[0] <= MAXIMUM_BATCH:
        return None
    if not 0 < len(weights) == len(biases) <= MAXIMUM_LAYERS:
        return None
    images, *widths = features
    for weight, bias in zip(weights, biases, strict=True):
        if len(weight) != 2 or weight[1] != widths[-1] or bias != weight[:1]:
            return None
        widths.append(weight[0])
    if not all(1 <= width <= MAXIMUM_WIDTH for width in widths):
        return None
    numbers = integers([images, ACTIVATIONS.index(activation), len(weights), *widths])
    # Backward needs the hidden outputs only: no activation follows the last layer.
    return KernelPlan((images, widths[-1]), tuple([(images, width) for width in widths[1:-1]]), numbers)


def _forward(plan: KernelPlan, features: Tensor, parameters: list[Tensor], keep: bool) -> list[Tensor]:
    features, (weights, biases) = features.contiguous(), halve(contiguous(parameters))
    outputs = [features.new_empty(shape) for shape in (*plan.kept, plan.result)]
    call(
        "lenet_dense_forward",
        plan.details,
        pointer(features),
        pointers(weights),
        pointers(biases),
        pointers(outputs),
    )
    return [outputs[-1], *(outputs[:-1] if keep else ())]


def _backward(
    plan: KernelPlan,
    gradient: Tensor,
    features: Tensor,
    parameters: list[Tensor],
    kept: list[Tensor],
    gradients: list[Tensor],
) -> None:
    gradient, features, outputs = gradient.contiguous(), features.contiguous(), contiguous(kept)
    weights = contiguous(halve(parameters)[0])
    feature_gradient, (weight_gradients, bias_gradients) = gradients[0], halve(gradients[1:])
    call(
        "lenet_dense_backward",
        plan.details,
        pointer(gradient),
        pointer(features),
        pointers(outputs),
        pointers(weights),
        pointer(feature_gradient if feature_gradient.numel() else None),
        pointers(weight_gradients),
        pointers(bias_gradients),
    )


_cpu = Backend("cpu", supports_dense, _forward, _backward)
_dense = Operator("dense", "str activation", dense_reference, [_cpu], (MINIMUM_BATCH, MINIMUM_BATCH))
