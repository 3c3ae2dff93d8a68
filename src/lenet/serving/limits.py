"""The limits of the server: what a request may bring, what waits at a time, and how a refusal looks."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every limit of the server; those of a single picture are in `lenet.images.decoding`."""

    body_bytes: int = 32 * 2**20  # of one request
    pictures: int = 32  # of one request
    held_bytes: int = 128 * 2**20  # of the bodies of all requests at a time, for each lane
    json_bytes: int = 2**20  # of a body of JSON
    images: int = 1024  # of one request
    values: int = 500_000  # of activations in one answer
    queued_pictures: int = 64  # of all requests, waiting or in progress; at least `pictures`
    queued_images: int = 2048  # of all requests, waiting or in progress; at least those of a request or batch
    batch_images: int = 256  # computed at a time
    workers: int | None = None  # processes that read pictures; None: one for each core but one
    picture_seconds: float = 20.0  # for one picture, after which its worker is killed
    answer_seconds: float = 30.0  # for an answer, once the body is there
    connections: int = 512
    head_seconds: float = 10.0  # for the request line and the headers
    receive_seconds: float = 30.0  # for a body
    send_seconds: float = 30.0  # in which a client has to take what was sent
    keep_alive_seconds: int = 5
    drain_seconds: float = 1.0  # in which requests are still taken, after SIGTERM
    finish_seconds: int = 60  # for requests in progress, after that: to receive a body and to answer
    kept_files: int = 10_000  # in the folder of corrections
    step_side: int = 640  # pixels of an image of a step


class Refusal(Exception):
    """A request that is refused: the status of the answer, one sentence, and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def __reduce__(self) -> tuple[object, ...]:
        return Refusal, (self.status, str(self), self.headers)  # workers send it


def refuse_for_now(message: str) -> Refusal:
    """A refusal for want of room, status 429; the client may try again after a second."""
    return Refusal(429, f"{message}; try again in a second", {"Retry-After": "1"})


@asynccontextmanager
async def finish_within(seconds: float, otherwise: Refusal) -> AsyncIterator[None]:
    """A block that has so much time. Raises `otherwise` when that is over."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise otherwise from None


def answer_in_time(limits: Limits) -> AbstractAsyncContextManager[None]:
    """A block that computes an answer. Raises Refusal 504 when it takes too long."""
    message = f"the answer was not ready within {limits.answer_seconds:g} s; send less"
    return finish_within(limits.answer_seconds, Refusal(504, message))


class BodyBudget:
    """Bounds the bytes that the bodies of all requests hold at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @contextmanager
    def hold(self) -> Iterator["HeldBody"]:
        """A block in which one body may be held; its bytes are given back at the end."""
        body = HeldBody(self, self._limits.body_bytes)
        try:
            yield body
        finally:
            self._held -= body.bytes

    def take(self, count: int) -> None:
        """Count more bytes. Raises Refusal 429 when all bodies together would hold too many."""
        if self._held + count > self._limits.held_bytes:
            raise refuse_for_now("the server is receiving too much")
        self._held += count


class HeldBody:
    """The bytes of one body that were received so far."""

    def __init__(self, budget: BodyBudget, most: int) -> None:
        self._budget = budget
        self.most = most
        """How many there may be; 413 beyond."""
        self.bytes = 0

    def check(self, count: int) -> None:
        """Raises Refusal 413 when a body of `count` bytes is too large."""
        if count > self.most:
            raise Refusal(413, f"a request of this type has at most {self.most / 2**20:.4g} MiB; send less")

    def grow(self, count: int) -> None:
        """Count bytes that arrived. Raises Refusal 413 or 429."""
        self.check(self.bytes + count)
        self._budget.take(count)
        self.bytes += count
