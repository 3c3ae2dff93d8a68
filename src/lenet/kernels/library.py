"""The compiled kernel as Python sees it: found, loaded, checked, and called through ctypes.

LENET_KERNEL=off in the environment switches it off. avx512, avx2 or baseline choose an instruction set, for
measurements; one that the machine lacks is replaced by its best. auto, the default, takes the best.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from lenet.errors import DeviceError

ABI = 5  # the same number as in kernel.cpp; counted up whenever what is handed over changes
ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")  # numbered as in shapes.h
POOLINGS = ("none", "max", "avg")
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
CHOICES = ("auto", "off", "avx512", "avx2", "baseline")
ERRORS = {1: "impossible shape", 2: "out of memory", 3: "unknown error"}


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
    library.lenet_network_pack.restype = ctypes.c_void_p
    library.lenet_network_free.argtypes = [ctypes.c_void_p]
    address, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.lenet_online_learn.argtypes = [address, address, number, *[address] * 8]
    library.lenet_network_shape.argtypes = [address, number, number, address]
    library.lenet_network_run.argtypes = [address, number, number, number, address, flag, address, flag]
    library.lenet_flops_a_round.restype = ctypes.c_int64
    library.lenet_multiply_add.restype = ctypes.c_float
    library.lenet_multiply_add.argtypes = [ctypes.c_int64]
    choice = INSTRUCTION_SETS.index(wanted) if wanted in INSTRUCTION_SETS else -1
    return library, INSTRUCTION_SETS[library.lenet_choose(choice)]


def find_library() -> Path | None:
    """The compiled file beside this one."""
    paths = [Path(__file__).with_name(f"_kernel{suffix}") for suffix in EXTENSION_SUFFIXES]
    return next((path for path in paths if path.exists()), None)


def check(code: int) -> None:
    """Raise RuntimeError where a function of the kernel returned that it failed."""
    if code:
        raise RuntimeError(f"the kernel failed: {ERRORS.get(code, code)}")


def integers(numbers: Sequence[int]) -> Any:
    """An array of int64, as C takes it."""
    return (ctypes.c_int64 * len(numbers))(*numbers)
