"""Your own pictures, from folders and CSV files; each mistake gets its one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lenet.data.custom import sort_naturally
from lenet.data.datasets import load
from lenet.data.idx import write_idx
from lenet.errors import DataError


def draw(path: Path, level: int) -> Path:
    """A picture whose centre has the given grey level on black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((28, 28), dtype=np.uint8)
    image[9:19, 9:19] = level
    Image.fromarray(image).save(path)
    return path


def draw_classes(folder: Path, classes: dict[str, int]) -> Path:
    """`count` pictures for each class, each with a grey level of its own."""
    for number, (name, count) in enumerate(classes.items()):
        for at in range(count):
            draw(folder / name / f"{at}.png", 50 + 50 * number + at)
    return folder


def levels(images: torch.Tensor) -> list[int]:
    return images[:, 0, 14, 14].tolist()


def test_undivided_folder_is_split_four_to_one(tmp_path: Path) -> None:
    folder = draw_classes(tmp_path / "mine", {"2": 10, "10": 15, "b": 5})
    train, test = load(folder, "train"), load(str(folder), "test")
    assert train.classes == test.classes == ("2", "10", "b")
    assert train.labels.bincount().tolist() == [8, 12, 4]
    assert test.labels.bincount().tolist() == [2, 3, 1]
    assert len(set(levels(train.images)) | set(levels(test.images))) == 30
    assert torch.equal(load(folder, "test").images, test.images)
    # Grey levels tell which class was drawn: 50.., 100.., 150..
    assert [level // 50 - 1 for level in levels(train.images)] == train.labels.tolist()
    assert train.name == str(folder)
    assert not train.flips


def test_divided_folder(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"cat": 3, "dog": 2})
    draw_classes(tmp_path / "test", {"cat": 1, "dog": 1})
    (tmp_path / "read me.txt").write_text("about")
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"\0")
    assert load(tmp_path, "train").labels.tolist() == [0, 0, 0, 1, 1]
    assert load(tmp_path, "test").labels.tolist() == [0, 1]


def spoil_empty_class(folder: Path) -> None:
    (folder / "c").mkdir()


def spoil_one_class(folder: Path) -> None:
    for path in (folder / "b").iterdir():
        path.unlink()
    (folder / "b").rmdir()


def spoil_text(folder: Path) -> None:
    (folder / "a" / "notes.txt").write_text("hello")


def spoil_folder_in_class(folder: Path) -> None:
    (folder / "a" / "deeper").mkdir()


def spoil_cut_picture(folder: Path) -> None:
    path = folder / "b" / "0.png"
    path.write_bytes(path.read_bytes()[:50])


def spoil_lone_split(folder: Path) -> None:
    (folder / "train").mkdir()


def spoil_class_beside_splits(folder: Path) -> None:
    draw_classes(folder / "train", {"a": 1, "b": 1})
    draw_classes(folder / "test", {"a": 1, "b": 1})


def spoil_everything(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_empty_class, "/c: the class has no picture"),
        (spoil_one_class, "at least two"),
        (spoil_text, r"notes\.txt: not a picture"),
        (spoil_folder_in_class, "deeper: not a picture"),
        (spoil_cut_picture, r"0\.png: damaged or truncated"),
        (spoil_lone_split, "no test/"),
        (spoil_class_beside_splits, "a/ is beside"),
        (spoil_everything, "no class folders"),
    ],
)
def test_mistakes_in_folders(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    folder = draw_classes(tmp_path / "mine", {"a": 5, "b": 5})
    spoil(folder)
    with pytest.raises(DataError, match=words) as caught:
        [load(folder, split) for split in ("train", "test")]
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_class_that_is_only_tested(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"a": 1, "b": 1})
    draw_classes(tmp_path / "test", {"a": 1, "z": 1})
    with pytest.raises(DataError, match="class z has no training picture"):
        load(tmp_path, "test")


def write_csv(folder: Path, *lines: str) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_csv_with_splits_and_other_columns(tmp_path: Path) -> None:
    for at in range(4):
        draw(tmp_path / "in" / f"{at}.png", 100 + at)
    lines = [
        "writer,Path,label,split",
        "x,in/0.png,no,train",
        'y,"in/1.png",yes,test',
        "z,in/2.png,yes,TRAIN",
    ]
    path = write_csv(tmp_path, *lines, ",in/3.png,no,train")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as spreadsheets save it
    train, test = load(path, "train"), load(path, "test")
    assert (train.classes, levels(train.images), train.labels.tolist()) == (
        ("no", "yes"),
        [100, 102, 103],
        [0, 1, 0],
    )
    assert (levels(test.images), test.labels.tolist()) == ([101], [1])


