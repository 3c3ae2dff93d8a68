"""Lists the pictures of folders one by one, in an order that does not depend on the system."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Suffixes of files that describe pictures. Every other file counts as a picture, since a picture may have any
# name, and one that cannot be read must be reported.
SKIPPED_SUFFIXES = frozenset(
    (".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".toml", ".tsv", ".txt", ".xml")
)


def find_pictures(given: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each picture in `given`, a list of files and folders.

    Folders are walked lazily, sorted by name at each level; only the names of one level of each open folder
    are in memory. Omitted are hidden files, files that are not regular, links to a folder that contains them,
    and files with a suffix in SKIPPED_SUFFIXES. A folder that cannot be listed is yielded itself, so that
    reading it reports the reason.
    """
    for name in given:
        path = Path(name)
        if path.is_dir():
            for file in _walk(path):
                yield file.as_posix(), file
        else:
            yield name, path


def _walk(top: Path) -> Iterator[Path]:
    # A stack instead of recursion: paths can be deeper than Python's recursion limit.
    try:
        open_folders = [(_identity(top), iter(_list(top)))]
    except OSError:
        yield top
        return
    while open_folders:
        entry = next(open_folders[-1][1], None)
        if entry is None:
            open_folders.pop()
            continue
        try:
            if entry.is_dir():
                identity = _identity(entry)
                if all(identity != other for other, _ in open_folders):
                    open_folders.append((identity, iter(_list(entry))))
            elif entry.is_file() and Path(entry.name).suffix.lower() not in SKIPPED_SUFFIXES:
                yield Path(entry.path)
        except OSError:
            if not entry.is_symlink():  # a link to itself is omitted, a folder without permission is reported
                yield Path(entry.path)


def _list(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)


def _identity(folder: os.PathLike[str]) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - works for entries and paths
    return status.st_dev, status.st_ino
