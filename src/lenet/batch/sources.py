"""The pictures of folders and of buckets: listing them in an order that can be resumed, and fetching them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO

from lenet.batch.buckets import SCHEME, StoredPicture, list_objects
from lenet.batch.folders import SKIPPED_SUFFIXES, find_pictures
from lenet.errors import PictureError, ResultsError
from lenet.images.decoding import MAX_BYTES

Entry = tuple[str, int | None]
"""The name of a picture, and its size in bytes if it is in a bucket."""
NamedPicture = tuple[str, Path | bytes | StoredPicture]
AHEAD = 8  # pictures that are fetched while another one is read


def list_entries(given: Sequence[str], after: str = "") -> Iterator[Entry]:
    """Yield the pictures of `given`, files, folders and s3:// URLs, sorted within each.

    With `after`, the name of one of them, only those that follow it. What is no picture is omitted as in
    `find_pictures`. Raises ResultsError when S3 cannot be listed.
    """
    if after:
        given = given[next(place for place, name in enumerate(given) if _is_within(after, name)) :]
    for name in given:
        if name.startswith(SCHEME):
            yield from _list_bucket(name, after)
        else:
            known = Path(after).parts if after else ()
            # The walk is sorted by name at each level, as tuples of names are.
            yield from ((each, None) for each, path in find_pictures([name]) if path.parts > known)
        after = ""


def _list_bucket(url: str, after: str) -> Iterator[Entry]:
    above = url.rstrip("/")
    for name, size in list_objects(url, after):
        below = name[len(above) :].strip("/") or PurePosixPath(name).name
        is_hidden = any(part.startswith(".") for part in below.split("/"))
        suffix = PurePosixPath(below).suffix.lower()
        if not name.endswith("/") and not is_hidden and (suffix not in SKIPPED_SUFFIXES or name == url):
            yield name, size


def check_overlap(given: Sequence[str]) -> None:
    """Raise PictureError for what is within another one of the files, folders and URLs."""
    # In this order, what is within another one follows it.
    for (above, other), (path, name) in pairwise(sorted((_split(name), name) for name in given)):
        if path[: len(above)] == above:
            raise PictureError(f"{name}: is within {other}, so it would be read twice; name one of them")


def _is_within(name: str, other: str) -> bool:
    path, above = _split(name), _split(other)
    return path[: len(above)] == above


def _split(name: str) -> tuple[str, ...]:
    """The parts of an absolute path, or of a URL, which begins with s3:."""
    if name.startswith(SCHEME):
        return tuple(name.rstrip("/").split("/"))
    return Path(os.path.abspath(name)).parts  # noqa: PTH100 - as written


def locate(entry: Entry) -> NamedPicture:
    """The picture of an entry, which is not fetched yet."""
    name, size = entry
    return name, Path(name) if size is None else StoredPicture(name, size)


def check_sight(entries: Sequence[Entry]) -> None:
    """Raise ResultsError if this machine can open neither the first nor the last of several pictures.

    Otherwise a disk that is not mounted, or missing permission, would give rows of errors for hours.
    """
    faults = []
    for name, size in (entries[0], entries[-1]):
        try:
            if size is None:
                Path(name).stat()
            else:
                StoredPicture(name, size).check()
        except PictureError as error:
            faults.append(str(error))
        except (OSError, ValueError) as error:
            faults.append(f"{name}: {getattr(error, 'strerror', error)}")
    if len(faults) == 2 and len(entries) > 1:
        raise ResultsError(f"{faults[0]}, and neither can others: no permission, or a disk is not mounted?")


def _give(picture: Path | bytes) -> Path | bytes:
    return picture


def fetch_ahead(
    pictures: Iterable[NamedPicture],
) -> Iterator[tuple[str, Callable[[], Path | bytes | IO[bytes]]]]:
    """Yield the name of each picture and a function that gives its content or raises why there is none.

    Pictures of buckets are fetched by threads while earlier ones are read: at most AHEAD, and of twice
    MAX_BYTES in all.
    """
    coming = iter(pictures)
    waiting: deque[tuple[str, int, Callable[[], Path | bytes | IO[bytes]]]] = deque()
    with ThreadPoolExecutor(AHEAD) as threads:
        try:
            while True:
                is_room = len(waiting) < AHEAD and sum(size for _, size, _ in waiting) < MAX_BYTES
                if is_room and (named := next(coming, None)) is not None:
                    name, picture = named
                    if isinstance(picture, StoredPicture):
                        size = min(picture.size, MAX_BYTES)
                        waiting.append((name, size, threads.submit(picture.fetch).result))
                    else:
                        waiting.append((name, 0, partial(_give, picture)))
                elif waiting:
                    name, _, fetch = waiting.popleft()
                    yield name, fetch
                else:
                    return
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
