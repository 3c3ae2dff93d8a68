"""What the line network is made of, as plain numbers: no torch, so that pictures are read without it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIGITS = tuple("0123456789")
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


def find_line_shapes(channels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a folded line network with so many channels."""
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    for number, (part, width) in enumerate(zip(CONVOLUTIONS, channels, strict=True), 1):
        shapes |= {f"conv{number}.weight": (width, before, *part.kernel), f"conv{number}.bias": (width,)}
        before = width
    outputs = FRAMES_PER_STEP * len(CLASSES)
    return shapes | {"output.weight": (outputs, before, 1, 1), "output.bias": (outputs,)}


def read_best_path(labels: NDArray[np.int64]) -> str:
    """The digits that the best class of each frame (frames,) names: repeats are left out, then blanks."""
    changed = np.concatenate([[True], labels[1:] != labels[:-1]])
    return "".join(DIGITS[label] for label in labels[changed] if label != BLANK)
