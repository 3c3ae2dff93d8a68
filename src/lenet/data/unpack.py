"""gzip, unpacked with a limit: a small file that swells to gigabytes costs bounded memory."""

import zlib
from pathlib import Path

from lenet.errors import DataError

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20


def read_unpacked(path: Path, max_bytes: int) -> bytes:
    """Read a file, unpacking it if its first bytes say gzip (its name says nothing).

    Raises DataError, naming the file, when it cannot be read, is damaged, or holds more than `max_bytes`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if content[:2] == _GZIP:
        return gunzip(content, max_bytes, str(path))
    if len(content) > max_bytes:
        raise DataError(f"{path}: larger than {max_bytes} bytes; this is no data set that fits in memory")
    return content


def gunzip(content: bytes, max_bytes: int, name: str) -> bytes:
    """Unpack gzip, one piece at a time, and stop at `max_bytes`; `name` is what an error calls it.

    Several gzip members one after another are one stream, as the format says; zero padding may follow.
    Raises DataError when the stream is damaged, cut short, or unpacks to more than `max_bytes`.
    """
    pieces: list[bytes] = []
    total = 0
    rest = content
    try:
        while rest.strip(b"\0"):
            member = zlib.decompressobj(wbits=31)  # 31: a gzip header and its checksum
            while not member.eof:
                piece = member.decompress(rest, _PIECE)
                rest = member.unconsumed_tail
                total += len(piece)
                if total > max_bytes:
                    raise DataError(f"{name}: unpacks to more than {max_bytes} bytes; refused")
                if not piece and not rest and not member.eof:
                    raise DataError(f"{name}: cut short in the middle of its gzip stream; fetch it again")
                pieces.append(piece)
            rest = member.unused_data
    except zlib.error as error:
        raise DataError(f"{name}: damaged gzip stream ({error}); fetch it again") from error
    return b"".join(pieces)
