"""The network itself. N is the batch, C channels, H and W rows and columns in the shape comments."""

from itertools import dropwhile

import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.errors import ModelError
from lenet.kernels.convolution import run_convolutions
from lenet.kernels.dense import run_dense
from lenet.models.config import POOL, Initialisation, LeNetConfig
from lenet.models.contrast import normalise_contrast


class LeNet(nn.Module):
    """LeNet-5 and its relatives, as `config` describes; layers are children in the order of the summary.

    The network takes pixels as they come (bytes 0..255, or floats 0..1) and scales, pads or resizes them
    itself, so that training, reading and every export see the same numbers.
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

    def fit_pixels(self, images: Tensor) -> Tensor:
        """Pixels 0..1, padded or resized to the size that the first convolution wants.

        Args:
            images: (N, 1, H, W), bytes 0..255 or floats 0..1, light ink on black.

        Returns:
            Floats (N, 1, input_size, input_size). Raises ModelError on other shapes and on whole numbers
            other than bytes, whose range nobody knows.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ModelError(f"images have the shape {tuple(images.shape)}; (N, 1, H, W) is needed")
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise ModelError(f"images are {images.dtype}; bytes 0..255 or floats 0..1 are needed")
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        height, width = pixels.shape[2:]
        side = self.config.input_size
        if (height, width) == (side, side):
            return pixels
        if self.config.fit == "pad" and height <= side and width <= side:
            top, left = (side - height) // 2, (side - width) // 2
            return functional.pad(pixels, (left, side - width - left, top, side - height - top))
        return functional.interpolate(
            pixels, (side, side), mode="bilinear", align_corners=False, antialias=True
        )

    def prepare(self, images: Tensor) -> Tensor:
        """Images as the first convolution sees them: fitted, with their contrast normalised, standardised.

        Takes and raises what `fit_pixels` does; returns floats of the weights' type, of its shape.
        """
        pixels = self.fit_pixels(images)
        if self.config.neighbourhood:
            pixels = normalise_contrast(pixels, self.config.neighbourhood)
        if (self.config.pixel_mean, self.config.pixel_std) != (0, 1):  # else two passes for nothing
            pixels = (pixels - self.config.pixel_mean) / self.config.pixel_std
        return pixels.to(next(self.parameters()).dtype)  # (N, 1, side, side)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for images (N, 1, H, W); see `prepare` for what images may be."""
        convolutions = [layer for layer in self.children() if isinstance(layer, nn.Conv2d)]
        features = run_convolutions(
            self.prepare(images),
            [(layer.weight, layer.bias) for layer in convolutions if layer.bias is not None],
            padding=self.config.padding,
            activation=self.config.activation,
            pooling=self.config.pooling,
        )  # (N, channels[-1], side, side), as the children up to `flatten` would make it
        if self.config.dropout:
            for layer in dropwhile(lambda layer: not isinstance(layer, nn.Flatten), self.children()):
                features = layer(features)
            return features
        dense = [layer for layer in self.children() if isinstance(layer, nn.Linear)]
        return run_dense(
            features.flatten(1),
            [(layer.weight, layer.bias) for layer in dense],
            activation=self.config.activation,
        )

    def trace(self, images: Tensor) -> dict[str, Tensor]:
        """What leaves each layer, by the layer's name and in order; 'input' is the prepared images.

        Runs the layers one by one, where `forward` runs the convolution blocks as one; equal to rounding.
        """
        outputs = {"input": self.prepare(images)}
        for name, layer in self.named_children():
            outputs[name] = layer(next(reversed(outputs.values())))
        return outputs

    def probabilities(self, images: Tensor) -> Tensor:
        """The probability of each class: (N, classes).

        Each row adds up to 1; with `background`, to less, and what is missing is the probability that the
        image belongs to no class.
        """
        return self.as_probabilities(self(images))

    def as_probabilities(self, logits: Tensor) -> Tensor:
        """`probabilities` of images whose logits (N, classes) are known already."""
        return self.with_background(logits).softmax(dim=1)[:, : self.config.classes]

    def with_background(self, logits: Tensor) -> Tensor:
        """All that the softmax runs over: `logits` (N, classes), with `background` and a last one of 0."""
        return functional.pad(logits, (0, 1)) if self.config.background else logits


def initialise(model: LeNet, scheme: Initialisation, generator: torch.Generator) -> None:
    """Draw fresh weights from `generator` alone; torch's own random state is neither read nor changed.

    'default' is what torch layers do, uniform within ±1/√fan-in; 'xavier' and 'kaiming' are the uniform
    forms of Glorot and Bengio 2010 and of He et al. 2015. Biases are always torch's default.
    """
    with torch.no_grad():
        for layer in model.children():
            if not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            bound = layer.weight[0].numel() ** -0.5
            match scheme:
                case "xavier":
                    nn.init.xavier_uniform_(layer.weight, generator=generator)
                case "kaiming":
                    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
                case _:
                    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
