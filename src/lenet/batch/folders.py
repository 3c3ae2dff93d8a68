"""The pictures in folders, one by one, in an order that is the same everywhere."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# What lies beside pictures to describe them. Every other file is taken for a picture until its content says
# otherwise: a picture may have any name, and one that cannot be read should be heard of.
NO_PICTURES = frozenset(
    (".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".toml", ".tsv", ".txt", ".xml")
)


def find_pictures(given: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each picture: of what is given, files as they are, folders file by file.

    A folder is walked as it is read, sorted by name at each level; only the names of one level of each open
    folder are in memory. Left out are what is hidden, what is no regular file, links that lead back into a
    folder they lie in, and files whose suffix is in NO_PICTURES. A folder that cannot be listed is yielded
    itself, so that whoever reads it meets the reason.
    """
    for name in given:
        path = Path(name)
        if path.is_dir():
            for file in _walk(path):
                yield file.as_posix(), file
        else:
            yield name, path


def _walk(top: Path) -> Iterator[Path]:
    # A stack and not recursion: paths can be deeper than Python's frames.
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
            elif entry.is_file() and Path(entry.name).suffix.lower() not in NO_PICTURES:
                yield Path(entry.path)
        except OSError:
            if (
                not entry.is_symlink()
            ):  # a link to itself leads nowhere; a folder that is closed to us is news
                yield Path(entry.path)


def _list(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)


def _identity(folder: os.PathLike[str]) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - of an entry as of a path
    return status.st_dev, status.st_ino
