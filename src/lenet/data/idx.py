"""IDX files, the format of MNIST and its relatives: bytes <-> tensors, strictly checked.

A file is a magic number, the sizes, then the values row by row, all big-endian:

    00 00 TT RR   TT: value type (08 unsigned byte, 0C 32-bit integer), RR: number of sizes
    N1 N2 … NR    one unsigned 32-bit integer each
    values        N1 × N2 × … × NR of them, and nothing after them

Source: the description that the makers of MNIST published with it (LeCun, Cortes and Burges).
"""

import struct
import sys
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from lenet.data.unpack import read_unpacked
from lenet.errors import DataError
from lenet.files import write_bytes

MAX_BYTES = 1 << 30
"""A larger IDX file is refused before it is read; MNIST's largest has 47 million bytes."""

_MAX_RANK = 8
_TYPES = {0x08: (torch.uint8, 1), 0x0C: (torch.int32, 4)}


def read_idx(path: Path) -> Tensor:
    """Read an IDX file, plain or gzip (told by its first bytes, never by its name).

    Returns a uint8 tensor, or int32 where the file says so, of the sizes in the file.
    Raises DataError, naming the file, when it is missing, damaged, or larger than `MAX_BYTES`.
    """
    return decode_idx(read_unpacked(path, MAX_BYTES), str(path))


def decode_idx(content: bytes, name: str) -> Tensor:
    """Turn the bytes of an uncompressed IDX file into a tensor; `name` is what an error calls them.

    Raises DataError when the magic number, the type, the sizes or the length are wrong.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{name}: not an IDX file (it must begin with two zero bytes); fetch it again")
    kind, rank = content[2], content[3]
    if kind not in _TYPES:
        raise DataError(
            f"{name}: values of type 0x{kind:02x}; only bytes (0x08) and 32-bit integers (0x0c) are read"
        )
    if not 1 <= rank <= _MAX_RANK:
        raise DataError(f"{name}: {rank} dimensions; an IDX file of images or labels has 1 to {_MAX_RANK}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{name}: it ends inside its header; fetch it again")
    sizes = struct.unpack_from(f">{rank}I", content, 4)
    dtype, width = _TYPES[kind]
    # Python's integers do not overflow, so sizes that multiply to an absurd number are simply too large.
    expected = start + width * prod(sizes)
    if len(content) != expected:
        fault = "cut short" if len(content) < expected else "followed by foreign bytes"
        raise DataError(f"{name}: {fault} ({len(content)} bytes where {expected} belong); fetch it again")
    if expected == start:
        return torch.empty(sizes, dtype=dtype)
    # bytearray: torch wants memory that it may write to.
    flat = torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8)
    if width > 1:
        flat = flat.view(-1, width)
        flat = (flat.flip(1) if sys.byteorder == "little" else flat).contiguous().view(dtype)
    return flat.view(sizes)


def encode_idx(values: Tensor) -> bytes:
    """Turn a uint8 or int32 tensor into the bytes of an IDX file; the reverse of `decode_idx`.

    Raises DataError for any other type or for more dimensions than a file can have.
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
    """Write a uint8 or int32 tensor as an uncompressed IDX file, whole or not at all."""
    write_bytes(path, encode_idx(values))
