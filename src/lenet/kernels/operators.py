"""The one adapter between a fused operator and torch: who computes, autograd, torch.compile.

An operator takes inputs, the weights and biases of several layers, and settings. A `Backend` computes it on
one kind of device. What no backend supports is computed by the operator's reference, in PyTorch's own
operators. So is what records or transforms PyTorch's operators: export, tracing, torch.func, and
derivatives of derivatives. The results agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, is_grad_enabled
from torch._C import _get_tracing_state as get_tracing_state
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.compiler import is_exporting
from torch.nn import Parameter, functional

Shape = tuple[int, ...]
Sizes = tuple[Shape, ...]  # of the inputs, of all weights, of all biases
Settings = tuple[Any, ...]  # numbers and strings


@dataclass(frozen=True)
class KernelPlan:
    """What a backend computes for some sizes and settings."""

    result: Shape
    kept: Sizes  # of the tensors that backward needs from forward
    details: Any  # what the backend alone reads


@dataclass(frozen=True)
class Backend:
    """Computes an operator on one kind of device; all tensors are float32, strided and there.

    `parameters` are all weights, then all biases.
    """

    device: str  # as torch names it: cpu, cuda, …
    supports: Callable[[Sizes, Settings], KernelPlan | None]
    """None where it cannot compute that, or PyTorch is faster."""
    forward: Callable[[KernelPlan, Tensor, list[Tensor], bool], list[Tensor]]
    """(plan, inputs, parameters, keep): the result, and with `keep` what backward needs."""
    backward: Callable[[KernelPlan, Tensor, Tensor, list[Tensor], list[Tensor], list[Tensor]], None]
    """(plan, gradient, inputs, parameters, kept, gradients): fills the gradients of the inputs and of all
    parameters. That of the inputs is empty where it is not wanted."""


class Operator:
    """An operator as torch knows it (lenet::NAME_forward, lenet::NAME_backward) and as Python calls it."""

    def __init__(
        self,
        name: str,
        settings: str,
        reference: Callable[..., Tensor],
        backends: Sequence[Backend],
        minimum_batches: tuple[int, int],
    ) -> None:
        """Declare it. `settings` is in torch's schema language; `reference` takes what a call takes.

        For fewer inputs than `minimum_batches`, without and with gradients, PyTorch is faster.
        """
        self.name, self.reference, self.minimum_batches = name, reference, minimum_batches
        self.backends = {backend.device: backend for backend in backends}
        forward, backward = f"{name}_forward", f"{name}_backward"
        tensors = "Tensor inputs, Tensor[] parameters"
        _library.define(f"{forward}({tensors}, {settings}, bool keep) -> Tensor[]")
        _library.define(
            f"{backward}(Tensor gradient, {tensors}, Tensor[] kept, {settings}, bool wanted) -> Tensor[]"
        )
        self.forward = getattr(torch.ops.lenet, forward).default
        self.backward = getattr(torch.ops.lenet, backward).default
        for device in self.backends:
            _library.impl(forward, self.run_forward, device.upper())
            _library.impl(backward, self.run_backward, device.upper())
        torch.library.register_fake(f"lenet::{forward}", self._fake_forward, lib=_library)
        torch.library.register_fake(f"lenet::{backward}", self._fake_backward, lib=_library)
        torch.library.register_autograd(
            f"lenet::{forward}", self._differentiate, setup_context=self._remember, lib=_library
        )
        _operators[name] = self

    def __call__(self, inputs: Tensor, weights: list[Tensor], biases: list[Tensor], *settings: Any) -> Tensor:
        """The result, differentiable in inputs, weights and biases."""
        # Asked before any size is looked at: an exported graph must not depend on the size of a batch.
        if not is_exporting() and get_tracing_state() is None:
            keep = is_grad_enabled() and any(t.requires_grad for t in (inputs, *weights, *biases))
            # Then the batch: one image is so little work that each further question would be felt.
            if len(inputs) >= self.minimum_batches[keep]:
                result = self._fuse(inputs, [*weights, *biases], settings, keep)
                if result is not None:
                    return result
        return self.reference(inputs, weights, biases, *settings)

    def _fuse(
        self, inputs: Tensor, parameters: list[Tensor], settings: Settings, keep: bool
    ) -> Tensor | None:
        tensors, device = (inputs, *parameters), inputs.device.type
        if device not in self.backends or not _suit(device, tensors) or _is_transformed():
            return None
        if not _is_supported(self.name, device, _sizes(inputs, parameters), settings):
            return None
        result: Tensor
        if _is_seen(tensors):
            result = self.forward(inputs, parameters, *settings, keep)[0]
        elif keep:
            apply: Any = _Eager.apply
            result = apply(self, settings, inputs, *parameters)
        else:
            result = self.run_forward(inputs, parameters, *settings, False)[0]
        return result

    def run_forward(self, inputs: Tensor, parameters: list[Tensor], *rest: Any) -> list[Tensor]:
        """By the backend of the inputs' device; rest: settings, keep. Raises ValueError where it cannot."""
        plan = self._plan(inputs, parameters, rest[:-1])
        return self.backends[inputs.device.type].forward(plan, inputs, parameters, rest[-1])

    def run_backward(
        self, gradient: Tensor, inputs: Tensor, parameters: list[Tensor], kept: list[Tensor], *rest: Any
    ) -> list[Tensor]:
        """Gradients of inputs (empty unless wanted) and parameters; rest: settings, wanted."""
        plan = self._plan(inputs, parameters, rest[:-1])
        if gradient.shape != plan.result or tuple([tensor.shape for tensor in kept]) != plan.kept:
            raise ValueError("the gradient, or what was kept, belongs to another call")
        if not _suit(inputs.device.type, (gradient, *kept)):
            raise ValueError("the gradient, or what was kept, has another type or device")
        gradients = self._fake_backward(gradient, inputs, parameters, kept, *rest)
        self.backends[inputs.device.type].backward(plan, gradient, inputs, parameters, kept, gradients)
        return gradients

    def _plan(self, inputs: Tensor, parameters: list[Tensor], settings: Settings) -> KernelPlan:
        device, plan = inputs.device.type, None
        if device in self.backends and _suit(device, (inputs, *parameters)):
            plan = self.backends[device].supports(_sizes(inputs, parameters), settings)
        if plan is None:
            raise ValueError(f"no kernel computes {self.name} of these shapes, types and settings")
        return plan

    def _fake_forward(self, inputs: Tensor, parameters: list[Tensor], *rest: Any) -> list[Tensor]:
        plan = self._plan(inputs, parameters, rest[:-1])
        return [inputs.new_empty(shape) for shape in (plan.result, *(plan.kept if rest[-1] else ()))]

    def _fake_backward(
        self, _: Tensor, inputs: Tensor, parameters: list[Tensor], kept: list[Tensor], *rest: Any
    ) -> list[Tensor]:
        shapes = [inputs.shape if rest[-1] else (0,), *[tensor.shape for tensor in parameters]]
        return [inputs.new_empty(shape) for shape in shapes]

    def _remember(self, ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
        first, parameters, *settings, _ = inputs
        ctx.settings, ctx.count = tuple(settings), len(parameters)
        ctx.save_for_backward(first, *parameters, *output[1:])

    def _differentiate(self, ctx: Any, gradients: list[Tensor]) -> tuple[Any, ...]:
        first, *rest = self.differentiate(ctx, gradients[0], self.backward, ctx.needs_input_grad[0])
        return first, rest, *[None] * len(ctx.settings), None

    def differentiate(self, ctx: Any, gradient: Tensor, run: Any, wanted: bool) -> tuple[Any, ...]:
        """Gradients of inputs and parameters, by `run` or by the reference."""
        inputs, *rest = ctx.saved_tensors
        parameters, kept = rest[: ctx.count], rest[ctx.count :]
        again = is_grad_enabled()
        if not again and not _is_transformed() and not is_legacy_batchedtensor(gradient):
            found = run(gradient, inputs, parameters, kept, *ctx.settings, wanted)
            return (found[0] if wanted else None, *found[1:])
        # The gradient is to be differentiated again, or holds many in one (vmap): PyTorch knows how.
        leaves = (inputs, *parameters)
        with torch.enable_grad():
            result = self.reference(inputs, *halve(parameters), *ctx.settings)
        needed = [tensor for tensor in leaves if tensor.requires_grad]
        parts = iter(torch.autograd.grad(result, needed, gradient, create_graph=again))
        return tuple([next(parts) if tensor.requires_grad else None for tensor in leaves])


class _Eager(torch.autograd.Function):
    """The shorter way to the same functions: that through the operators costs a tenth of a millisecond."""

    @staticmethod
    def forward(ctx: Any, operator: Operator, settings: Settings, inputs: Tensor, *rest: Tensor) -> Tensor:
        result, *kept = operator.run_forward(inputs, list(rest), *settings, True)
        ctx.operator, ctx.settings, ctx.count = operator, settings, len(rest)
        ctx.save_for_backward(inputs, *rest, *kept)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        operator = ctx.operator
        run = operator.backward if _is_seen((gradient,)) else operator.run_backward
        return None, None, *operator.differentiate(ctx, gradient, run, ctx.needs_input_grad[2])


def _is_transformed() -> bool:
    """True where only PyTorch's operators give right answers: within torch.func, and for dual numbers."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _is_seen(tensors: Sequence[Tensor]) -> bool:
    """True where torch must see an operator and not only its result: torch.compile, subclasses, modes."""
    return (
        torch.compiler.is_compiling()
        or any(type(tensor) not in (Tensor, Parameter) for tensor in tensors)
        or torch._C._len_torch_dispatch_stack() > 0
    )


def _suit(device: str, tensors: Sequence[Tensor]) -> bool:
    return all(
        tensor.device.type == device and tensor.dtype == torch.float32 and tensor.layout == torch.strided
        for tensor in tensors
    )


def _sizes(inputs: Tensor, parameters: Sequence[Tensor]) -> Sizes:
    # int, because torch.compile may call with symbols: it makes one graph for each batch size
    return tuple([tuple([int(side) for side in tensor.shape]) for tensor in (inputs, *parameters)])


def _is_supported(name: str, device: str, sizes: Sizes, settings: Settings) -> bool:
    return _operators[name].backends[device].supports(sizes, settings) is not None


# Plain numbers in, so torch.compile need not look inside. This is what torch.compiler.assume_constant_result
# does, which would import the compiler first: most of a second, for all who never compile.
_is_supported._dynamo_marked_constant = True  # type: ignore[attr-defined]


def halve(items: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Weights and biases; or their shapes, or their gradients."""
    return items[: len(items) // 2], items[len(items) // 2 :]


def find_activation(name: str) -> Callable[[Tensor], Tensor]:
    """PyTorch's own function of that name. Raises ValueError where there is none."""
    if name == "identity":
        return torch.clone
    name = name.replace("-", "_")
    for place in (torch, functional):
        if callable(getattr(place, name, None)):
            return getattr(place, name)  # type: ignore[no-any-return]
    raise ValueError(f"PyTorch has no activation {name!r}")


_library = torch.library.Library("lenet", "DEF")
_operators: dict[str, Operator] = {}
