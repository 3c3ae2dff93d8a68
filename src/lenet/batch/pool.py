"""Many pictures, read by all cores: rows in the pictures' order, memory that does not grow with their number.

Finding digits holds Python's lock, so cores are used by processes. Each has a reader of its own with one
thread, and reads picture after picture: whatever their number, the bits are those of reading one by one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.errors import LeNetError, PictureError, ResultsError
from lenet.processes import MOST_WORKERS, begin_worker, count_cores
from lenet.reading.path import check_constraints

if TYPE_CHECKING:
    from lenet.reading.reader import Reader

Row = dict[str, Any]  # what `predict --json` promises: {"picture", "text", …} or {"picture", "error"}
NamedPicture = tuple[str, Path | bytes]
Opening = tuple[str, float | None]  # what a reader is opened with: checkpoint, max_error
Options = Mapping[str, Any]
FEW = 100  # pictures that are read before more processes would have started
CHUNK = 8  # pictures handed over at a time
AHEAD = 4  # chunks a worker that are under way at once; bounds the memory


def read_in_bulk(
    pictures: Iterable[NamedPicture],
    checkpoint: str,
    *,
    workers: int | None = None,
    max_error: float | None = None,
    length: int | None = None,
    pattern: str | None = None,
    amount: bool = False,
) -> Iterator[Row]:
    """Read pictures, given by name and path or bytes; yield a row for each, in order.

    A picture that cannot be read gives a row with its error, and the rest go on. `workers` is a number of
    processes, 0 for none but this one; by default none for few pictures, else one a core. A script that uses
    them needs its `if __name__ == "__main__":`. The rest is as for `Reader` and its `read`.

    Raises CheckpointError, PictureError for a pattern that makes no sense, ResultsError when a worker dies.
    """
    check_constraints(length, pattern, amount)
    options = {"length": length, "pattern": pattern, "amount": amount}
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
    """Give a chunk to whichever worker is free; put the rows back in order."""
    chunks = enumerate(_cut(pictures))
    team: list[_Worker] = []
    done: dict[int, list[Row]] = {}
    due = 0  # the chunk whose rows are next
    try:
        while True:
            busy = [worker for worker in team if worker.chunk is not None]
            while len(busy) < workers and len(busy) + len(done) < AHEAD * workers:
                number, chunk = next(chunks, (None, []))
                if number is None:
                    break
                free = [worker for worker in team if worker.chunk is None]
                if not free:
                    free = [_Worker(opening, options)]
                    team += free
                free[0].give(number, chunk)
                busy.append(free[0])
            if not busy:
                return
            for pipe in wait([worker.pipe for worker in busy]):
                (worker,) = (worker for worker in busy if worker.pipe is pipe)
                number, rows = worker.take()
                done[number] = rows
            while due in done:
                yield from done.pop(due)
                due += 1
    except (EOFError, ConnectionError) as error:
        raise ResultsError("a worker died, perhaps for want of memory; take fewer `workers`") from error
    finally:
        for worker in team:
            worker.end()


def _cut(pictures: Iterable[NamedPicture]) -> Iterator[list[NamedPicture]]:
    coming = iter(pictures)
    while chunk := list(islice(coming, CHUNK)):
        yield chunk


class _Worker:
    """A process with a reader, seen from outside, and the pipe to it: there go chunks, back come rows.

    (The standard library pickles what goes through the pipe, between two processes of ours. No file, and
    nothing that comes from elsewhere, is ever unpickled.)
    """

    def __init__(self, opening: Opening, options: Options) -> None:
        context = get_context("spawn")
        self.chunk: int | None = None  # the number of the one it has
        self.pipe, its_end = context.Pipe()
        self._process = context.Process(target=_work, args=(its_end, opening, options), daemon=True)
        with _no_interrupts():
            self._process.start()
        its_end.close()  # so that there is nobody left to wait for when the worker dies

    def give(self, number: int, chunk: list[NamedPicture]) -> None:
        self.pipe.send(chunk)
        self.chunk = number

    def take(self) -> tuple[int, list[Row]]:
        assert self.chunk is not None
        answer: list[Row] | LeNetError = self.pipe.recv()
        if isinstance(answer, LeNetError):
            raise answer
        number, self.chunk = self.chunk, None
        return number, answer

    def end(self) -> None:
        self._process.kill()  # it holds nothing that could be lost
        self._process.join()
        self.pipe.close()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """A process that is started in this block inherits that Ctrl-C is not for it, but for us."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # else it is started in this block, and lets interrupts in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, opening: Opening, options: Options) -> None:
    """What a worker does, until its pipe ends."""
    begin_worker()
    from threadpoolctl import threadpool_limits

    with suppress(EOFError, ConnectionError):
        try:
            reader = _open_reader(opening)
            threadpool_limits(1)
            while True:
                pipe.send([read_row(reader, name, picture, options) for name, picture in pipe.recv()])
        except LeNetError as error:
            pipe.send(error)


def _open_reader(opening: Opening) -> Reader:
    from lenet.models.checkpoint import load_checkpoint
    from lenet.reading.reader import Reader

    checkpoint, max_error = opening
    return Reader(load_checkpoint(checkpoint), max_error)
