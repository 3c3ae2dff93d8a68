"""The running service: what is served now, and the two lanes that compute it."""

from __future__ import annotations

import asyncio
import logging

import numpy as np

from lenet.serving.limits import BodyBudget, Limits
from lenet.serving.metrics import Metrics
from lenet.serving.picture_lane import PictureLane
from lenet.serving.picture_rows import read_pixels
from lenet.serving.served import Served
from lenet.serving.tensor_lane import TensorLane

LOG = logging.getLogger("uvicorn.error")


class Service:
    """What every address takes its answers from. Only `served` and the two states change."""

    def __init__(self, served: Served, limits: Limits | None = None) -> None:
        self.served = served
        """What is served now. A reload assigns another one."""
        self.limits = limits or Limits()
        self.tensors = TensorLane(self.limits)
        self.pictures = PictureLane(self.limits)
        self.bodies = BodyBudget(self.limits)
        """Of pictures."""
        self.image_bodies = BodyBudget(self.limits)
        """Of images, which pictures that arrive slowly must not keep out."""
        self.metrics = Metrics()
        self.metrics.watch_lane("images", lambda: self.tensors.waiting)
        self.metrics.watch_lane("pictures", lambda: self.pictures.waiting)
        self.metrics.watch_workers(lambda: self.pictures.replaced)
        self.metrics.show_served(served)
        self.has_passed = False
        """Whether the first self-test was passed."""
        self.is_draining = False
        """Whether the server is being stopped."""
        self._first: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether new requests may be sent here."""
        return self.has_passed and not self.is_draining

    async def start(self) -> None:
        """Start the workers, and test in the background what is served."""
        self.pictures.start()
        self._first = asyncio.create_task(self.make_ready())

    async def test(self, served: Served) -> None:
        """Compute an image and read a picture in every worker. Raises what fails."""
        image = np.zeros((1, 1, *served.image_shape), np.uint8)
        image[..., 6:22, 13:15] = 255
        logits = await self.tensors.classify(served, image)
        if not np.isfinite(logits).all():
            raise ValueError("the network computes numbers that are not finite")
        calls = [self.pictures.run(served, read_pixels, image[0, 0]) for _ in range(self.pictures.workers)]
        await asyncio.gather(*calls)

    def drain(self) -> None:
        """Say from now on that the service is not ready."""
        self.is_draining = True

    def close(self) -> None:
        """End the workers, whatever they do; may be called again."""
        if self._first is not None:
            self._first.cancel()
        self.tensors.close()
        self.pictures.close()

    async def make_ready(self) -> None:
        """Test what is served; from when it passes, requests may be sent here."""
        try:
            await self.test(self.served)
            self.has_passed = True
        except Exception as error:
            LOG.error("the self-test failed, so the server is not ready: %s", error)
