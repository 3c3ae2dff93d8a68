"""The compiled kernel as it is found, chosen, refused and called; and the memory that it is lent."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lenet.errors import DeviceError
from lenet.kernels import library, tensors
from lenet.kernels.convolution import explain_backend, run_convolutions
from lenet.kernels.library import CHOICES, INSTRUCTION_SETS, load_library
from lenet.kernels.tensors import lend

COMPILER = shutil.which("gcc") or shutil.which("clang")
STALE = "the kernel was built for another version of lenet; install again"
built = pytest.mark.skipif(explain_backend().name == "torch", reason=explain_backend().reason)


@pytest.fixture
def fresh() -> Iterator[None]:
    """The library is looked for anew, in this test and after it."""
    load_library.cache_clear()
    yield
    load_library.cache_clear()
    load_library()


@pytest.mark.parametrize("choice", CHOICES)
def test_the_environment_chooses(choice: str):
    code = """
import torch
from lenet.kernels.convolution import explain_backend, run_convolutions
run_convolutions(torch.rand(9, 1, 8, 8), [(torch.rand(2, 1, 3, 3), torch.rand(2))])
print(explain_backend().name)
"""
    environment = {**os.environ, "LENET_KERNEL": choice}
    words = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(words, check=True, timeout=100, env=environment, capture_output=True, text=True)
    if choice == "off":
        assert done.stdout.strip() == "torch"
    elif choice == "baseline":
        assert done.stdout.strip() in ("baseline", "torch")
    else:
        assert done.stdout.strip() in (*INSTRUCTION_SETS, "torch")


@pytest.mark.parametrize("choice", ["of", "AVX2", "", "sse"])
def test_a_misspelt_choice_is_an_error(choice: str, fresh: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LENET_KERNEL", choice)
    message = f"LENET_KERNEL is '{choice}'; it must be one of auto, off, avx512, avx2, baseline"
    for _ in range(2):  # not only at first
        with pytest.raises(DeviceError, match=message):
            explain_backend()


def test_a_kernel_that_was_not_built_is_no_error(fresh: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(library, "find_library", lambda: None)
    assert explain_backend() == ("torch", "the kernel was not built: no C++ compiler at installation")


@pytest.mark.skipif(COMPILER is None, reason="no compiler")
@pytest.mark.parametrize(
    "source",
    [f"int lenet_abi(void) {{ return {library.ABI - 1}; }}", "int lenet_choose(int n) { return n; }"],
)
def test_a_kernel_of_another_version_is_refused(
    source: str, fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "_kernel.so"
    (tmp_path / "kernel.c").write_text(source)
    words = [str(COMPILER), "-shared", "-fPIC", str(tmp_path / "kernel.c"), "-o", str(path)]
    subprocess.run(words, check=True)
    monkeypatch.setattr(library, "find_library", lambda: path)
    assert explain_backend() == ("torch", STALE)


def test_what_is_no_library_is_refused(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "_kernel.so"
    path.write_bytes(b"nonsense")
    monkeypatch.setattr(library, "find_library", lambda: path)
    assert explain_backend().reason.startswith("the kernel cannot be loaded: ")


@built
def test_the_abi_number_is_the_same_in_both_languages():
    found = load_library()[0]
    assert found is not None
    assert found.lenet_abi() == library.ABI


def test_the_backend_says_what_it_is_and_why():
    assert explain_backend().name in (*INSTRUCTION_SETS, "torch")
    assert explain_backend(torch.zeros(1, 1, 8, 8)).name == "torch"
    assert explain_backend(torch.zeros(99, 1, 8, 8, dtype=torch.float64)).name == "torch"


def test_lent_memory_is_aligned_and_comes_back():
    first = lend(1234)
    address = first.data_ptr()
    assert address % 64 == 0
    assert lend(1234).data_ptr() != address
    del first
    again = [lend(1234) for _ in range(2)]
    assert address in [tensor.data_ptr() for tensor in again]


def test_lent_memory_lives_as_long_as_a_view():
    view = lend(5000)[10:20]
    view.fill_(7)
    others = [lend(5000).fill_(0) for _ in range(5)]
    assert (view == 7).all()
    assert len(others) == 5


def test_lent_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tensors, "MAXIMUM_FREE", 1 << 20)
    tensors._free.clear()
    kept = [lend(1000) for _ in range(1000)]  # 4 MB of one size
    kept.clear()
    assert 0 < tensors.free_bytes() <= 1 << 20
    for size in range(1, 3000, 7):  # 2.6 MB of many sizes
        lend(size)
        assert tensors.free_bytes() <= 1 << 20
    lend(1 << 19)  # 2 MB in one piece
    assert tensors.free_bytes() <= 1 << 20


@built
def test_a_second_step_takes_the_memory_of_the_first():
    images, layers = torch.rand(32, 1, 28, 28), [(torch.rand(6, 1, 5, 5).requires_grad_(), torch.rand(6))]
    tensors._free.clear()
    run_convolutions(images, layers).sum().backward()
    free = tensors.free_bytes()
    assert free > 0
    for _ in range(3):
        run_convolutions(images, layers).sum().backward()
    assert tensors.free_bytes() == free