def test_csv_without_splits_and_pictures_in_the_folder_of_its_name(tmp_path: Path) -> None:
    for at in range(10):
        draw(tmp_path / "mine" / f"{at}.png", 100 + at)
    path = write_csv(tmp_path, "file,label", *(f"{at}.png,{at % 2}" for at in range(10)))
    train, test = load(path, "train"), load(path, "test")
    assert (len(train), len(test)) == (8, 2)
    assert sorted(test.labels.tolist()) == [0, 1]
    assert all(level % 2 == label for level, label in zip(levels(train.images), train.labels, strict=True))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "needs a header"),
        (["a.png,1", "b.png,2"], "needs a header"),
        (["file,class", "a.png,1"], "needs a header"),
        (["file,label"], "0 class"),
        (["file,label", "a.png,1"], "1 class"),
        (["file,label", "a.png,1", "b.png,"], "line 3: label is empty"),
        (["file,label", "a.png,1", "b.png"], "line 3: label is empty"),
        (["file,label", ",1"], "line 2: file is empty"),
        (["file,label", "gone.png,1"], r"line 2: there is no file gone\.png"),
        (["file,label", "a.png,1", "../outside.png,2"], "line 3: .*outside"),
        (["file,label", "/etc/hostname,1"], "line 2: .*outside"),
        (["file,label", "link.png,1"], "line 2: .*outside"),
        (["file,label", "a\0.png,1"], r"line|cannot be read"),
        (["file,label", "a" * 5000 + ".png,1"], "not a file name"),
        (["file,label", "broken.png,1", "a.png,2"], r"broken\.png: not a picture"),
        (["file,label,split", "a.png,1,train", "b.png,2,dev"], "split is 'dev'"),
        (["file,label,split", "a.png,1,train", "b.png,2,"], "some have none"),
        (["file,label,split", "a.png,1,train", "b.png,2,train"], "no test pictures"),
        (["file,label", '"a.png,1'], "cannot be read as a CSV"),
        (["file,label", *["a.png,1", "b.png,2"] * 1001], r"line 2002: lists a\.png more than 1,000 times"),
    ],
)
def test_mistakes_in_csv_files(tmp_path: Path, lines: list[str], words: str) -> None:
    folder = tmp_path / "home"
    draw(folder / "a.png", 100)
    draw(folder / "b.png", 200)
    draw(tmp_path / "outside.png", 200)
    (folder / "link.png").symlink_to("/etc/hostname")
    (folder / "broken.png").write_bytes(b"broken")
    path = write_csv(folder, *lines)
    with pytest.raises(DataError, match=words) as caught:
        [load(path, split) for split in ("train", "test")]
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(b"file,label\n\xff\xfe\x00\n")
    with pytest.raises(DataError, match="cannot be read as a CSV"):
        load(path, "train")


def write_idx_pair(folder: Path, prefix: str, count: int) -> None:
    write_idx(folder / f"{prefix}-images.idx3-ubyte", torch.full((count, 20, 30), 9, dtype=torch.uint8))
    write_idx(folder / f"{prefix}-labels.idx1-ubyte", torch.arange(count, dtype=torch.uint8) % 3)


def test_folder_of_idx_files(tmp_path: Path) -> None:
    write_idx_pair(tmp_path, "train", 6)
    write_idx_pair(tmp_path, "t10k", 2)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert train.images.shape == (6, 1, 20, 30)
    assert train.classes == test.classes == ("0", "1", "2")
    assert test.labels.tolist() == [0, 1]
    write_idx_pair(tmp_path, "other-train", 6)
    with pytest.raises(DataError, match="both hold train images"):
        load(tmp_path, "train")


def test_folder_of_idx_files_that_do_not_fit(tmp_path: Path) -> None:
    write_idx_pair(tmp_path, "train", 6)
    with pytest.raises(DataError, match="no t10k-images"):
        load(tmp_path, "test")
    write_idx(tmp_path / "train-labels.idx1-ubyte", torch.zeros(5, dtype=torch.uint8))
    with pytest.raises(DataError, match="labels must be"):
        load(tmp_path, "train")
    write_idx(tmp_path / "train-images.idx3-ubyte", torch.zeros(5, dtype=torch.uint8))
    with pytest.raises(DataError, match="images must be"):
        load(tmp_path, "train")


def test_a_path_that_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or CSV"):
        load(tmp_path / "gone", "train")
    with pytest.raises(DataError, match="no such folder or CSV"):
        load(str(tmp_path / "gone"), "train")
    with pytest.raises(DataError, match="no data set is called"):
        load("gone", "train")
    (tmp_path / "picture.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"neither a folder nor a \.csv"):
        load(tmp_path / "picture.png", "train")


def test_natural_order() -> None:
    names = ["10", "2", "a10", "B", "a2", "2", "b", "Ä", "1"]
    assert sort_naturally(names) == ["1", "2", "10", "a2", "a10", "B", "b", "Ä"]
    assert sort_naturally(["x10", "x09", "x1", "x0", "x00"]) == ["x0", "x00", "x1", "x09", "x10"]
    assert sort_naturally(["9" * 5000, "2", "1" + "0" * 5000]) == ["2", "9" * 5000, "1" + "0" * 5000]


@given(st.binary(max_size=120), st.booleans())
def test_any_csv_gives_a_set_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, headed: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "mine.csv"
    path.write_bytes((b"file,label,split\n" if headed else b"") + content)
    with pytest.raises(DataError) as caught:  # there is no picture that it could name
        load(path, "train")
    assert "\n" not in str(caught.value)
