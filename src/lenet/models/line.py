"""The line network: a LeNet that is swept over a line of writing and names the digits in order.

A space displacement neural network (LeCun et al. 1998, section VII): every layer is a convolution, so the
network takes lines of any length and gives one output for every two columns. Each output, a frame, holds the
logits of the ten digits and, last, of the blank, which means no new digit here (connectionist temporal
classification, Graves et al. 2006).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lenet.models.checkpoint import Checkpoint, load_checkpoint, write_tensors
from lenet.models.line_config import BLANK, CONVOLUTIONS, DIGITS, FRAMES_PER_STEP
from lenet.models.stored import (
    LINE_FORMAT,
    StoredCheckpoint,
    find_checkpoint,
    read_format,
    read_stored,
)


class LineNetwork(nn.Module):
    """The line network: strips (N, 1, ROWS, w) to logits (N, frames, 11), the last class the blank.

    In training, batch normalisation follows each convolution; `fold_normalisation` removes it.
    """

    def __init__(
        self, channels: tuple[int, ...] = (24, 48, 96, 128, 192, 192), normalised: bool = True
    ) -> None:
        super().__init__()
        self.channels = channels
        self.normalised = normalised
        before = 1
        for number, (part, width) in enumerate(zip(CONVOLUTIONS, channels, strict=True), 1):
            self.add_module(f"conv{number}", nn.Conv2d(before, width, part.kernel, padding=part.padding))
            if normalised:
                self.add_module(f"norm{number}", nn.BatchNorm2d(width))
            self.add_module(f"relu{number}", nn.ReLU())
            if part.pooling != (1, 1):
                self.add_module(f"pool{number}", nn.MaxPool2d(part.pooling))
            before = width
        self.output = nn.Conv2d(before, FRAMES_PER_STEP * (BLANK + 1), 1)

    def forward(self, strips: Tensor) -> Tensor:
        """Logits (N, frames, 11) of strips, bytes or floats 0..1 (N, 1, ROWS, w); w is a multiple of 4."""
        hidden = strips if strips.is_floating_point() else strips.float() / 255
        for layer in self.children():
            hidden = layer(hidden)  # at the end (N, 22, 1, steps)
        count, _, _, steps = hidden.shape
        split = hidden.view(count, BLANK + 1, FRAMES_PER_STEP, steps)
        return split.permute(0, 3, 2, 1).reshape(count, FRAMES_PER_STEP * steps, BLANK + 1)


def fold_normalisation(network: LineNetwork) -> LineNetwork:
    """The same function without batch normalisation, in evaluation mode, with weights rounded to 16 bits."""
    folded = LineNetwork(network.channels, normalised=False).eval()
    network = network.eval()
    for number in range(1, len(network.channels) + 1):
        own, norm = (getattr(network, f"{name}{number}") for name in ("conv", "norm"))
        getattr(folded, f"conv{number}").load_state_dict(fuse_conv_bn_eval(own, norm).state_dict())
    folded.output.load_state_dict(network.output.state_dict())
    for parameter in folded.parameters():
        parameter.data = parameter.data.half().float()
    return folded.requires_grad_(False)


@dataclass(frozen=True)
class LineCheckpoint:
    """A loaded line network, in evaluation mode, and its card."""

    network: LineNetwork
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: the ten digits."""
        return DIGITS

    @property
    def reads_lines(self) -> bool:
        """True: it is a line network."""
        return True

    @property
    def reads_whole_pictures(self) -> bool:
        """False: it reads lines of digits."""
        return False


def save_line(path: Path, network: LineNetwork, card: Mapping[str, Any]) -> None:
    """Write a folded network to `path`, with 16 bits a weight, whole or not at all."""
    half = {name: value.half() for name, value in network.state_dict().items()}
    write_tensors(path, half, {**card, "format": LINE_FORMAT, "channels": list(network.channels)})


def load_line(name: Path | str = "line") -> LineCheckpoint:
    """Read a line network that `save_line` wrote: a file, a run folder's, or the shipped one.

    Raises CheckpointError, one line, when the file is missing, damaged, foreign or of other shapes.
    """
    stored = read_stored(name, LINE_FORMAT)
    return LineCheckpoint(restore_line(stored), stored.card)


def restore_line(stored: StoredCheckpoint) -> LineNetwork:
    """The line network of a stored checkpoint, in evaluation mode."""
    assert isinstance(stored.network, tuple)
    with torch.device("meta"):
        network = LineNetwork(stored.network, normalised=False)
    tensors = {name: torch.from_numpy(values) for name, values in stored.tensors.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def open_checkpoint(name: str | PathLike[str]) -> Checkpoint | LineCheckpoint:
    """Load a line network or a network for single images. Raises CheckpointError."""
    path = find_checkpoint(Path(name))
    return load_line(path) if read_format(path) == LINE_FORMAT else load_checkpoint(path)
