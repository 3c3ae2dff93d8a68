"""PyTorch behind the interface of `lenet.models.inference`, for what the kernel cannot compute."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lenet.kernels.infer import Floats
from lenet.models.checkpoint import Checkpoint, restore_lenet
from lenet.models.inference import PackedLeNet, PackedLine, pack_lenet, pack_line
from lenet.models.line import LineCheckpoint, LineNetwork, restore_line
from lenet.models.network import LeNet
from lenet.models.stored import StoredCheckpoint


class ModuleLeNet:
    """A LeNet as `PackedLeNet` has it."""

    def __init__(self, model: LeNet) -> None:
        self.model, self.config = model.eval(), model.config

    def compute_logits(self, images: NDArray[np.uint8] | Floats, threads: int | None = None) -> Floats:
        """Logits (N, classes) of images (N, 1, H, W), bytes 0..255 or floats 0..1."""
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            return _as_floats(self.model(torch.from_numpy(images).to(device)))

    def compute_probabilities(self, images: NDArray[np.uint8] | Floats) -> Floats:
        """The probability of each class (N, classes); with `reject_class`, rows add up to less than 1."""
        logits = torch.from_numpy(self.compute_logits(images))
        return _as_floats(self.model.as_probabilities(logits))


class ModuleLine:
    """A line network as `PackedLine` has it."""

    def __init__(self, network: LineNetwork) -> None:
        self.network = network.eval()

    def compute_logits(self, strips: NDArray[np.uint8] | Floats) -> Floats:
        """Logits (N, frames, 11) of strips (N, 1, ROWS, w), bytes or floats; w is a multiple of 4."""
        with torch.inference_mode():
            return _as_floats(self.network(torch.from_numpy(strips)))


def open_lenet_module(source: Checkpoint | LineCheckpoint | StoredCheckpoint) -> PackedLeNet | ModuleLeNet:
    """What computes a LeNet: the kernel where it can, else PyTorch."""
    if isinstance(source, StoredCheckpoint):
        return ModuleLeNet(restore_lenet(source))
    assert isinstance(source, Checkpoint)
    return pack_module(source.model) or ModuleLeNet(source.model)


def open_line_module(source: Checkpoint | LineCheckpoint | StoredCheckpoint) -> PackedLine | ModuleLine:
    """What computes a line network: the kernel where it can, else PyTorch."""
    if isinstance(source, StoredCheckpoint):
        return ModuleLine(restore_line(source))
    assert isinstance(source, LineCheckpoint)
    return pack_line(_as_arrays(source.network)) or ModuleLine(source.network)


def pack_module(model: LeNet) -> PackedLeNet | None:
    """Pack the weights as they are now; None where somebody watches the layers or has changed them, and where
    the kernel cannot compute the network."""
    state = model.state_dict()
    is_as_built = model.is_plain and state.keys() == model.config.find_shapes().keys()  # not parametrised
    if not is_as_built or any(t.dtype != torch.float32 or t.device.type != "cpu" for t in state.values()):
        return None
    return pack_lenet(model.config, _as_arrays(model))


def _as_arrays(module: nn.Module) -> dict[str, Floats]:
    return {name: _as_floats(value) for name, value in module.state_dict().items()}


def _as_floats(values: torch.Tensor) -> Floats:
    floats: Floats = values.detach().float().cpu().numpy()
    return floats
