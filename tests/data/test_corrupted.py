"""The published files are read where they are, and strangers' files are not trusted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lenet.data.corrupted import is_published, load_corrupted, load_published
from lenet.errors import DataError
from lenet.images.corruptions import CORRUPTIONS

NAMES = ("identity", *CORRUPTIONS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen folders as they are published, five images in each."""
    random = np.random.default_rng(0)
    for name in NAMES:
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "test_images.npy", random.integers(0, 256, (5, 28, 28, 1), np.uint8))
        np.save(tmp_path / name / "test_labels.npy", np.array([7, 2, 1, 0, 9]))
    return tmp_path


def test_all_sixteen_are_read(folder: Path):
    assert is_published(folder)
    assert not is_published(folder / "fog")
    loaded = load_published(folder)
    assert tuple(loaded) == NAMES
    for name, data in loaded.items():
        images = np.load(folder / name / "test_images.npy")
        assert torch.equal(data.images[:, 0], torch.from_numpy(images[..., 0]))
        assert data.labels.tolist() == [7, 2, 1, 0, 9]
        assert data.classes == tuple("0123456789")
    assert torch.equal(load_corrupted(folder, "test")["fog"].images, loaded["fog"].images)


def test_other_layouts_of_the_same_numbers(folder: Path):
    images = np.load(folder / "fog" / "test_images.npy")
    np.save(folder / "fog" / "test_images.npy", np.asfortranarray(images[..., 0]))
    np.save(folder / "fog" / "test_labels.npy", np.array([7, 2, 1, 0, 9], dtype=">i4"))
    data = load_published(folder)["fog"]
    assert torch.equal(data.images[:, 0], torch.from_numpy(images[..., 0]))
    assert data.labels.tolist() == [7, 2, 1, 0, 9]


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("test_images.npy", np.zeros((5, 28, 28, 3), np.uint8), "uint8 .N, 28, 28, 1."),
        ("test_images.npy", np.zeros((5, 32, 32, 1), np.uint8), "uint8 .N, 28, 28, 1."),
        ("test_images.npy", np.zeros((5, 28, 28, 1), np.float32), "uint8 .N, 28, 28, 1."),
        ("test_images.npy", np.zeros(5, [("a", "u1")]), "uint8 .N, 28, 28, 1."),
        ("test_labels.npy", np.zeros(4, np.int64), "5 integers"),
        ("test_labels.npy", np.zeros((5, 1), np.int64), "5 integers"),
        ("test_labels.npy", np.zeros(5), "5 integers"),
        ("test_labels.npy", np.full(5, 10), "label"),
        ("test_labels.npy", np.full(5, -1), "label"),
        ("test_labels.npy", np.zeros(0, np.int64), "no file of MNIST-C"),
    ],
)
def test_wrong_arrays_are_refused(folder: Path, file: str, array: np.ndarray, message: str):
    np.save(folder / "fog" / file, array)
    with pytest.raises(DataError, match=message):
        load_published(folder)


def test_objects_are_never_unpickled(folder: Path):
    np.save(folder / "fog" / "test_labels.npy", np.array([print, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no file of MNIST-C"):
        load_published(folder)


def test_a_file_that_promises_more_than_it_holds_is_refused(folder: Path):
    path = folder / "fog" / "test_images.npy"
    whole = path.read_bytes()
    for content, message in (
        (whole[:-1], "its header says"),
        (whole + b"0", "its header says"),
        (whole[:40], "not an .npy file"),
        (b"", "not an .npy file"),
        (b"PK\x03\x04" + whole, "not an .npy file"),
        (whole.replace(b"(5, 28, 28, 1)", b"(9999999999,) "), "no file of MNIST-C"),
        (whole.replace(b"(5, 28, 28, 1)", b"(-5, -28, 28,)"), "its header says|no file"),
        (whole.replace(b"'|u1'", b"'|Ou'"), "not an .npy file"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as refused:
            load_published(folder)
        assert "\n" not in str(refused.value)
        assert str(path) in str(refused.value)


def test_a_missing_part_is_named(folder: Path):
    (folder / "zigzag" / "test_labels.npy").unlink()
    with pytest.raises(DataError, match=r"zigzag.test_labels\.npy: there is no such file; all sixteen"):
        load_published(folder)
