"""Replaces the checkpoint while requests are answered, on SIGHUP.

The file is loaded and tested in a thread of its own. Then one assignment makes it the one that is served:
requests that have begun end with the one before. Where anything fails, that one stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lenet.data.datasets import load
from lenet.data.imageset import spread
from lenet.errors import CheckpointError, LeNetError
from lenet.models.line_config import DIGITS
from lenet.reading.reader import Reader
from lenet.serving.observation import FIELDS
from lenet.serving.served import Served, open_served
from lenet.serving.service import Service

IMAGES, PICTURES = 100, 20
MIN_SHARE = 0.3
"""Of the images, and of the pictures, that a network of digits has to name: chance is a tenth, the weakest
of the shipped networks, which learnt from other digits, names 0.75 and 0.6."""
_log = logging.getLogger(__name__)


class Reloader:
    """Loads a checkpoint again on request: a file, a run folder or the name of shipped weights."""

    def __init__(self, checkpoint: str | Path | None) -> None:
        self.service: Service | None = None
        """Where the checkpoint is served; None before it is loaded for the first time."""
        self._checkpoint = checkpoint
        self._running: asyncio.Task[None] | None = None
        self._is_asked = False

    def ask(self) -> None:
        """Reload soon; called in the event loop. One that is asked for during another comes after it."""
        self._is_asked = True
        if self.service is not None and (self._running is None or self._running.done()):
            self._running = asyncio.create_task(self._run(self.service))

    @contextmanager
    def handle_hangup(self) -> Iterator[None]:
        """A block in which SIGHUP reloads; where the terminal was closed, it stops as SIGTERM does.

        Only the main thread takes signals, and Windows has no SIGHUP.
        """
        if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
            yield
            return
        has_terminal = os.isatty(0)

        def handle(*_: object) -> None:
            if has_terminal and not os.isatty(0):
                signal.raise_signal(signal.SIGTERM)
            else:
                with suppress(RuntimeError):  # no loop is running yet, and what it will serve is new
                    asyncio.get_running_loop().call_soon_threadsafe(self.ask)

        before = signal.signal(signal.SIGHUP, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)

    async def _run(self, service: Service) -> None:
        while self._is_asked:
            self._is_asked = False
            before = service.served
            try:
                served = await asyncio.to_thread(self._open, before)
            except Exception as error:
                # What a foreign file can raise is not known; whatever it is, the server has to go on.
                reason = str(error) if isinstance(error, LeNetError) else repr(error)
                service.metrics.count_reload("refused")
                told = f"the checkpoint stays as it is, the new one is refused: {reason}"
                _log.warning("reload", extra={FIELDS: {"message": told, "version": before.version}})
            else:
                service.served = served
                service.metrics.show_served(served)
                service.metrics.count_reload("swapped")
                told = f"the checkpoint was loaded again, in place of version {before.version}"
                _log.info("reload", extra={FIELDS: {"message": told, "version": served.version}})
                if not service.has_passed:  # the one before did not pass the first self-test
                    await service.make_ready()

    def _open(self, before: Served) -> Served:
        served = open_served(self._checkpoint)
        check_successor(served, before)
        return served


def check_successor(served: Served, before: Served) -> None:
    """Raise CheckpointError unless `served` can take the place of `before`: what clients rely on is the same,
    and it names digits, or at least computes numbers that differ from image to image."""
    if served.checkpoint.classes != before.checkpoint.classes:
        raise CheckpointError("it has other classes than the one served; start a server for it")
    if served.image_shape != before.image_shape:
        raise CheckpointError("it takes images of another size than the one served; start a server for it")
    digits = load("digits", "test")
    chosen = digits.subset(spread(len(digits), IMAGES))
    images, labels = chosen.images.numpy(), chosen.labels.numpy()
    logits = served.network.compute_logits(images, 1)
    if not np.isfinite(logits).all():
        raise CheckpointError("it computes numbers that are not finite")
    if (logits == logits[0]).all():
        raise CheckpointError("it computes the same for every image")
    pictures = images[:: IMAGES // PICTURES, 0]
    texts = [reading.text for reading in Reader(*served.reader).read_many(pictures)]
    if served.checkpoint.classes != DIGITS:
        return
    _check_share(logits.argmax(axis=1) == labels, "images")
    expected = [str(label) for label in labels[:: IMAGES // PICTURES]]
    _check_share(np.array(texts) == np.array(expected), "pictures")


def _check_share(right: np.ndarray, what: str) -> None:
    if right.mean() < MIN_SHARE:
        raise CheckpointError(f"it names {right.sum()} of {len(right)} {what} of digits")
