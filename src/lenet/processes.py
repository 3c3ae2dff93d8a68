"""Devices, cores, and the set-up of worker processes."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import TYPE_CHECKING, Any, ClassVar

from lenet.errors import DeviceError, RunError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    import torch

MAX_WORKERS = 60  # Windows cannot wait for more processes
SET_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def count_cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def find_rank() -> int | None:
    """The number of this process among those that torchrun started; None where torchrun did not start it."""
    return int(os.environ["RANK"]) if all(name in os.environ for name in SET_BY_TORCHRUN) else None


def begin_worker() -> None:
    """Make this process a worker; call it before numpy and torch are imported.

    A worker computes with one thread, exits silently at Ctrl-C, and exits when its parent exits or dies.
    """
    # By default libraries start a thread per core when they are imported.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers; without this thread they would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def open_pool(
    workers: int, remedy: str = "run the command again to resume"
) -> Iterator["ProcessPoolExecutor"]:
    """A pool of worker processes with one thread each; they exit when the block ends, or this process dies.

    Where the block is left early, their work is stopped. Raises RunError, which names the `remedy`, when a
    worker dies.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    others = set(active_children())
    pool = ProcessPoolExecutor(
        max(1, min(workers, MAX_WORKERS)), mp_context=get_context("spawn"), initializer=begin_worker
    )
    try:
        yield pool
    except BaseException as error:
        for process in set(active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise RunError(f"a worker died, perhaps for want of memory; {remedy}") from error
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class WorkerProcess:
    """The parent's side of a process of its own, which takes messages through a pipe and answers each.

    (The standard library pickles the messages between our two processes. No file and no foreign data are ever
    unpickled.)
    """

    BLOCKED: ClassVar = {signal.SIGINT}
    """Signals that the process does not get: Ctrl-C means its parent."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        """Start a process that runs `work(pipe, *arguments)`, which calls `begin_worker` first."""
        context = get_context("spawn")
        self.pipe, worker_end = context.Pipe()
        self._process = context.Process(target=work, args=(worker_end, *arguments), daemon=True)
        with _block_signals(self.BLOCKED):
            self._process.start()
        worker_end.close()  # so that the pipe ends when the worker dies

    @property
    def pid(self) -> int:
        """The identifier of the process."""
        return self._process.pid or 0

    def end(self) -> None:
        """Kill the process, which has no state to lose."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


@contextmanager
def _block_signals(signals: set[signal.Signals]) -> Iterator[None]:
    """Block signals; processes started in the block inherit this."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # started inside this block it would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def find_device(name: str) -> "torch.device":
    """The device called `name`: auto, cpu, cuda, cuda:N or mps; 'auto' is a GPU if there is one.

    Raises DeviceError when this machine does not have it.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"no device is called {name!r}; choose auto, cpu, cuda, cuda:N or mps") from None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 0):
        raise DeviceError(f"this machine has no {name}; take `device=auto` or cpu")
    return device
