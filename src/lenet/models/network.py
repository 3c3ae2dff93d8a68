"""The network itself. N is the batch, C channels, H and W rows and columns in the shape comments."""

from collections.abc import Callable, Mapping
from itertools import dropwhile

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

from lenet.errors import ModelError
from lenet.kernels.convolution import run_convolutions
from lenet.kernels.dense import run_dense
from lenet.models.classic import COPIES
from lenet.models.classic_layers import PartialConv2d, RadialBasis, ScaledTanh, StridedConv2d, Subsampling
from lenet.models.config import Initialisation, LeNetConfig
from lenet.models.layers import POOL, find_links
from lenet.models.preprocessing import prepare_images

INITIAL = 2.4  # of 1998: initial weights are within ± this share of a unit's number of inputs
LOWEST_PIXEL, HIGHEST_PIXEL = -0.3, 1.3  # standardised MNIST goes from -0.42 to 2.82


class LeNet(nn.Module):
    """LeNet-5 and its relatives, as `config` describes; layers are children in the order of the summary.

    The network takes pixels as they come (bytes 0..255, or floats 0..1) and scales, pads or resizes them
    itself, so that training, reading and every export see the same numbers. Its initial weights are those
    that the configuration names, drawn from torch's random state.
    """

    def __init__(self, config: LeNetConfig) -> None:
        super().__init__()
        self.config = config
        shape: tuple[int, ...] = (1, config.input_size, config.input_size)
        for layer in config.layers():
            match layer.kind:
                case "Conv2d":
                    padding = config.padding if layer.name == "conv1" else 0
                    module: nn.Module = nn.Conv2d(
                        shape[0], layer.output_shape[0], config.kernel_size, padding=padding
                    )
                case "PartialConv2d":
                    links = find_links(config, layer.name, shape[0], layer.output_shape[0])
                    module = PartialConv2d(shape[0], links, config.kernel_size)
                case "StridedConv2d":
                    outputs, side, _ = layer.output_shape
                    links = find_links(config, layer.name, shape[0], outputs)
                    module = StridedConv2d(shape[0], links, config.kernel_size, config.padding, side)
                case "Subsampling":
                    copies = COPIES.get(config.wiring, 1) if layer.name == "pool1" else 1
                    module = Subsampling(shape[0], copies)
                case "RadialBasis":
                    module = RadialBasis(config.classes)
                case "ScaledTanh":
                    module = ScaledTanh()
                case "Linear":
                    module = nn.Linear(shape[0], layer.output_shape[0])
                case "AvgPool2d" | "MaxPool2d":
                    module = getattr(nn, layer.kind)(POOL)
                case "Dropout":
                    module = nn.Dropout(config.dropout)
                case _:
                    module = getattr(nn, layer.kind)()
            self.add_module(layer.name, module)
            shape = layer.output_shape
        self._built = list(self.children())
        self._hooks = [hooks for layer in self._built for hooks in _hooks_of(layer)]
        self._range_is_known = False
        if config.initialisation != "default" or config.is_classic:  # torch's layers have it already
            initialise(self, config.initialisation)

    def prepare(self, images: Tensor) -> Tensor:
        """Images as the first convolution sees them, in the weights' type; see `prepare_images`.

        Raises ModelError where the first floats that it is given are not pixels from 0 to 1.
        """
        if not self._range_is_known and images.is_floating_point():
            check_range(images)
            self._range_is_known = True
        return prepare_images(images, self.config).to(next(self.parameters()).dtype)  # (N, 1, side, side)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for images (N, 1, H, W); see `prepare` for what images may be.

        The layers are computed by the fused kernel; one by one where somebody watches or has changed them
        (hooks, pruning, a new head), and where the network is exported.
        """
        pixels = self.prepare(images)
        layers = list(self._modules.values())  # children() takes as long as a layer
        if not self._is_fused(layers):
            for layer in self.children():
                pixels = layer(pixels)
            return pixels
        features = run_convolutions(
            pixels,
            [
                (layer.weight, layer.bias)
                for layer in layers
                if isinstance(layer, nn.Conv2d) and layer.bias is not None
            ],
            padding=self.config.padding,
            activation=self.config.activation,
            pooling=self.config.pooling,
        )  # (N, channels[-1], side, side), as the children up to `flatten` would make it
        if self.config.dropout:
            for layer in dropwhile(lambda layer: not isinstance(layer, nn.Flatten), self.children()):
                features = layer(features)
            return features
        return run_dense(
            features.flatten(1),
            [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Linear)],
            activation=self.config.activation,
        )

    @property
    def is_plain(self) -> bool:
        """Whether the kernel can compute the network: the layers are those that were built, and unwatched."""
        return self._is_fused(list(self._modules.values()))

    @property
    def is_unwatched(self) -> bool:
        """Whether the layers are those that were built, and nobody watches them."""
        return self._is_as_built(list(self._modules.values()))

    def _is_fused(self, layers: list[nn.Module | None]) -> bool:
        return not self.config.is_classic and self._is_as_built(layers)

    def _is_as_built(self, layers: list[nn.Module | None]) -> bool:
        return (
            layers == self._built
            and not any(self._hooks)
            and not torch.compiler.is_exporting()
            and not _has_global_hooks()
        )

    def trace(self, images: Tensor) -> dict[str, Tensor]:
        """What leaves each layer, by the layer's name and in order; 'input' is the prepared images.

        Runs the layers one by one, where `forward` runs the convolution blocks as one; equal to rounding.
        """
        outputs = {"input": self.prepare(images)}
        for name, layer in self.named_children():
            outputs[name] = layer(next(reversed(outputs.values())))
        return outputs

    def find_kernels(self) -> dict[str, Tensor]:
        """The kernels of each convolution by its name: (outputs, inputs, K, K), 0 for maps not seen."""
        weights = {
            name: layer.dense_weight if isinstance(layer, PartialConv2d) else layer.weight
            for name, layer in self.named_children()
            if isinstance(layer, nn.Conv2d | PartialConv2d)
        }
        return {name: weight.detach().cpu() for name, weight in weights.items()}

    def probabilities(self, images: Tensor) -> Tensor:
        """The probability of each class: (N, classes).

        Each row adds up to 1; with `reject_class`, to less, and what is missing is the probability that the
        image belongs to no class.
        """
        return self.as_probabilities(self(images))

    def as_probabilities(self, logits: Tensor) -> Tensor:
        """`probabilities` of images whose logits (N, classes) are known already."""
        return self.with_reject_logit(logits).softmax(dim=1)[:, : self.config.classes]

    def with_reject_logit(self, logits: Tensor) -> Tensor:
        """All that the softmax runs over: `logits` (N, classes), with `reject_class` and a last one of 0."""
        return functional.pad(logits, (0, 1)) if self.config.reject_class else logits


def check_range(pixels: Tensor) -> None:
    """Raise ModelError unless floats are pixels from 0 to 1, give or take what resampling adds."""
    if torch.compiler.is_compiling() or type(pixels) is not Tensor or pixels.is_meta or not pixels.numel():
        return
    if torch._C._functorch.maybe_current_level() is not None:  # under vmap, values cannot be looked at
        return
    low, high = (float(value) for value in pixels.detach().aminmax())
    if not low >= LOWEST_PIXEL or not high <= HIGHEST_PIXEL:
        raise ModelError(
            f"pixels from {low:.3g} to {high:.3g}; give bytes 0..255 or floats 0..1, which the network "
            "standardises itself (pixel_mean, pixel_std)"
        )


def _hooks_of(layer: nn.Module) -> list[Mapping[int, Callable[..., object]]]:
    """The hooks of a layer, which PyTorch adds to and removes from in place."""
    return [
        layer._forward_hooks,
        layer._forward_pre_hooks,
        layer._backward_hooks,
        layer._backward_pre_hooks,
    ]


def _has_global_hooks() -> bool:
    """Whether somebody watches all modules, as profilers and summaries do."""
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def initialise(model: LeNet, scheme: Initialisation, generator: torch.Generator | None = None) -> None:
    """Draw initial weights from `generator` alone, by default torch's own.

    'default' is what torch layers do, uniform within ±1/√fan-in; 'xavier' and 'kaiming' are the uniform
    forms of Glorot and Bengio 2010 and of He et al. 2015. Biases are then always torch's default. 'fan-in' is
    that of 1998: all weights and biases of a unit with F inputs are uniform within ±2.4/F.
    """
    with torch.no_grad():
        for layer in model.children():
            if not isinstance(layer, nn.Conv2d | nn.Linear | PartialConv2d | Subsampling):
                continue
            if scheme == "fan-in":
                _initialise_by_inputs(layer, generator)
                continue
            if isinstance(layer, Subsampling):  # whose units have four inputs
                nn.init.uniform_(layer.weight, -1 / POOL, 1 / POOL, generator=generator)
                nn.init.uniform_(layer.bias, -1 / POOL, 1 / POOL, generator=generator)
                continue
            weight = layer.dense_weight if isinstance(layer, PartialConv2d) else layer.weight
            bound = weight[0].numel() ** -0.5
            match scheme:
                case "xavier":
                    nn.init.xavier_uniform_(weight, generator=generator)
                case "kaiming":
                    nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
                case _:
                    nn.init.uniform_(weight, -bound, bound, generator=generator)
            if isinstance(layer, PartialConv2d):
                layer.fill(weight)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _initialise_by_inputs(
    layer: nn.Conv2d | nn.Linear | PartialConv2d | Subsampling, generator: torch.Generator | None
) -> None:
    """Draw the weights and the bias of each unit within ±2.4 / inputs."""
    if layer.weight.is_meta:  # which has no values
        return
    if isinstance(layer, PartialConv2d):
        area = layer.weight[0].numel()
        of_biases = torch.tensor([float(len(row) * area) for row in layer.links])
        of_biases = of_biases.view(-1, *(1,) * (layer.bias.ndim - 1))
        of_weights = torch.tensor([float(len(row) * area) for row in layer.links for _ in row])[:, None, None]
    else:
        count = POOL**2 if isinstance(layer, Subsampling) else layer.weight[0].numel()
        of_biases = of_weights = torch.tensor(float(count))
    for values, inputs in ((layer.weight, of_weights), (layer.bias, of_biases)):
        if values is not None:
            nn.init.uniform_(values, -INITIAL, INITIAL, generator=generator).div_(inputs.to(values.device))
