"""Any module from pixels to logits, such as a tutorial's `nn.Sequential`, as a network of ours."""

from dataclasses import replace

from torch import Tensor, nn

from lenet.errors import ModelError
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.preprocessing import prepare_images


class Adapter(nn.Module):
    """A module from prepared pixels (N, 1, H, W) to logits (N, classes), behind the interface of `LeNet`.

    Of `config` the pixel settings count: input_size, fit, margin, pixel_mean, pixel_std and
    contrast_sigma. The module is used as it is and trained in place.
    """

    def __init__(self, module: nn.Module, config: LeNetConfig) -> None:
        super().__init__()
        self.module = module
        self.config = replace(config, reject_class=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for bytes 0..255 or floats 0..1. Raises ModelError on any other shape."""
        logits: Tensor = self.module(prepare_images(images, self.config))
        if not isinstance(logits, Tensor) or logits.shape != (len(images), self.config.classes):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(
                f"{type(self.module).__name__} returns {shape} for {len(images)} images of "
                f"{self.config.classes} classes; logits ({len(images)}, {self.config.classes}) are needed"
            )
        return logits

    def with_reject_logit(self, logits: Tensor) -> Tensor:
        """The logits: there is no reject class."""
        return logits

    def as_probabilities(self, logits: Tensor) -> Tensor:
        """The probability of each class: (N, classes)."""
        return logits.softmax(dim=1)


Network = LeNet | Adapter


def as_network(model: nn.Module, config: LeNetConfig, classes: int) -> Network:
    """`model` itself where it is a network of ours, else behind an adapter for so many classes."""
    return model if isinstance(model, LeNet | Adapter) else Adapter(model, replace(config, classes=classes))


def plain_pixels(images: Tensor) -> LeNetConfig:
    """The settings under which images (N, 1, H, W) come to a module as floats 0..1, of their own size."""
    # The smallest network that fits on any size: its layers are not used.
    return LeNetConfig(input_size=images.shape[-1], channels=(1,), kernel_size=1, padding=0, hidden=())


def draws_at_random(network: Network) -> bool:
    """Whether the network draws from torch's random state in training, as dropout does."""
    return bool(network.config.dropout) if isinstance(network, LeNet) else True
