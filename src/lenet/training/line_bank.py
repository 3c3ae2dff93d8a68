"""A bank of composed lines: made once for a run by several processes, and kept in one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.data.datasets import load
from lenet.data.fonts import list_fonts
from lenet.errors import RunError
from lenet.models.checkpoint import write_tensors
from lenet.models.stored import read_tensors
from lenet.processes import open_pool
from lenet.synthesis.font_glyphs import open_typeface
from lenet.synthesis.hands import Material, gather_material
from lenet.synthesis.lines import LineStrip, compose_line
from lenet.training.recipes import READER
from lenet.training.start import hold_out_images

FORMAT = "lenet-lines/1"
SHARE = 500  # lines that a process composes at a time


@dataclass(frozen=True, eq=False)
class LineBank:
    """Lines with known texts: `columns` uint8 (ROWS, all columns); the strip n ends before `ends[n]`."""

    columns: NDArray[np.uint8]
    ends: NDArray[np.int64]
    texts: tuple[str, ...]

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """Columns of each strip, (N,)."""
        return np.diff(self.ends, prepend=0)

    def image(self, number: int) -> NDArray[np.uint8]:
        """The strip with this number, uint8 (ROWS, w)."""
        return self.columns[:, self.ends[number] - self.widths[number] : self.ends[number]]


def compose_bank(file: Path, split: str, count: int, seed: int, processes: int) -> None:
    """Compose `count` lines and write them to `file`, whole or not at all.

    `split` is train or validation: of the images that the recipe `reader` learns from or holds out. The lines
    are a pure function of split, count and seed. Raises RunError when a process dies, or no line has ink.
    """
    starts = range(0, count, SHARE)
    tasks = [(split, seed, start, min(start + SHARE, count)) for start in starts]
    with open_pool(processes, f"resume with: lenet train --resume {file.parent}") as pool:
        strips = [strip for share in pool.map(compose_share, *zip(*tasks, strict=True)) for strip in share]
    if not strips:
        raise RunError(f"{file}: no line came out with ink; begin a new run with more")
    write_bank(file, strips)


def write_bank(file: Path, strips: Sequence[LineStrip]) -> None:
    """Write lines, at least one, to `file`, whole or not at all."""
    texts = "\n".join(strip.text for strip in strips)
    tensors = {
        "columns": torch.from_numpy(np.concatenate([strip.image for strip in strips], axis=1)),
        "ends": torch.from_numpy(np.cumsum([strip.image.shape[1] for strip in strips])),
        "texts": torch.from_numpy(np.frombuffer(texts.encode("ascii"), np.uint8).copy()),
    }
    write_tensors(file, tensors, {"format": FORMAT})


def read_bank(file: Path) -> LineBank:
    """Read what `write_bank` wrote. Raises CheckpointError and RunError for any other file."""
    tensors, _ = read_tensors(file, FORMAT)
    texts = tuple(bytes(tensors["texts"].numpy()).decode("ascii").split("\n"))
    bank = LineBank(tensors["columns"].numpy(), tensors["ends"].numpy(), texts)
    if len(bank.texts) != len(bank.ends):
        raise RunError(f"{file}: not a bank of lines; delete it, and it is composed again")
    return bank


def compose_share(split: str, seed: int, first: int, last: int) -> list[LineStrip]:
    """The lines with the numbers from `first` to before `last`; numbers without a line are left out."""
    material = find_material(split)
    drawn = (compose_line(material, seed, split, number) for number in range(first, last))
    return [strip for strip in drawn if strip is not None]


_MATERIAL: dict[str, Material] = {}


def find_material(split: str) -> Material:
    """MNIST's training images without or of those held out by the recipe `reader`, and all fonts."""
    if split not in _MATERIAL:
        rest, held_out = hold_out_images(load("mnist", "train"), READER, 0)
        assert held_out is not None
        data = rest if split == "train" else held_out
        typefaces = [open_typeface(name) for name in list_fonts()]
        _MATERIAL[split] = gather_material(data.images[:, 0].numpy(), data.labels.numpy(), typefaces)
    return _MATERIAL[split]
