"""Tensors as the compiled kernel takes them, and the memory that it is lent."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lenet.kernels.library import check, load_library

MAXIMUM_FREE = 256 << 20  # bytes of lent memory that are kept for the next call


def call(function: str, *arguments: Any) -> None:
    """Call the kernel, with as many threads as PyTorch uses. Raises RuntimeError where it fails."""
    check(getattr(load_library()[0], function)(*arguments, torch.get_num_threads()))


def contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each in one piece of memory, row by row."""
    return [tensor.contiguous() for tensor in tensors]


def pointers(tensors: Sequence[Tensor]) -> Any:
    """Where the numbers of each are, as C takes them."""
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where the numbers are; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


# ---- lent memory -----------------------------------------------------------------------------------------

_free: dict[int, list[Tensor]] = {}  # by number of floats


def lend(size: int) -> Tensor:
    """Uninitialised floats at a multiple of 64 bytes, in memory that comes back here when the tensor is gone.

    Every step of a training needs the same megabytes. From the system they would come as fresh pages, and
    making those takes a fifth of the step. At most MAXIMUM_FREE bytes wait here for the next call.
    """
    try:
        memory = _free[size].pop()  # one operation: other Python threads lend, too
    except (KeyError, IndexError):
        memory = torch.empty(size, dtype=torch.float32, device="cpu")  # whatever torch's defaults are
    lease = (ctypes.c_float * size).from_address(memory.data_ptr())
    weakref.finalize(lease, _give_back, memory).atexit = False
    return torch.frombuffer(lease, dtype=torch.float32)


def _give_back(memory: Tensor) -> None:
    if free_bytes() + memory.nbytes > MAXIMUM_FREE:
        _free.clear()  # mostly sizes that are not used any more
    if memory.nbytes <= MAXIMUM_FREE:
        _free.setdefault(memory.numel(), []).append(memory)


def free_bytes() -> int:
    """Bytes of lent memory that came back and wait for the next call."""
    return 4 * sum(size * len(memories) for size, memories in list(_free.items()))
