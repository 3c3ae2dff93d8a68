"""Many pictures, read by all cores: rows in the pictures' order, memory that does not grow with their number.

Finding digits holds Python's lock, so cores are used by processes. Each has a reader of its own with one
thread, and reads picture after picture: whatever their number, the bits are those of reading one by one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.errors import LeNetError, PictureError, ResultsError

if TYPE_CHECKING:
    from lenet.inference.reader import Reader

Row = dict[str, Any]  # what `predict --json` promises: {"picture", "text", …} or {"picture", "error"}
NamedPicture = tuple[str, Path | bytes]
Opening = tuple[str, float | None]  # what a reader is opened with: checkpoint, max_error
Options = Mapping[str, Any]

FEW = 100  # pictures that are read before more processes would have started
CHUNK = 8  # pictures handed over at a time
AHEAD = 4  # chunks a worker that are under way at once; bounds the memory
MOST_WORKERS = 60  # more, Windows cannot wait for


def read_in_bulk(
    pictures: Iterable[NamedPicture],
    checkpoint: str,
    *,
    workers: int | None = None,
    max_error: float | None = None,
    **options: Any,
) -> Iterator[Row]:
    """Read pictures, given by name and path or bytes; yield a row for each, in order.

    `max_error` goes to the `Reader`, `options` to its `read`. A picture that cannot be read gives a row with
    its error, and the rest go on. `workers` is a number of processes, 0 for none but this one; by default
    none for few pictures, else one a core. A script that uses them needs its `if __name__ == "__main__":`.

    Raises CheckpointError, and ResultsError when a worker dies.
    """
    coming = iter(pictures)
    first = list(islice(coming, FEW))
    if not first:
        return iter(())  # and nothing is loaded for it
    coming = chain(first, coming)
    if workers is None:
        workers = 0 if len(first) < FEW else count_cores()
    opening = checkpoint, max_error
    if workers:
        return _read_with_workers(coming, opening, options, min(workers, MOST_WORKERS))
    return _read_here(coming, opening, options)


def count_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def read_row(reader: Reader, name: str, picture: Path | bytes, options: Options) -> Row:
    """Read one picture into the row that `predict --json` prints for it."""
    try:
        return {"picture": name, **reader.read(picture, **options).to_dict()}
    except PictureError as error:
        return {"picture": name, "error": str(error)}
    except LeNetError:
        raise
    except MemoryError:
        return {"picture": name, "error": f"{name}: not enough memory to read it; save it smaller"}
    except Exception as error:
        # A fault of ours. In one of many thousand pictures it must not be in the way of all that follow.
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return {"picture": name, "error": f"{name}: a fault in lenet, please report it ({what})"}


def _read_here(pictures: Iterable[NamedPicture], opening: Opening, options: Options) -> Iterator[Row]:
    from threadpoolctl import threadpool_limits

    reader = _open_reader(opening)
    with threadpool_limits(1):
        for name, picture in pictures:
            yield read_row(reader, name, picture, options)


def _read_with_workers(
    pictures: Iterable[NamedPicture], opening: Opening, options: Options, workers: int
) -> Iterator[Row]:
    # Between these processes of ours go names, paths and rows. (The pipes of the standard library pickle
    # them; no file, and nothing that comes from elsewhere, is ever unpickled.)
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)
    under_way: deque[Future[list[Row]]] = deque()
    try:
        for chunk in _cut(pictures):
            under_way.append(_submit(pool, chunk, opening, options))
            if len(under_way) >= AHEAD * workers:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool as error:
        raise ResultsError("a worker died, perhaps for want of memory; take fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(pictures: Iterable[NamedPicture]) -> Iterator[list[NamedPicture]]:
    coming = iter(pictures)
    while chunk := list(islice(coming, CHUNK)):
        yield chunk


def _submit(
    pool: ProcessPoolExecutor, chunk: list[NamedPicture], opening: Opening, options: Options
) -> Future[list[Row]]:
    """Hand over a chunk, which may start a worker. It inherits that Ctrl-C is not for it, but for us."""
    if not hasattr(signal, "pthread_sigmask"):
        return pool.submit(_read_chunk, chunk, opening, options)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_read_chunk, chunk, opening, options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    # Libraries start a thread for every core as they are imported, if they may.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed says no goodbye; without it a worker would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read_chunk(chunk: list[NamedPicture], opening: Opening, options: Options) -> list[Row]:
    reader = _open_own_reader(opening)
    return [read_row(reader, name, picture, options) for name, picture in chunk]


@cache
def _open_own_reader(opening: Opening) -> Reader:
    """A worker's reader, opened with the first chunk: there an error finds its way back."""
    from threadpoolctl import threadpool_limits

    reader = _open_reader(opening)
    threadpool_limits(1)
    return reader


def _open_reader(opening: Opening) -> Reader:
    from lenet.inference.reader import Reader
    from lenet.models.checkpoint import load_checkpoint

    checkpoint, max_error = opening
    return Reader(load_checkpoint(checkpoint), max_error)
