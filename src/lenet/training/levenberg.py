"""The stochastic diagonal Levenberg–Marquardt method of 1998: one image a step, and a rate for each weight.

LeCun et al. 1998, appendix C. The rate of a weight is lr / (µ + h): h is its second derivative of the loss in
the Gauss–Newton approximation, estimated before every pass on some images and backpropagated as the diagonal
of each layer alone. A weight that is shared has the sum over the places where it is used.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lenet.kernels.online import (
    FRAME,
    KERNEL,
    MAX_CLASSES,
    OnlineLayer,
    OnlineNetwork,
    is_available,
    learn_online,
)
from lenet.models.classic import AMPLITUDE, BORDER, SLOPE
from lenet.models.classic_layers import PartialConv2d, RadialBasis, StridedConv2d, Subsampling
from lenet.models.config import LeNetConfig
from lenet.models.layers import Layer, find_links
from lenet.models.network import LeNet
from lenet.training.optimisation import measure_loss, omit_compiler
from lenet.training.recipe import Loss

DAMPING = 0.02  # µ
PATTERNS = 500  # images on which the second derivatives are estimated


@omit_compiler
class LevenbergMarquardt(torch.optim.Optimizer):
    """Gradient descent with the rate lr / (µ + curvature) for each weight; `measure` sets the curvatures."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["curvature"] = torch.zeros_like(parameter)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every weight by its gradient."""
        with torch.no_grad():
            for parameter, rate in self.find_rates().items():
                if parameter.grad is not None:
                    parameter.sub_(rate * parameter.grad)

    def find_rates(self) -> dict[Tensor, Tensor]:
        """The rate of each weight, by the parameter that it belongs to."""
        return {
            parameter: group["lr"] / (DAMPING + self.state[parameter]["curvature"])
            for group in self.param_groups
            for parameter in group["params"]
        }

    def measure(self, model: LeNet, images: Tensor, labels: Tensor, loss: Loss) -> None:
        """Estimate the curvature of every weight on images (N, 1, H, W) with labels (N,)."""
        curvatures = compute_curvatures(model, images, labels, loss)
        for name, parameter in model.named_parameters():
            self.state[parameter]["curvature"] = curvatures[name]

    def learn(
        self, model: LeNet, images: Tensor, labels: Tensor, loss: Loss, rate: float
    ) -> tuple[Tensor, Tensor]:
        """A step for each of `images` (N, 1, H, W), in order. Returns the mean loss and all logits before.

        Args:
            model: the network, changed in place.
            images, labels: what `make_batch` returns.
            loss: of the recipe.
            rate: lr of all steps.
        """
        for group in self.param_groups:
            group["lr"] = rate
        network = describe_online(model, loss) if model.is_unwatched else None
        logits = self._learn_fused(network, model, images, labels) if network else None
        if logits is None:
            logits = torch.cat(
                [
                    self._learn_one(model, image, label, loss)
                    for image, label in zip(images.split(1), labels.split(1), strict=True)
                ]
            )
        return measure_loss(model.with_reject_logit(logits), labels, loss), logits

    def _learn_one(self, model: LeNet, image: Tensor, label: Tensor, loss: Loss) -> Tensor:
        logits: Tensor = model(image)
        self.zero_grad()
        measure_loss(model.with_reject_logit(logits), label, loss).backward()
        self.step()
        return logits.detach()

    def _learn_fused(self, network: OnlineNetwork, model: LeNet, images: Tensor, labels: Tensor) -> Tensor:
        tensors = {name: value.detach() for name, value in model.state_dict(keep_vars=True).items()}
        of_parameter = self.find_rates()
        rates = {name: of_parameter[parameter] for name, parameter in model.named_parameters()}
        return learn_online(network, tensors, rates, model.prepare(images), labels)


def describe_online(model: LeNet, loss: Loss) -> OnlineNetwork | None:
    """The network as the kernel trains it; None where it cannot, or where there is no kernel."""
    config = model.config
    if (
        not is_available()
        or (config.activation, config.kernel_size) != ("scaled-tanh", KERNEL)
        or (config.pooling, config.padding) not in (("sum", 0), ("stride", FRAME))
        or config.classes > MAX_CLASSES
        or loss == "mean-squared-error"
        or any(value.dtype != torch.float32 or value.device.type != "cpu" for value in model.parameters())
        or not all(parameter.requires_grad for parameter in model.parameters())
    ):
        return None
    layers, inputs, side = [], 1, config.input_size
    for row in config.layers():
        outputs = row.output_shape[0]
        match row.kind:
            case "StridedConv2d":
                layers.append(OnlineLayer(row.name, "strided", outputs, _list_pairs(config, row, inputs)))
            case "Conv2d" | "PartialConv2d" if row.output_shape[1:] != (1, 1):
                layers.append(OnlineLayer(row.name, "convolution", outputs, _list_pairs(config, row, inputs)))
            case "Subsampling":
                layers.append(OnlineLayer(row.name, "subsampling", outputs))
            case "Conv2d" | "Linear" if row.name != "output":
                layers.append(OnlineLayer(row.name, "dense", outputs))
            case "PartialConv2d":
                return None
        inputs = outputs
    return OnlineNetwork(
        side,
        tuple(layers),
        "output",
        config.classes,
        loss,
        has_bitmaps=config.output == "rbf",
        has_reject_class=config.reject_class,
    )


