"""Reads many pictures on all cores: rows in the order of the pictures, in bounded memory.

Finding digits holds Python's global lock, so each core runs a process. A process has its own reader with one
thread and reads picture by picture, so that results do not depend on the number of workers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from lenet.batch.sources import NamedPicture, fetch_ahead
from lenet.errors import LeNetError, PictureError, ResultsError
from lenet.processes import MAX_WORKERS, WorkerProcess, begin_worker, count_cores
from lenet.reading.transcription import check_constraints

if TYPE_CHECKING:
    from lenet.images.decoding import Picture
    from lenet.models.stored import StoredCheckpoint
    from lenet.reading.reader import Reader

Row = dict[str, Any]  # a row of `predict --json`: {"picture", "text", …} or {"picture", "error"}
ReaderSettings = tuple["str | StoredCheckpoint", float | None, bool]  # checkpoint, max_error and turned
Options = Mapping[str, Any]
MIN_BULK = 100  # pictures; fewer are read before worker processes would have started
CHUNK = 8  # pictures sent to a worker at a time
CHUNKS_PER_WORKER = 4  # chunks in progress per worker; bounds the memory


def read_in_bulk(
    pictures: Iterable[NamedPicture],
    checkpoint: str,
    *,
    workers: int | None = None,
    max_error: float | None = None,
    length: int | None = None,
    pattern: str | None = None,
    amount: bool = False,
    turned: bool = False,
) -> Iterator[Row]:
    """Read pictures, given by name and path or bytes; yield a row for each, in order.

    A picture that cannot be read gives a row with its error; reading continues. `workers` is the number of
    worker processes, 0 for this process; the default is 0 for few pictures, else one per core. A script that
    uses workers needs `if __name__ == "__main__":`. The other arguments are those of `Reader` and `read`.

    Raises CheckpointError, PictureError for an invalid pattern, ResultsError when a worker dies.
    """
    check_constraints(length, pattern, amount)
    options = {"length": length, "pattern": pattern, "amount": amount}
    coming = iter(pictures)
    first = list(islice(coming, MIN_BULK))
    if not first:
        return iter(())  # without loading anything
    coming = chain(first, coming)
    if workers is None:
        workers = 0 if len(first) < MIN_BULK else count_cores()
    reader_settings = checkpoint, max_error, turned
    if workers:
        return _read_with_workers(coming, reader_settings, options, min(workers, MAX_WORKERS))
    return read_here(coming, reader_settings, options)


def make_row(name: str, read: Callable[[], Row]) -> Row:
    """The row of a picture: its name and the values of `read`, or the error that `read` raised."""
    try:
        return {"picture": name, **read()}
    except PictureError as error:
        return {"picture": name, "error": str(error)}
    except LeNetError:
        raise
    except MemoryError:
        return {"picture": name, "error": f"{name}: not enough memory to read it; save it smaller"}
    except Exception as error:
        # A bug of lenet must not stop the reading of all other pictures.
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return {"picture": name, "error": f"{name}: a fault in lenet, please report it ({what})"}


def read_here(
    pictures: Iterable[NamedPicture], reader_settings: ReaderSettings, options: Options
) -> Iterator[Row]:
    """Read pictures in this process, with one thread; yield a row for each, in order."""
    from threadpoolctl import threadpool_limits

    reader = _open_reader(reader_settings)
    with threadpool_limits(1):
        yield from _read_rows(reader, pictures, options)


def _read_rows(reader: Reader, pictures: Iterable[NamedPicture], options: Options) -> Iterator[Row]:
    for name, fetch in fetch_ahead(pictures):
        yield make_row(name, partial(_read_fetched, reader, fetch, options))


def _read_fetched(reader: Reader, fetch: Callable[[], Picture], options: Options) -> Row:
    return reader.read(fetch(), **options).to_dict()


def _read_with_workers(
    pictures: Iterable[NamedPicture], reader_settings: ReaderSettings, options: Options, workers: int
) -> Iterator[Row]:
    """Send chunks to free workers; yield the rows in order."""
    chunks = enumerate(_cut(pictures))
    team: list[_Worker] = []
    done: dict[int, list[Row]] = {}
    due = 0  # the number of the next chunk to yield
    try:
        while True:
            busy = [worker for worker in team if worker.chunk is not None]
            while len(busy) < workers and len(busy) + len(done) < CHUNKS_PER_WORKER * workers:
                number, chunk = next(chunks, (None, []))
                if number is None:
                    break
                free = [worker for worker in team if worker.chunk is None]
                if not free:
                    free = [_Worker(reader_settings, options)]
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


class _Worker(WorkerProcess):
    """A worker process with a reader: takes chunks and answers with their rows."""

    def __init__(self, reader_settings: ReaderSettings, options: Options) -> None:
        super().__init__(_work, reader_settings, options)
        self.chunk: int | None = None  # the number of the chunk in progress

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


def _work(pipe: Connection, reader_settings: ReaderSettings, options: Options) -> None:
    """The main function of a worker: read chunks until the pipe ends."""
    begin_worker()
    from threadpoolctl import threadpool_limits

    with suppress(EOFError, ConnectionError):
        chunk = pipe.recv()  # before anything can fail, so that the parent is not cut off while it sends
        try:
            reader = _open_reader(reader_settings)
            threadpool_limits(1)
            while True:
                pipe.send(list(_read_rows(reader, chunk, options)))
                chunk = pipe.recv()
        except LeNetError as error:
            pipe.send(error)


def _open_reader(reader_settings: ReaderSettings) -> Reader:
    from lenet.reading.reader import Reader

    return Reader(*reader_settings)
