"""Devices by name."""

import pytest
import torch

from lenet.errors import DeviceError
from lenet.processes import find_device


def test_the_processor_is_always_there():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("cpu:0").type == "cpu"


def test_auto_takes_a_gpu_where_there_is_one():
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    assert find_device("auto").type == next(kind for kind, there in kinds.items() if there)


@pytest.mark.parametrize("name", ["cuda:99", "meta", "cpu:5", "xpu", "hpu:0"])
def test_a_device_that_is_not_here(name: str):
    with pytest.raises(DeviceError, match=f"this machine has no {name}; take `device=auto` or cpu"):
        find_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "cuda:-1", "CPU", "cpu:", "tpu\n"])
def test_what_no_device_is_called(name: str):
    with pytest.raises(DeviceError) as refused:
        find_device(name)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_no_gpu():
    with pytest.raises(DeviceError, match="this machine has no cuda"):
        find_device("cuda")
