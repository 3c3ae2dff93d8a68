"""The line network: a LeNet that is swept over a line of writing and names the digits in order.

A space displacement neural network (LeCun et al. 1998, section VII): every layer is a convolution, so the
network takes lines of any length and gives one output for every two columns. Each output, a frame, holds the
logits of the ten digits and, last, of the blank, which means no new digit here (connectionist temporal
classification, Graves et al. 2006).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lenet.errors import CheckpointError
from lenet.models.checkpoint import (
    DIGITS,
    LINE_FORMAT,
    check_fit,
    find_checkpoint,
    read_tensors,
    write_tensors,
)

ROWS = 32
"""The height of a strip."""
BLANK = len(DIGITS)
"""The number of the class that means no new digit."""
CLASSES = (*DIGITS, "blank")
COLUMNS_PER_STEP = 4  # the poolings halve the columns twice
FRAMES_PER_STEP = 2  # the output names two frames for each of its columns, for narrow digits side by side
COLUMNS_PER_FRAME = COLUMNS_PER_STEP // FRAMES_PER_STEP
MAX_CHANNELS = 1024


@dataclass(frozen=True)
class Convolution:
    """One convolution of the line network; ReLU follows it, then max-pooling."""

    kernel: tuple[int, int]
    padding: tuple[int, int]
    pooling: tuple[int, int]


CONVOLUTIONS = (
    Convolution((5, 5), (2, 2), (2, 2)),
    Convolution((3, 3), (1, 1), (2, 2)),
    Convolution((3, 3), (1, 1), (1, 1)),
    Convolution((3, 3), (1, 1), (2, 1)),
    Convolution((4, 1), (0, 0), (1, 1)),  # as C5 of 1998: as high as what is left of the rows
    Convolution((1, 5), (0, 2), (1, 1)),  # neighbours decide what belongs to a digit
)
assert ROWS == 32, "two poolings of rows by 2, one more, and the kernel of 4 rows leave one row"


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


def read_best_path(labels: NDArray[np.int64]) -> str:
    """The digits that the best class of each frame (frames,) names: repeats are left out, then blanks."""
    changed = np.concatenate([[True], labels[1:] != labels[:-1]])
    return "".join(DIGITS[label] for label in labels[changed] if label != BLANK)


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


def save_line(path: Path, network: LineNetwork, card: Mapping[str, Any]) -> None:
    """Write a folded network to `path`, with 16 bits a weight, whole or not at all."""
    half = {name: value.half() for name, value in network.state_dict().items()}
    write_tensors(path, half, {**card, "format": LINE_FORMAT, "channels": list(network.channels)})


def load_line(name: Path | str = "line") -> LineCheckpoint:
    """Read a line network that `save_line` wrote: a file, a run folder's, or the shipped one.

    Raises CheckpointError, one line, when the file is missing, damaged, foreign or of other shapes.
    """
    path = find_checkpoint(name)
    tensors, card = read_tensors(path, LINE_FORMAT)
    channels = card.get("channels")
    if (
        not isinstance(channels, list)
        or len(channels) != len(CONVOLUTIONS)
        or not all(isinstance(width, int) and 0 < width <= MAX_CHANNELS for width in channels)
    ):
        raise CheckpointError(f"{path}: the card describes no line network")
    with torch.device("meta"):
        network = LineNetwork(tuple(channels), normalised=False)
    tensors = {name: value.float() for name, value in tensors.items()}
    check_fit(path, tensors, {name: value.shape for name, value in network.state_dict().items()})
    network.load_state_dict(tensors, assign=True)
    return LineCheckpoint(network.eval().requires_grad_(False), card)
