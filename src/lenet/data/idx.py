"""Reads and writes IDX files, the format of MNIST and related data sets, with strict checks.

A file is a magic number, the sizes, then the values in row-major order, all big-endian:

    00 00 TT RR   TT: value type (08 unsigned byte, 0C 32-bit integer), RR: number of dimensions
    N1 N2 … NR    the sizes, unsigned 32-bit integers
    values        N1 × N2 × … × NR values, and nothing after them

Source: the description published with MNIST (LeCun, Cortes and Burges).
"""

import struct
import sys
import warnings
from math import prod
from os import SEEK_END
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lenet.data.unpack import is_packed, open_unpacked, read_up_to
from lenet.errors import DataError
from lenet.files import write_bytes

MAX_BYTES = 1 << 30
"""The maximum size of an unpacked file; MNIST's largest file has 47 million bytes."""
IN_MEMORY = 1 << 28
"""Unpacked files of images beyond so many bytes are memory-mapped."""
MAX_PACKING = 100
"""The maximum ratio of unpacked to packed bytes of a file beyond _LARGE bytes; gzip makes up to 1000 of blank
images, and 3 to 10 of images of digits."""

_LARGE = 100_000_000
_MAX_RANK = 8
_MAX_HEADER_BYTES = 4 + 4 * _MAX_RANK
# QMNIST's labels are 32-bit integers; all other files hold bytes.
_TYPES = {0x08: (torch.uint8, 1), 0x0C: (torch.int32, 4)}


def read_idx(path: Path, max_bytes: int = MAX_BYTES) -> Tensor:
    """Read an IDX file, plain or gzip; its first bytes decide which.

    Returns a uint8 or int32 tensor with the type and the sizes of the file. Unpacks at most the bytes that
    the header states, and at most `max_bytes`.
    Raises DataError, naming the file, when it is missing, damaged, or too large.
    """
    with open_unpacked(path) as stream:
        content = read_up_to(stream, _MAX_HEADER_BYTES)
        expected = _parse_header(content, str(path))[-1]
        if expected > max_bytes:
            raise DataError(
                f"{path}: its header promises {expected} bytes; at most {max_bytes} are read into "
                "memory; unpack a file of images to train from the disk"
            )
        held = path.stat().st_size
        if expected > max(_LARGE, MAX_PACKING * held):
            raise DataError(
                f"{path}: its header promises {expected} bytes, too many for a file of {held}; fetch it again"
            )
        # One byte more than expected shows whether anything follows.
        content = read_up_to(stream, max(len(content), expected + 1), content)
    return decode_idx(content, str(path))


def open_idx(path: Path) -> Tensor:
    """As `read_idx`, but the bytes of a large unpacked file are memory-mapped: it may have any size.

    The system reads pages of the file when they are first used, and drops them when memory is short. Writing
    to the tensor, or cutting the file short while it is in use, ends the process.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MAX_HEADER_BYTES)
            held = file.seek(0, SEEK_END)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if held <= IN_MEMORY or is_packed(head):
        return read_idx(path)
    dtype, width, sizes, expected = _parse_header(head, str(path))
    if dtype != torch.uint8 or held != expected:  # other values would have to be reordered
        return read_idx(path)
    values = np.memmap(path, np.uint8, "r", offset=expected - width * prod(sizes), shape=sizes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(values)


def decode_idx(content: bytes | bytearray, name: str) -> Tensor:
    """Convert the bytes of an unpacked IDX file to a tensor; error messages name the bytes `name`.

    A bytearray is not copied: the tensor shares its memory, and 32-bit integers are reordered in it.
    Raises DataError when the magic number, the type, the sizes or the length are wrong.
    """
    dtype, width, sizes, expected = _parse_header(content, name)
    if len(content) != expected:
        fault = "is cut short" if len(content) < expected else "has foreign bytes at its end"
        raise DataError(f"{name}: {fault} (its header promises {expected} bytes); fetch it again")
    start = expected - width * prod(sizes)
    if start == expected:
        return torch.empty(sizes, dtype=dtype)
    # torch needs writable memory; bytes are read-only.
    memory = content if isinstance(content, bytearray) else bytearray(content)
    if width > 1 and sys.byteorder == "little":
        np.frombuffer(memory, np.int32, offset=start).byteswap(inplace=True)
    return torch.frombuffer(memory, dtype=dtype, offset=start).view(sizes)


def encode_idx(values: Tensor) -> bytes:
    """Convert a uint8 or int32 tensor to the bytes of an IDX file; the inverse of `decode_idx`.

    Raises DataError for another type or for more than 8 dimensions.
    """
    kinds = {dtype: kind for kind, (dtype, _) in _TYPES.items()}
    if values.dtype not in kinds or not 1 <= values.dim() <= _MAX_RANK:
        raise DataError(
            f"an IDX file holds uint8 or int32 in 1 to {_MAX_RANK} dimensions, not {values.dtype}"
        )
    header = struct.pack(f">BBBB{values.dim()}I", 0, 0, kinds[values.dtype], values.dim(), *values.shape)
    array = values.cpu().contiguous().numpy()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, values: Tensor) -> None:
    """Write a uint8 or int32 tensor as an unpacked IDX file, atomically. Raises DataError as `encode_idx`."""
    write_bytes(path, encode_idx(values))


def _parse_header(content: bytes | bytearray, name: str) -> tuple[torch.dtype, int, tuple[int, ...], int]:
    """The dtype, the bytes per value, the sizes, and the number of bytes of the file."""
    if len(content) < 4 or content[0] or content[1]:
        raise DataError(f"{name}: not an IDX file (it must begin with two zero bytes); fetch it again")
    kind, rank = content[2], content[3]
    if kind not in _TYPES:
        raise DataError(f"{name}: holds values of type 0x{kind:02x}; only bytes and 32-bit integers are read")
    if not 1 <= rank <= _MAX_RANK:
        raise DataError(f"{name}: has {rank} dimensions; images and labels have 1 to {_MAX_RANK}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{name}: ends inside its header; fetch it again")
    sizes = struct.unpack_from(f">{rank}I", content, 4)
    dtype, width = _TYPES[kind]
    # Python's integers do not overflow, but torch must be able to address all sizes, even if one is 0.
    if prod(max(size, 1) for size in sizes) > sys.maxsize // width:
        raise DataError(f"{name}: states the sizes {sizes}, more than memory can address; fetch it again")
    return dtype, width, sizes, start + width * prod(sizes)
