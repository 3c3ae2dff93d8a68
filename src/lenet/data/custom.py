"""Custom data: a folder of class folders, a CSV of files and labels, or a folder of IDX files."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lenet.data.idx import open_idx, read_idx
from lenet.data.imageset import SPLIT_SEED, ImageSet, split_stratified
from lenet.data.sources import SPLITS, Split
from lenet.errors import DataError, PictureError
from lenet.images.decoding import decode
from lenet.images.framing import frame_full_image

CLASSES = "classes.txt"  # beside IDX files: the names of the classes, where the labels do not tell all
_MAX_PICTURES = 1_000_000
_MAX_CLASSES = 10_000
_MAX_REPEATS = 1000  # of one picture in a CSV: a short text must not list a million pictures
_MAX_SIDE = 512  # pixels, as the largest input of a network
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_TEST_SHARE = 0.2  # of pictures without a split


@dataclass(frozen=True)
class Example:
    """A labelled picture that is not opened yet."""

    path: Path
    label: str
    split: Split | None
    """None if the pictures are not split."""


def list_class_folders(folder: Path) -> list[Example]:
    """The pictures in `folder/CLASS/`, or in `folder/train/CLASS/` and `folder/test/CLASS/`.

    Files whose name begins with a dot, and files beside the folders, are ignored.
    Raises DataError for a missing or empty folder, a folder inside a class folder, or a single split.
    """
    divided = [split for split in SPLITS if (folder / split).is_dir()]
    if not divided:
        return _list_classes(folder, None)
    if len(divided) == 1:
        absent = "test" if divided == ["train"] else "train"
        raise DataError(f"{folder}: has {divided[0]}/ but no {absent}/; add it, or move the classes up")
    others = [entry.name for entry in list_visible(folder) if entry.is_dir() and entry.name not in SPLITS]
    if others:
        raise DataError(f"{folder}: {others[0]}/ is beside train/ and test/; move it into one of them")
    return [example for split in SPLITS for example in _list_classes(folder / split, split)]


def list_csv(path: Path) -> list[Example]:
    """The pictures that a CSV lists: columns `file` (or `path`) and `label`, and optionally `split`.

    Paths are relative to the CSV, or to the folder beside it of the same name (`digits/` for `digits.csv`),
    and stay inside the folder of the CSV. Other columns are ignored.
    Raises DataError, naming the file and the line, for a missing column, value or picture.
    """
    examples: list[Example] = []
    labels: set[str] = set()
    listed: Counter[str] = Counter()
    try:
        with path.open("rb") as lines:
            # Looking for a million files takes minutes, counting lines takes none.
            if (
                sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))
                > _MAX_PICTURES + 1
            ):
                raise DataError(f"{path}: has more than {_MAX_PICTURES} lines; divide it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            columns = [column.strip().lower() for column in rows.fieldnames or ()]
            rows.fieldnames = columns
            place = next((column for column in ("file", "path") if column in columns), None)
            if place is None or "label" not in columns:
                raise DataError(
                    f"{path}: needs a header with the columns file and label, such as `file,label`"
                )
            for row in rows:
                name = row.get(place) or ""
                listed[name] += 1
                if listed[name] > _MAX_REPEATS:
                    raise DataError(
                        f"{path}, line {rows.line_num}: lists {name[:80]} more than {_MAX_REPEATS:,} times; "
                        "list each picture once"
                    )
                examples.append(_parse_row(row, place, path, f"{path}, line {rows.line_num}"))
                labels.add(examples[-1].label)
                if len(labels) > _MAX_CLASSES:
                    raise DataError(
                        f"{path}, line {rows.line_num}: more than {_MAX_CLASSES:,} different labels; "
                        "is the column a class?"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a CSV ({reason}); save it as UTF-8 text") from error
    splits = {example.split for example in examples}
    if None in splits and len(splits) > 1:
        raise DataError(f"{path}: some rows have a split and some have none; fill the column or remove it")
    return examples


def sort_naturally(names: Sequence[str]) -> list[str]:
    """The distinct names, sorted without case and with numbers by value: 2 before 10, b before C."""

    def key(name: str) -> tuple[list[tuple[int, str]], str]:
        # A number without leading zeros is larger if it is longer; Python converts no number of 5,000 digits.
        parts = re.split(r"0*([0-9]+)", name.casefold())
        return [(len(part) if index % 2 else 0, part) for index, part in enumerate(parts)], name

    return sorted(set(names), key=key)


def list_visible(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden files and files of the operating system."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _SYSTEM_FILES]


def _list_classes(folder: Path, split: Split | None) -> list[Example]:
    examples: list[Example] = []
    for entry in list_visible(folder):
        if not entry.is_dir():
            continue
        pictures = list_visible(entry)
        if not pictures:
            raise DataError(f"{entry}: the class has no picture; add some or remove the folder")
        for picture in pictures:
            if not picture.is_file():
                raise DataError(f"{picture}: not a picture; a class folder holds pictures only")
            examples.append(Example(picture, entry.name, split))
        if len(examples) > _MAX_PICTURES:
            raise DataError(f"{folder}: holds more than {_MAX_PICTURES} pictures; divide it")
    if not examples:
        raise DataError(f"{folder}: has no class folders; put the pictures of each class into one folder")
    return examples


def _parse_row(row: dict[str, str | None], place: str, table: Path, where: str) -> Example:
    name, label = ((row.get(column) or "").strip() for column in (place, "label"))
    if not name or not label:
        raise DataError(f"{where}: {place if not name else 'label'} is empty; fill it or remove the line")
    split = (row.get("split") or "").strip().lower()
    if split not in ("", *SPLITS):
        raise DataError(f"{where}: split is {split!r}; it must be train or test")
    picture = _find_picture(name, table, where)
    return Example(picture, label, None if not split else "train" if split == "train" else "test")


def _find_picture(name: str, table: Path, where: str) -> Path:
    home = table.parent.resolve()
    for root in (home, home / table.stem):
        try:
            picture = (root / name).resolve()
            found = picture.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, too long, a loop of links
            raise DataError(f"{where}: {name[:80]!r} is not a file name") from error
        if not picture.is_relative_to(home):
            raise DataError(f"{where}: {name} lies outside the folder of the CSV; move the picture into it")
        if found:
            return picture
    raise DataError(f"{where}: there is no file {name} beside it; names are relative to the CSV")


def load_custom(path: Path, split: Split) -> ImageSet:
    """The training or test images of a folder of class folders, a folder of IDX files, or a CSV.

    Raises DataError when `path` is none of these or damaged.
    """
    examples = list_pictures(path)
    return _load_idx_folder(path, split) if examples is None else _load_pictures(examples, split, path)


def list_pictures(path: Path) -> list[Example] | None:
    """The pictures of a folder of class folders or a CSV; None for a folder of IDX files.

    Raises DataError when `path` is none of these or damaged.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return list_csv(path)
    if path.is_dir():
        return None if any(_is_idx(entry) for entry in list_visible(path)) else list_class_folders(path)
    if path.exists():
        raise DataError(
            f"{path}: neither a folder nor a .csv; `lenet data import` takes files of known data sets"
        )
    raise DataError(f"{path}: there is no such folder or CSV")


