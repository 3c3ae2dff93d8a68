"""Which processor a network runs on."""

import torch

from lenet.errors import DeviceError


def find_device(name: str) -> torch.device:
    """The device called `name`: auto, cpu, cuda, cuda:N or mps; 'auto' takes a GPU where there is one.

    Raises DeviceError when this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(
            f"no device is called {name!r}; there are auto, cpu, cuda, cuda:N and mps"
        ) from None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 0):
        raise DeviceError(f"this machine has no {name}; take --device auto or cpu")
    return device
