"""Processes that train or read beside this one: one a core, with one thread each."""

import os
import signal
import sys
import threading
from multiprocessing import parent_process

MOST_WORKERS = 60  # more, Windows cannot wait for


def count_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def begin_worker() -> None:
    """Make the process that this is called in a worker; before numpy and torch are imported.

    It has one thread, ends without a word at Ctrl-C, and ends with its parent, however that ends.
    """
    # Libraries start a thread for every core as they are imported, if they may.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed says no goodbye; without it a worker would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