def _list_pairs(config: LeNetConfig, row: Layer, inputs: int) -> tuple[tuple[int, int], ...]:
    links = find_links(config, row.name, inputs, row.output_shape[0])
    return tuple((output, number) for output, numbers in enumerate(links) for number in numbers)


def compute_curvatures(model: LeNet, images: Tensor, labels: Tensor, loss: Loss) -> dict[str, Tensor]:
    """The mean over images of each weight's second derivative, by the parameter's name; none is negative.

    Args:
        model: the network; it is not changed.
        images: (N, 1, H, W), bytes 0..255 or floats 0..1.
        labels: (N,).
        loss: of the recipe.
    """
    with torch.no_grad():
        values = model.trace(images)
    names = [name for name, _ in model.named_children()]
    inputs = dict(zip(names, list(values.values())[:-1], strict=True))
    output = model.get_submodule(names[-1])
    logits = model.with_reject_logit(values[names[-1]])
    curvatures: dict[str, Tensor] = {}
    if isinstance(output, RadialBasis):
        below = _curve_distances(output, inputs[names[-1]], logits)
        names.pop()
    else:
        below = _curve_logits(logits, labels, loss)[:, : model.config.classes]
    for name in reversed(names):
        own, below = _curve_layer(model.get_submodule(name), inputs[name], below)
        curvatures |= {f"{name}.{part}": value / len(images) for part, value in own.items()}
    return curvatures


def _curve_logits(logits: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """The second derivatives of the loss of each image by its logits (N, C)."""
    match loss:
        case "cross-entropy":
            shares = logits.softmax(dim=1)
            return shares * (1 - shares)
        case "mean-squared-error":
            return torch.full_like(logits, 2 / logits.shape[1])
        case "bipolar-squared-error":
            return _slope(logits).square()


def _slope(sums: Tensor) -> Tensor:
    return AMPLITUDE * SLOPE * (1 - torch.tanh(SLOPE * sums).square())


def _curve_distances(output: RadialBasis, codes: Tensor, logits: Tensor) -> Tensor:
    """The second derivatives of cross-entropy behind bitmaps by the codes (N, 84), exactly: none is negative.

    By a code x the logit of class i has the derivative -2 · scale · (x - w_i), a reject class 0. The loss has
    their variance under the probabilities, and twice the scale where the probability is that of no class.
    """
    shares = logits.softmax(dim=1)[:, : len(output.weight), None]  # (N, C, 1)
    scale = output.scale[:, None]
    slopes = 2 * scale * (codes[:, None] - output.weight)  # (N, C, 84)
    variance = (shares * slopes.square()).sum(dim=1) - (shares * slopes).sum(dim=1).square()
    rejected = 2 * scale.mean() * (1 - shares.sum(dim=1))
    return (variance + rejected).clamp(min=0)


def _curve_layer(layer: nn.Module, inputs: Tensor, above: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The curvatures of a layer's weights, summed over images, and those of its inputs, from its outputs'.

    What is linear passes second derivatives on as it does gradients, with squared weights and inputs.
    """
    with torch.enable_grad():
        if isinstance(layer, nn.Conv2d | nn.Linear | PartialConv2d | Subsampling):
            squares = {name: value.detach().square() for name, value in layer.named_parameters()}
            squares = {name: value.requires_grad_() for name, value in squares.items()}
            given = (inputs.detach() if isinstance(layer, Subsampling) else inputs.square()).requires_grad_()
            border = (BORDER**2,) if isinstance(layer, StridedConv2d) else ()  # which is an input as well
            outputs = functional_call(layer, squares, (given, *border))
            *own, below = torch.autograd.grad(outputs, [*squares.values(), given], above)
            named = dict(zip(squares, own, strict=True))
            if isinstance(layer, Subsampling):  # its coefficient multiplies the sum
                named["weight"] = (above * layer.sum_windows(inputs).square()).sum(dim=(0, 2, 3))
            return named, below
        given = inputs.detach().requires_grad_()
        outputs = layer(given)
        if isinstance(layer, nn.AvgPool2d):
            (below,) = torch.autograd.grad(outputs, given, above / 4)
        elif isinstance(layer, nn.MaxPool2d | nn.Flatten | nn.Dropout):
            (below,) = torch.autograd.grad(outputs, given, above)
        else:  # an activation
            (slopes,) = torch.autograd.grad(outputs.sum(), given)
            below = slopes.square() * above
        return {}, below
