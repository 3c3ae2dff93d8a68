"""The lane of pictures: worker processes with one thread each, and a bounded number of pictures.

Finding digits takes tens of milliseconds and holds Python's global lock; in processes of their own, pictures
delay no other request. A picture that kills its worker, or takes too long, costs that worker only: it is
replaced. No numpy is imported here: a worker imports it after its number of threads is set.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVar

from lenet.errors import PictureError
from lenet.processes import MAX_WORKERS, WorkerProcess, begin_worker, count_cores
from lenet.serving.limits import Limits, refuse_for_now

if TYPE_CHECKING:
    from lenet.reading.reader import Reader
    from lenet.serving.served import Served

GIVES_WAY = 10  # niceness of the workers: where cores are short, images and refusals come first
Values = ParamSpec("Values")
Result = TypeVar("Result")


class PictureLane:
    """Runs functions of a reader in worker processes, for a bounded number of pictures at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.workers = min(limits.workers or max(1, count_cores() - 1), MAX_WORKERS)
        self.waiting = 0
        """The pictures that are waiting or in progress."""
        self.replaced = 0
        """How many workers died or were killed."""
        self._free: asyncio.Queue[_Worker] = asyncio.Queue()
        self._team: list[_Worker] = []
        # The threads wait for the workers, one for each.
        self._threads = ThreadPoolExecutor(self.workers, "pictures")

    @property
    def processes(self) -> list[int]:
        """The process identifiers of the workers."""
        return [worker.process for worker in self._team]

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self.workers):
            worker = _Worker()
            self._team.append(worker)
            self._free.put_nowait(worker)

    def check(self, count: int = 1) -> None:
        """Raises Refusal 429 when `count` more pictures would be too many."""
        if self.waiting + count > self._limits.queued_pictures:
            raise refuse_for_now(f"{self.waiting} pictures are waiting")

    @contextmanager
    def admit(self, count: int = 1) -> Iterator[None]:
        """A block in which a request may run functions for `count` pictures. Raises Refusal 429."""
        self.check(count)
        self.waiting += count
        try:
            yield
        finally:
            self.waiting -= count

    async def run(
        self,
        served: Served,
        function: Callable[Concatenate[Reader, Values], Result],
        *values: Values.args,
        **named: Values.kwargs,
    ) -> Result:
        """`function(reader, *values, **named)` with the reader of `served`, in the next free worker.

        The function is one of a module, and its values and its result can be sent to another process. Raises
        what it raises, and PictureError where the worker dies or needs more than `picture_seconds`.
        """
        worker = await self._free.get()
        loop = asyncio.get_running_loop()
        try:
            running = self._threads.submit(self._ask, worker, served, (function, values, named))
        except BaseException:
            self._free.put_nowait(worker)
            raise

        def give_back(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._free.put_nowait, worker)

        # A request that is cancelled does not stop its worker, which is free only when it has answered.
        running.add_done_callback(give_back)
        outcome = await asyncio.shield(asyncio.wrap_future(running))
        if isinstance(outcome, Exception):
            raise outcome
        result: Result = outcome
        return result

    def close(self) -> None:
        """End the workers, whatever they do."""
        for worker in self._team:
            worker.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, worker: _Worker, served: Served, call: tuple[Any, ...]) -> Any:
        """What a worker answers: the result of the call, or the exception. Runs in a thread."""
        try:
            answer = worker.ask(served, call, self._limits.picture_seconds)
            if isinstance(answer, MemoryError):
                return PictureError("there is not enough memory for the picture; save it smaller")
            return answer
        except TimeoutError:
            reason = f"not read within {self._limits.picture_seconds:g} s; save it smaller"
        except (EOFError, OSError):
            reason = "the process that read it died, perhaps for want of memory; save it smaller"
        with suppress(OSError):  # where no process can be started, the next picture tries again
            worker.replace()
        self.replaced += 1
        return PictureError(f"the picture was given up: {reason}")


class _Process(WorkerProcess):
    """A process that finishes its picture when a service manager, or a terminal that is closed, signals the
    whole group of the server.

    The standard library would wait for it for ever at the end of the program: `PictureLane.close` kills it.
    """

    BLOCKED: ClassVar = {
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    }


class _Worker:
    """A worker process, which is replaced when it dies, and the checkpoint that it reads with."""

    def __init__(self) -> None:
        self._process = _Process(_work)
        self._served: Served | None = None
        self._has_ended = False

    @property
    def process(self) -> int:
        """The identifier of the process that works now."""
        return self._process.pid

    def ask(self, served: Served, call: tuple[Any, ...], seconds: float) -> Any:
        """Send a call and wait for its answer. Raises TimeoutError, and EOFError or OSError where it died."""
        before, self._served = self._served, None
        pipe = self._process.pipe
        pipe.send((None if before is served else served.reader, *call))
        if not pipe.poll(seconds):
            raise TimeoutError
        answer = pipe.recv()
        if not isinstance(answer, Exception):  # else the worker may have kept the reader before
            self._served = served
        return answer

    def replace(self) -> None:
        """Kill the process and start another one."""
        self._process.end()
        self._served = None
        if not self._has_ended:
            self._process = _Process(_work)
            if self._has_ended:  # in the meantime, in another thread
                self._process.end()

    def end(self) -> None:
        """Kill the process for good."""
        self._has_ended = True
        self._process.end()


def _work(pipe: Connection) -> None:
    """The main function of a worker: answer calls until the pipe ends."""
    begin_worker()
    if hasattr(os, "nice"):
        os.nice(GIVES_WAY)
    from threadpoolctl import threadpool_limits

    from lenet.reading.reader import Reader

    threadpool_limits(1)
    reader: Reader | None = None
    with suppress(EOFError, ConnectionError):
        while True:
            settings, function, values, named = pipe.recv()
            try:
                if settings is not None:
                    reader = Reader(*settings)
                    threadpool_limits(1)  # of what has been imported since
                answer = function(reader, *values, **named)
            except Exception as error:
                answer = error
            pipe.send(answer)
