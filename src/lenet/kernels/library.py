"""The compiled kernel as Python sees it: found, loaded, checked, and called through ctypes.

LENET_KERNEL=off in the environment switches it off. avx512, avx2 or baseline choose an instruction set, for
measurements; one that the machine lacks is replaced by its best. auto, the default, takes the best.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenet.errors import DeviceError

ABI = 2  # the same number as in kernel.cpp; counted up whenever what is handed over changes
ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")  # numbered as in shapes.h
POOLINGS = ("none", "max", "avg")
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
CHOICES = ("auto", "off", "avx512", "avx2", "baseline")
ERRORS = {1: "impossible shape", 2: "out of memory", 3: "unknown error"}
MAXIMUM_FREE = 256 << 20  # bytes of lent memory that are kept for the next call


@cache
def load_library() -> tuple[ctypes.CDLL | None, str]:
    """The kernel and the name of its instruction set; or None and the reason why there is none.

    Raises DeviceError where LENET_KERNEL has a value that means nothing.
    """
    wanted = os.environ.get("LENET_KERNEL", "auto")
    if wanted not in CHOICES:
        raise DeviceError(f"LENET_KERNEL is {wanted!r}; it must be one of {', '.join(CHOICES)}")
    if wanted == "off":
        return None, "switched off by LENET_KERNEL=off"
    path = find_library()
    if path is None:
        return None, "the kernel was not built: no C++ compiler at installation"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return None, f"the kernel cannot be loaded: {error}"
    if not hasattr(library, "lenet_abi") or library.lenet_abi() != ABI:
        return None, "the kernel was built for another version of lenet; install again"
    library.lenet_convolution_saved_size.restype = ctypes.c_int64
    library.lenet_flops_a_round.restype = ctypes.c_int64
    library.lenet_multiply_add.restype = ctypes.c_float
    library.lenet_multiply_add.argtypes = [ctypes.c_int64]
    number = INSTRUCTION_SETS.index(wanted) if wanted in INSTRUCTION_SETS else -1
    return library, INSTRUCTION_SETS[library.lenet_choose(number)]


def find_library() -> Path | None:
    """The compiled file beside this one."""
    paths = [Path(__file__).with_name(f"_kernel{suffix}") for suffix in EXTENSION_SUFFIXES]
    return next((path for path in paths if path.exists()), None)


def call(function: str, *arguments: Any) -> None:
    """Call the kernel, with as many threads as PyTorch uses. Raises RuntimeError where it fails."""
    code = getattr(load_library()[0], function)(*arguments, torch.get_num_threads())
    if code:
        raise RuntimeError(f"the kernel failed: {ERRORS.get(code, code)}")


def integers(numbers: Sequence[int]) -> Any:
    """An array of int64, as C takes it."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


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
