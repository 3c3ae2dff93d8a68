"""Unpacks gzip with a size limit, so that a small file that unpacks to gigabytes needs bounded memory."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lenet.errors import DataError

_GZIP = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20


def read_unpacked(path: Path, max_bytes: int) -> bytearray:
    """Read a file; unpack it if its first bytes are those of gzip, whatever its name.

    Raises DataError, naming the file, when it cannot be read, is damaged, or holds more than `max_bytes`.
    """
    with open_unpacked(path) as stream:
        content = read_up_to(stream, max_bytes + 1)
        if len(content) > max_bytes:
            raise DataError(f"{path}: holds more than the {max_bytes} bytes expected; fetch it again")
        return content


def read_up_to(stream: BinaryIO, count: int, content: bytearray | None = None) -> bytearray:
    """Read until `content` (by default empty) has `count` bytes; memory is allocated as bytes arrive."""
    content = bytearray() if content is None else content
    while chunk := stream.read(min(_CHUNK_BYTES, count - len(content))):
        content += chunk
    return content


def is_packed(head: bytes) -> bool:
    """Whether a file that begins with these bytes is packed with gzip."""
    return head.startswith(_GZIP)


@contextmanager
def open_unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or gzip, as a stream of its unpacked bytes.

    Raises DataError, naming the file, for any error while it is open.
    """
    try:
        with path.open("rb") as file, unpacking(file, str(path)) as stream:
            yield stream
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def unpacking(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Yield a stream of the unpacked bytes of an open, seekable file; error messages name it `name`.

    Raises DataError when the gzip stream is damaged or cut short.
    """
    is_plain = not is_packed(file.read(len(_GZIP)))
    file.seek(0)
    if is_plain:
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            yield stream  # type: ignore[misc]  # GzipFile reads like a binary file
    except EOFError as error:
        raise DataError(f"{name}: its gzip stream is cut short; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: its gzip stream is damaged; fetch it again") from error
