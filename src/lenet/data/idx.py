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

from lenet.data.unpack import open_unpacked, read_pieces
from lenet.errors import DataError
from lenet.files import write_bytes

MAX_BYTES = 1 << 30
"""What a file may unpack to; MNIST's largest has 47 million bytes."""

_MAX_RANK = 8
_LONGEST_HEADER = 4 + 4 * _MAX_RANK
# QMNIST's labels are 32-bit integers; everything else in the family is bytes.
_TYPES = {0x08: (torch.uint8, 1), 0x0C: (torch.int32, 4)}


def read_idx(path: Path, max_bytes: int = MAX_BYTES) -> Tensor:
    """Read an IDX file, plain or gzip (told by its first bytes, never by its name).

    Returns a uint8 tensor, or int32 where the file says so, of the sizes in the file. Never unpacks more
    than its header promises, nor more than `max_bytes`.
    Raises DataError, naming the file, when it is missing, damaged, or too large.
    """
    with open_unpacked(path) as stream:
        content = read_pieces(stream, _LONGEST_HEADER)
        promised = _parse_header(content, str(path))[-1]
        if promised > max_bytes:
            raise DataError(f"{path}: promises {promised} bytes, more than the {max_bytes} that are read")
        # One byte more than promised, to see whether anything follows.
        content += read_pieces(stream, max(0, promised + 1 - len(content)))
    return decode_idx(content, str(path))


def decode_idx(content: bytes | bytearray, name: str) -> Tensor:
    """Turn the bytes of an unpacked IDX file into a tensor; `name` is what an error calls them.

    A bytearray is not copied: the tensor uses its memory.
    Raises DataError when the magic number, the type, the sizes or the length are wrong.
    """
    dtype, width, sizes, expected = _parse_header(content, name)
    if len(content) != expected:
        fault = "is cut short" if len(content) < expected else "has foreign bytes at its end"
        raise DataError(f"{name}: {fault} (its header promises {expected} bytes); fetch it again")
    start = expected - width * prod(sizes)
    if start == expected:
        return torch.empty(sizes, dtype=dtype)
    # torch wants memory that it may write to, which bytes are not.
    memory = content if isinstance(content, bytearray) else bytearray(content)
    flat = torch.frombuffer(memory, dtype=torch.uint8, offset=start)
    if width > 1:
        values = flat.view(-1, width)
        flat = (values.flip(1) if sys.byteorder == "little" else values.clone()).view(dtype)
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
    """Write a uint8 or int32 tensor as an unpacked IDX file, whole or not at all."""
    write_bytes(path, encode_idx(values))


def _parse_header(content: bytes | bytearray, name: str) -> tuple[torch.dtype, int, tuple[int, ...], int]:
    """The type of the values, bytes of each, the sizes, and the bytes of the whole file."""
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
    # Python's integers do not overflow: sizes that multiply to an absurd number promise an absurd length,
    # and where one size is zero, torch still has to be able to address the others.
    if prod(max(size, 1) for size in sizes) > sys.maxsize // width:
        raise DataError(f"{name}: claims the sizes {sizes}, more than memory can address; fetch it again")
    return dtype, width, sizes, start + width * prod(sizes)
