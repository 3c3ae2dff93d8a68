"""Images of one's own that are larger than the memory: a training never copies the file as a whole."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lenet.data import idx
from lenet.data.datasets import load
from lenet.data.idx import open_idx, read_idx, write_idx
from lenet.data.imageset import ImageSet, fingerprint
from lenet.errors import DataError
from lenet.training.batches import gather_images
from lenet.training.recipe import Recipe
from lenet.training.start import hold_out_rows

SIDE, COUNT = 256, 4400
ALLOWANCE = 120 << 20  # bytes, for images of 288 million


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and needs the limit of Linux")
def test_a_training_in_less_memory_than_its_images_take(tmp_path: Path):
    """The file has 288 MB, and the process may write to 126 MB beyond what a small one takes."""
    with (tmp_path / "train-images-idx3-ubyte").open("wb") as file:
        file.write(struct.pack(">BBBB3I", 0, 0, 8, 3, COUNT, SIDE, SIDE))
        file.truncate(16 + COUNT * SIDE * SIDE)  # a hole: blank images that take no disk
    write_idx(tmp_path / "train-labels-idx1-ubyte", torch.arange(COUNT).remainder(10).byte())
    write_idx(tmp_path / "t10k-images-idx3-ubyte", torch.zeros(20, SIDE, SIDE, dtype=torch.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", torch.arange(20).remainder(10).byte())
    script = Path(__file__).with_name("bounded.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, str(ALLOWANCE)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    finished, loss = done.stdout.split()
    assert (finished, 2 < float(loss) < 3) == ("True", True)


@pytest.fixture
def mapped(bars_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The bars, as a large file is opened."""
    monkeypatch.setattr(idx, "IN_MEMORY", 100)
    return load(bars_folder, "train")


def test_mapped_images_are_those_of_the_file(mapped: ImageSet, bars: ImageSet, bars_folder: Path):
    assert torch.equal(mapped.images, bars.images)
    assert fingerprint(mapped) == fingerprint(load(bars_folder, "train"))
    file = bars_folder / "train-images-idx3-ubyte"
    assert torch.equal(open_idx(file), read_idx(file))


def test_a_training_copies_no_mapped_image(mapped: ImageSet, recipe: Recipe):
    """What is learnt from are rows of the file's own memory, whatever is held out."""
    rows, held_out = hold_out_rows(mapped, recipe.override({"validation": 30}), 0)
    assert rows is not None
    assert held_out is not None
    material = gather_images(mapped, recipe, 0, rows)
    assert material.images.data_ptr() == mapped.images.data_ptr()
    assert torch.equal(material.labels, mapped.labels[rows])
    assert torch.equal(material.gather(material.rows[:7]), mapped.images[rows[:7]])
    assert len(rows) + len(held_out) == len(mapped)
    assert set(rows.tolist()) & {0, 1, 2}


def test_files_that_cannot_be_mapped(bars_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(idx, "IN_MEMORY", 100)
    whole = (bars_folder / "train-images-idx3-ubyte").read_bytes()
    file = tmp_path / "train-images-idx3-ubyte"
    for content, message in (
        (whole[:-1], "is cut short"),
        (whole + b"0", "has foreign bytes"),
        (b"x" * 200, "not an IDX file"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_idx(file)
    with pytest.raises(DataError, match="cannot be read"):
        open_idx(tmp_path / "missing")
