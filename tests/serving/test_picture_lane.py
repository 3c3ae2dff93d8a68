"""The lane of pictures with real workers: what kills one of them costs one picture and nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lenet.errors import CheckpointError, PictureError
from lenet.serving.limits import Limits, Refusal
from lenet.serving.picture_lane import PictureLane
from lenet.serving.picture_rows import read_picture

if TYPE_CHECKING:  # what the workers would have to import, too, takes seconds
    from lenet.reading.reader import Reader
    from lenet.serving.served import Served

PENCIL = (Path(__file__).parents[2] / "examples/pictures/9-pencil.jpg").read_bytes()
LIMITS = Limits(workers=1, queued_pictures=2, picture_seconds=30)


def find_process(_: object) -> int:
    return os.getpid()


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(_: object, seconds: float) -> None:
    time.sleep(seconds)


def name_signals(_: object) -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def fail(_: object, error: Exception) -> None:
    raise error


def name_network(reader: Reader) -> tuple[bool, tuple[int, ...]]:
    return reader.names_digits, reader.network.config.hidden


def has_torch(_: object) -> bool:
    return "torch" in sys.modules


@pytest.fixture(scope="module")
def served() -> Served:
    from lenet.serving.served import open_served

    return open_served()


def run(test: Callable[[PictureLane], Coroutine[Any, Any, None]], limits: Limits = LIMITS) -> None:
    lane = PictureLane(limits)

    async def bounded() -> None:
        async with asyncio.timeout(60):
            lane.start()
            await test(lane)

    try:
        asyncio.run(bounded())
    finally:
        lane.close()


def test_a_worker_that_dies_is_replaced(served: Served):
    options = {"length": None, "pattern": None, "amount": False}

    async def test(lane: PictureLane) -> None:
        first = await lane.run(served, find_process)
        with pytest.raises(PictureError, match="the process that read it died"):
            await lane.run(served, die)
        row = await lane.run(served, read_picture, "nine", PENCIL, options)
        assert (row["picture"], row["text"]) == ("nine", "9")
        assert await lane.run(served, find_process) != first
        assert lane.replaced == 1
        with pytest.raises(Refusal, match="full") as refused:  # what a function raises comes through
            await lane.run(served, fail, Refusal(507, "full"))
        assert refused.value.status == 507
        assert not await lane.run(served, has_torch)
        # Workers of a group whose signals mean the server do not end before it says so.
        assert {signal.SIGINT, signal.SIGTERM} <= await lane.run(served, name_signals)
        assert lane.replaced == 1

    run(test)


def test_a_picture_that_takes_too_long_ends_its_worker(served: Served):
    async def test(lane: PictureLane) -> None:
        await lane.run(served, find_process)
        object.__setattr__(lane._limits, "picture_seconds", 0.3)
        began = time.monotonic()
        with pytest.raises(PictureError, match=r"not read within 0\.3 s"):
            await lane.run(served, wait, 60.0)
        assert time.monotonic() - began < 5
        object.__setattr__(lane._limits, "picture_seconds", 30)
        await lane.run(served, find_process)

    run(test, Limits(workers=1))


def test_workers_follow_what_is_served(served: Served):
    """Both networks are in use at a time: requests keep the one that they began with."""
    from lenet.serving.served import open_served

    other = open_served("mnist")

    async def test(lane: PictureLane) -> None:
        process = await lane.run(served, find_process)
        assert await lane.run(served, name_network) == (True, (120, 84))
        assert (await lane.run(other, name_network))[0] is False
        assert (await lane.run(served, name_network))[0] is True
        assert await lane.run(other, find_process) == process

    run(test)


def test_a_request_that_is_cancelled_leaves_its_worker_well(served: Served):
    async def test(lane: PictureLane) -> None:
        await lane.run(served, find_process)
        task = asyncio.create_task(lane.run(served, wait, 0.3))
        await asyncio.sleep(0.05)
        task.cancel()
        began = time.monotonic()
        await lane.run(served, find_process)  # the worker answers what it was asked last
        assert time.monotonic() - began > 0.1
        assert lane.replaced == 0

    run(test)


def test_the_number_of_pictures_is_bounded():
    lane = PictureLane(LIMITS)
    with lane.admit(2):
        with pytest.raises(Refusal, match="2 pictures are waiting"):
            lane.check()
        with pytest.raises(Refusal), lane.admit():
            pass
    with lane.admit(), lane.admit():
        assert lane.waiting == 2
    assert lane.waiting == 0
    lane.close()


def test_a_reader_that_cannot_be_opened_leaves_none_of_another_checkpoint(served: Served):
    broken = replace(served, reader=("missing.safetensors", None, False))

    async def test(lane: PictureLane) -> None:
        assert await lane.run(served, name_network) == (True, (120, 84))
        for _ in range(2):
            with pytest.raises(CheckpointError, match="missing"):
                await lane.run(broken, name_network)
        assert await lane.run(served, name_network) == (True, (120, 84))

    run(test)


def test_where_no_process_can_be_started_the_next_picture_tries_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    async def test(lane: PictureLane) -> None:
        await lane.run(served, find_process)
        with monkeypatch.context() as patch:
            patch.setattr("lenet.serving.picture_lane._Process", refuse)
            for _ in range(2):
                with pytest.raises(PictureError, match="died"):
                    await lane.run(served, die)
        with pytest.raises(PictureError, match="died"):  # which replaces it
            await lane.run(served, find_process)
        assert await lane.run(served, find_process)

    run(test)
