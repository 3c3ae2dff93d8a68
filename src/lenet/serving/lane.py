"""The lane in which pictures are read: one thread, one picture at a time, a bounded number of requests.

Reading a picture takes tens of milliseconds of processor time. In a thread of its own it leaves the event
loop free to answer other requests. Requests take turns picture by picture, in the order of arrival.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from lenet.serving.limits import Limits, refuse_for_now

Result = TypeVar("Result")


class Lane:
    """Runs functions one after another in one thread, for a bounded number of requests at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.waiting + 1  # one request is not waiting but served
        self._admitted = 0
        self._turn = asyncio.Lock()
        # More threads within the network would help one picture little, and change the last bits of results.
        self._thread = ThreadPoolExecutor(1, "lane", initializer=threadpool_limits, initargs=(1,))

    def check(self) -> None:
        """Raises Refusal 429 when as many requests as may wait are waiting."""
        if self._admitted >= self._limit:
            raise refuse_for_now(f"{self._admitted} requests are waiting")

    @contextmanager
    def admit(self) -> Iterator[None]:
        """A block in which a request may run functions. Raises Refusal 429."""
        self.check()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """The result of a function, which runs in the thread when its turn comes."""
        async with self._turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """Start nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
