"""Your own labelled pictures: a folder with one folder per class, or a CSV of files and labels."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet.data.sources import SPLITS, Split
from lenet.errors import DataError

_MAX_PICTURES = 1_000_000
_LITTER = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Example:
    """One labelled picture, not yet opened."""

    path: Path
    label: str
    split: Split | None
    """None where the owner has not divided the pictures."""


def list_class_folders(folder: Path) -> list[Example]:
    """The pictures in `folder/CLASS/`, or in `folder/train/CLASS/` and `folder/test/CLASS/`.

    Files that begin with a dot, and loose files beside the folders, are left alone.
    Raises DataError for a missing or empty folder, a folder where a picture belongs, or a lone split.
    """
    divided = [split for split in SPLITS if (folder / split).is_dir()]
    if not divided:
        return _list_classes(folder, None)
    if len(divided) == 1:
        absent = "test" if divided == ["train"] else "train"
        raise DataError(f"{folder}: there is {divided[0]}/ but no {absent}/; add it, or move the classes up")
    others = [entry.name for entry in list_visible(folder) if entry.is_dir() and entry.name not in SPLITS]
    if others:
        raise DataError(f"{folder}: {others[0]}/ lies beside train/ and test/; move it into one of them")
    return [example for split in SPLITS for example in _list_classes(folder / split, split)]


def list_csv(path: Path) -> list[Example]:
    """The pictures that a CSV names: columns `file` (or `path`) and `label`, and `split` where there is one.

    Files lie beside the CSV, or in the folder beside it that has its name (`digits/` for `digits.csv`), never
    outside the folder of the CSV. Other columns are ignored.
    Raises DataError, naming the file and the line, for a missing column, value or picture.
    """
    examples: list[Example] = []
    try:
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
                examples.append(_parse_row(row, place, path, f"{path}, line {rows.line_num}"))
                if len(examples) > _MAX_PICTURES:
                    raise DataError(f"{path}: names more than {_MAX_PICTURES} pictures; divide it")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a CSV ({reason}); save it as UTF-8 text") from error
    splits = {example.split for example in examples}
    if None in splits and len(splits) > 1:
        raise DataError(f"{path}: some rows have a split and some have none; fill the column or remove it")
    return examples


def sort_naturally(names: Sequence[str]) -> list[str]:
    """Each name once, numbers by value: 2 before 10, and b before C."""

    def key(name: str) -> tuple[list[tuple[int, str]], str]:
        parts = re.split(r"([0-9]+)", name.casefold())
        return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)], name

    return sorted(set(names), key=key)


def list_visible(folder: Path) -> list[Path]:
    """What lies in a folder, in a fixed order, without what systems leave behind."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
    return [
        entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in _LITTER
    ]


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
        raise DataError(f"{folder}: has no class folders; put the pictures of each class into one of its own")
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
            raise DataError(f"{where}: {name[:80]!r} is no file name") from error
        if not picture.is_relative_to(home):
            raise DataError(f"{where}: {name} lies outside the folder of the CSV; move the picture into it")
        if found:
            return picture
    raise DataError(f"{where}: there is no file {name} beside it; names are relative to the CSV")
