"""`--device all`: the command once for each GPU of the machine, as torchrun starts it, without its report."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Sequence

from lenet.errors import DeviceError

ALL = "all"
SHARING = (8, 4, 2, 1)  # processes that share the slices of a batch evenly


def count_processes() -> int:
    """How many processes use the GPUs of this machine: 1, 2, 4 or 8. Raises DeviceError without a GPU."""
    import torch

    count = torch.cuda.device_count()
    if not count:
        raise DeviceError("this machine has no GPU for `device=all`; take `device=cpu`")
    return next(size for size in SHARING if size <= count)


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run `lenet` with `arguments` in `count` processes on this machine; returns the exit code.

    When one of them fails, the others are stopped.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes tell why
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=uuid.uuid4().hex,
        max_restarts=0,
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "lenet", *arguments)
    except ChildFailedError as error:
        code: int = error.get_first_failure()[1].exitcode
        return code if code > 0 else 128 - code
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0
