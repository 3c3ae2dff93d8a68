"""The lane of images: what waits is computed together, in one thread of this process.

While a batch is computed, the images of further requests wait; the next batch takes them together, at most as
many as `Limits.batch_images`. Images are counted, not requests: a request of more images is cut into several
batches, and between them the others have their turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lenet.serving.limits import Limits, answer_in_time, refuse_for_now

if TYPE_CHECKING:
    from lenet.serving.served import Served

Values = TypeVarTuple("Values")
Result = TypeVar("Result")
Images = NDArray[np.uint8]
Logits = NDArray[np.float32]


@dataclass(eq=False)
class _Job:
    """The images of one request, of which the first `taken` are computed or in progress."""

    served: Served
    images: Images
    logits: Logits
    done: asyncio.Future[None]
    taken: int = 0

    def fits(self, other: _Job) -> bool:
        return self.served is other.served and self.images.shape[1:] == other.images.shape[1:]


class TensorLane:
    """Computes the logits of images for many requests at a time; the number of images is bounded."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: deque[_Job] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "tensors", initializer=threadpool_limits, initargs=(1,))
        self.waiting = 0
        """The images that are waiting or in progress."""

    def check(self, count: int = 1) -> None:
        """Raises Refusal 429 when `count` more images would be too many."""
        if self.waiting + count > self._limits.queued_images:
            raise refuse_for_now(f"{self.waiting} images are waiting")

    async def classify(self, served: Served, images: Images) -> Logits:
        """The logits (N, classes) of images, uint8 (N, 1, H, W), by the network of `served`.

        Raises Refusal: 429 when too many images wait, 504 when they are not computed within the deadline.
        """
        count = len(images)
        self.check(count)
        logits = np.empty((count, served.network.config.classes), np.float32)
        if not count:
            return logits
        job = _Job(served, images, logits, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self.waiting += count
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        try:
            async with answer_in_time(self._limits):
                await job.done
        finally:
            self.waiting -= count
        return logits

    async def run(self, function: Callable[[*Values], Result], *values: *Values) -> Result:
        """The result of a function that runs in the thread, between two batches. Raises Refusal.

        It counts as a whole batch of images: it takes as long, and images wait for it.
        """
        count = self._limits.batch_images
        self.check(count)
        self.waiting += count
        try:
            async with answer_in_time(self._limits):
                return await asyncio.get_running_loop().run_in_executor(self._thread, function, *values)
        finally:
            self.waiting -= count

    def close(self) -> None:
        """Start nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        """Compute batch after batch until no job is left."""
        loop = asyncio.get_running_loop()
        while parts := self._take():
            first = parts[0][0]
            images = [job.images[start:end] for job, start, end in parts]
            batch = images[0] if len(images) == 1 else np.concatenate(images)
            try:
                rows = await loop.run_in_executor(self._thread, first.served.network.compute_logits, batch, 1)
            except Exception as error:
                for job, _, _ in parts:
                    if not job.done.done():
                        job.done.set_exception(error)
                continue
            place = 0
            for job, start, end in parts:
                job.logits[start:end] = rows[place : place + end - start]
                place += end - start
                if end == len(job.images) and not job.done.done():
                    job.done.set_result(None)

    def _take(self) -> list[tuple[_Job, int, int]]:
        """The next batch: jobs, each with the range of its images; a job that is cut goes to the end."""
        parts: list[tuple[_Job, int, int]] = []
        room = self._limits.batch_images
        while room and self._jobs:
            job = self._jobs[0]
            if job.done.done():  # its client went away, or its time is over
                self._jobs.popleft()
                continue
            if parts and not job.fits(parts[0][0]):
                break
            self._jobs.popleft()
            end = min(len(job.images), job.taken + room)
            parts.append((job, job.taken, end))
            room -= end - job.taken
            job.taken = end
            if end < len(job.images):
                self._jobs.append(job)
        return parts
