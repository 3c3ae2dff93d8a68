"""The lane of images: joined and cut by number of images, bounded, each answer by one network."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lenet.errors import ModelError
from lenet.serving.limits import Limits, Refusal
from lenet.serving.served import Served, open_served
from lenet.serving.tensor_lane import TensorLane

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 1, 28, 28), dtype=np.uint8)
LIMITS = Limits(batch_images=16, queued_images=200, answer_seconds=5)


class Watched:
    """A network that notes the sizes of its batches, and takes some time for each."""

    def __init__(self, served: Served, seconds: float = 0.0) -> None:
        self.network, self.config = served.network, served.network.config
        self.seconds = seconds
        self.sizes: list[int] = []

    def compute_logits(self, images: NDArray[Any], threads: int | None = None) -> NDArray[np.float32]:
        self.sizes.append(len(images))
        time.sleep(self.seconds)
        return self.network.compute_logits(images, threads)

    def compute_probabilities(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return self.network.compute_probabilities(images)


@pytest.fixture(scope="module")
def served() -> Served:
    return open_served()


def run(test: Callable[[TensorLane], Coroutine[Any, Any, None]], limits: Limits = LIMITS) -> None:
    lane = TensorLane(limits)

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test(lane)

    try:
        asyncio.run(bounded())
    finally:
        lane.close()
    assert lane.waiting == 0


def test_each_request_gets_its_own_rows(served: Served):
    network = Watched(served, 0.001)
    watched = replace(served, network=network)
    counts = [1, 3, 16, 17, 0, 40, 1, 1, 2, 50]

    async def test(lane: TensorLane) -> None:
        answers = await asyncio.gather(*(lane.classify(watched, IMAGES[:count]) for count in counts))
        for count, logits in zip(counts, answers, strict=True):
            assert np.allclose(logits, served.network.compute_logits(IMAGES[:count]), atol=1e-5)

    run(test)
    assert sum(network.sizes) == sum(counts)
    assert max(network.sizes) == LIMITS.batch_images
    assert len(network.sizes) <= sum(counts) // LIMITS.batch_images + 2  # what waits is computed together


def test_a_large_request_lets_small_ones_pass(served: Served):
    watched = replace(served, network=Watched(served, 0.02))

    async def test(lane: TensorLane) -> None:
        large = asyncio.create_task(lane.classify(watched, IMAGES))  # seven batches
        await asyncio.sleep(0.01)
        await lane.classify(watched, IMAGES[:1])
        assert not large.done()
        assert len(await large) == len(IMAGES)

    run(test)


def test_two_networks_are_never_mixed(served: Served):
    other = open_served("mnist")

    async def test(lane: TensorLane) -> None:
        both = [served, other] * 10
        answers = await asyncio.gather(*(lane.classify(each, IMAGES[:5]) for each in both))
        for each, logits in zip(both, answers, strict=True):
            assert np.allclose(logits, each.network.compute_logits(IMAGES[:5]), atol=1e-5)

    run(test)


def test_too_many_images_are_refused_at_once_and_taken_again_later(served: Served):
    watched = replace(served, network=Watched(served, 0.01))

    async def test(lane: TensorLane) -> None:
        taken = [asyncio.create_task(lane.classify(watched, IMAGES)) for _ in range(2)]
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(Refusal, match="200 images are waiting") as refused:
            await lane.classify(watched, IMAGES[:1])
        assert time.monotonic() - began < 0.05
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
        await asyncio.gather(*taken)
        assert len(await lane.classify(watched, IMAGES[:1])) == 1

    run(test)


def test_a_request_that_takes_too_long_gives_its_place_back(served: Served):
    watched = replace(served, network=Watched(served, 0.1))

    async def test(lane: TensorLane) -> None:
        with pytest.raises(Refusal, match=r"not ready within 0\.05 s") as refused:
            await lane.classify(watched, IMAGES)
        assert refused.value.status == 504
        await asyncio.sleep(0.3)  # what it had begun
        assert len(await lane.classify(served, IMAGES[:2])) == 2

    run(test, replace(LIMITS, answer_seconds=0.05))


def test_a_fault_reaches_the_requests_of_its_batch_only(served: Served):
    async def test(lane: TensorLane) -> None:
        wrong = IMAGES[:1].astype(np.float64)  # of a type that no network takes
        with pytest.raises(ModelError):
            await lane.classify(served, wrong)  # type: ignore[arg-type]
        assert len(await lane.classify(served, IMAGES[:2])) == 2

    run(test)


def test_functions_are_counted_as_the_batches_that_wait_for_them(served: Served):
    """Otherwise as many could wait as there may be images, each as long as a batch."""

    async def test(lane: TensorLane) -> None:
        calls = [asyncio.create_task(lane.run(time.sleep, 0.05)) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert lane.waiting <= LIMITS.queued_images
        assert len(await lane.classify(served, IMAGES[:2])) == 2
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [outcome.status for outcome in outcomes if isinstance(outcome, Refusal)]
        assert refused == [429] * (20 - LIMITS.queued_images // LIMITS.batch_images)

    run(test)
