"""Where the results of many machines lie: a folder, or a prefix of a bucket. Files appear whole, and once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lenet.batch.buckets import SCHEME, connect, explain_faults, find_code, list_objects, split_url
from lenet.files import create_bytes

LARGEST_PUT = 2**32  # bytes that s3fs sends in one request


class Store(Protocol):
    """Named files. Names are of this package, such as parts/00000000.jsonl."""

    @property
    def place(self) -> str:
        """The place as given: a path or a URL."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file, which appears whole; False, and nothing is written, if there is one of this name."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is no such file."""

    def list(self, folder: str) -> list[str]:
        """The names of the files in a folder, without the folder, sorted."""


@dataclass(frozen=True)
class FolderStore:
    """Files in a folder, which all machines see under the same path."""

    place: str

    def create(self, name: str, content: bytes) -> bool:
        """Write a file. Raises OSError."""
        return create_bytes(Path(self.place, name), content)

    def read(self, name: str) -> bytes | None:
        """The content of a file. Raises OSError."""
        try:
            return Path(self.place, name).read_bytes()
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> list[str]:
        """The names of the files in a folder. Raises OSError."""
        path = Path(self.place, folder)
        return sorted(file.name for file in path.iterdir() if file.name[0] != ".") if path.is_dir() else []


@dataclass(frozen=True)
class BucketStore:
    """Objects below an s3:// URL. Each is written by one request, which S3 refuses if the object exists."""

    place: str

    def create(self, name: str, content: bytes) -> bool:
        """Write an object. Raises ResultsError."""
        with explain_faults(self.place):
            try:
                connect().pipe_file(self._path(name), content, mode="create", chunksize=LARGEST_PUT)
            except FileExistsError:
                return False
            except OSError as error:
                if find_code(error) != "PreconditionFailed":
                    raise
                return False
        return True

    def read(self, name: str) -> bytes | None:
        """The content of an object. Raises ResultsError."""
        with explain_faults(self.place):
            try:
                content: bytes = connect().cat_file(self._path(name), max_concurrency=1)
            except FileNotFoundError as error:
                if find_code(error) == "NoSuchBucket":
                    raise
                return None
        return content

    def list(self, folder: str) -> list[str]:
        """The names of the objects in a folder. Raises ResultsError."""
        above = f"{self.place.rstrip('/')}/{folder}/"
        return [url.removeprefix(above) for url, _ in list_objects(above)]

    def _path(self, name: str) -> str:
        return f"{self.place.removeprefix(SCHEME).rstrip('/')}/{name}"


def open_store(place: str) -> Store:
    """The store at a path or an s3:// URL. Raises ResultsError for a URL without a bucket."""
    if place.startswith(SCHEME):
        split_url(place)
        return BucketStore(place)
    return FolderStore(place)