def _load_pictures(examples: list[Example], split: Split, path: Path) -> ImageSet:
    classes = sort_naturally([example.label for example in examples])
    if len(classes) < 2:
        raise DataError(f"{path}: {len(classes)} class; a network needs at least two to tell apart")
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers[example.label] for example in examples])
    if examples[0].split is None:
        count = max(1, round(len(examples) * _TEST_SHARE))
        train, test = split_stratified(labels, count, SPLIT_SEED)
        chosen = (train if split == "train" else test).tolist()
    else:
        chosen = [index for index, example in enumerate(examples) if example.split == split]
        untaught = set(classes) - {example.label for example in examples if example.split == "train"}
        if untaught:
            raise DataError(f"{path}: class {min(untaught)} has no training picture; add some")
    if not chosen:
        raise DataError(f"{path}: has no {split} pictures; add some, or remove the split")
    images = np.stack([load_picture(examples[index].path) for index in chosen])
    tensor = torch.from_numpy(images).unsqueeze(1)
    return ImageSet(tensor, labels[chosen], tuple(classes), str(path), full_image=True)


def load_picture(path: Path) -> np.ndarray:
    """A picture as an image (28, 28) uint8, by full-image preprocessing. Raises DataError with the path."""
    try:
        return frame_full_image(decode(path))
    except PictureError as error:
        raise DataError(str(error)) from error


def _load_idx_folder(folder: Path, split: Split) -> ImageSet:
    """A folder of IDX files with MNIST's names; large unpacked images are memory-mapped.

    The classes are the lines of its classes.txt, or the numbers from 0 to the largest label.
    """
    images = open_idx(_find_idx(folder, split, "images"))
    labels = read_idx(_find_idx(folder, split, "labels"))
    if images.dtype != torch.uint8 or images.dim() != 3:
        raise DataError(f"{folder}: the {split} images must be bytes (N, H, W), not {tuple(images.shape)}")
    if max(images.shape[1:]) > _MAX_SIDE:
        height, width = images.shape[1:]
        raise DataError(
            f"{folder}: its images have {height} × {width} pixels; at most {_MAX_SIDE} a side are read"
        )
    if labels.dim() != 1 or labels.numel() == 0:
        raise DataError(
            f"{folder}: the {split} labels must be one number per image, not {tuple(labels.shape)}"
        )
    try:
        training = labels if split == "train" else read_idx(_find_idx(folder, "train", "labels"))
    except DataError:
        training = labels  # a folder may hold only test files
    count = int(training.max()) + 1 if training.numel() else 0
    if count > _MAX_CLASSES:
        raise DataError(f"{folder}: a label is {count - 1}; at most {_MAX_CLASSES:,} classes are read")
    classes = _read_classes(folder / CLASSES) or tuple(map(str, range(count)))
    return ImageSet(images.unsqueeze(1), labels.long(), classes, str(folder))


def _read_classes(file: Path) -> tuple[str, ...]:
    """The names in classes.txt, one a line; () where there is no such file."""
    if not file.exists():
        return ()
    try:
        classes = tuple(file.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); save it as UTF-8 text") from None
    if not 1 < len(classes) == len(set(classes)) <= _MAX_CLASSES:
        raise DataError(f"{file}: must name each class once, in at least two lines")
    return classes


def _is_idx(path: Path) -> bool:
    return path.is_file() and ("idx3" in path.name or "idx1" in path.name)


def _find_idx(folder: Path, split: Split, kind: str) -> Path:
    prefixes = ("train",) if split == "train" else ("t10k", "test")
    found = [
        entry
        for entry in list_visible(folder)
        if _is_idx(entry) and kind in entry.name and any(prefix in entry.name for prefix in prefixes)
    ]
    if not found:
        raise DataError(f"{folder}: there is no {prefixes[0]}-{kind} IDX file in it")
    if len({entry.name.removesuffix(".gz") for entry in found}) > 1:
        raise DataError(
            f"{folder}: {found[0].name} and {found[1].name} both hold {split} {kind}; keep one set"
        )
    return found[0]
