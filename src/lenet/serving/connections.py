"""Ends connections of clients that send their headers or read their answers too slowly, which uvicorn has no
limits for. (The time of a body is limited where the body is read, `lenet.serving.bodies`.)"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lenet.serving.limits import Limits


def make_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """A protocol for `uvicorn.Config(http=…)` that drops slow clients."""

    class TimedProtocol(H11Protocol):
        _timers: dict[str, asyncio.TimerHandle]

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # From now on the protocol is told about every byte that the client does not take.
            transport.set_write_buffer_limits(high=0)
            self._timers = {}
            self._start("head", limits.head_seconds)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._start("head", limits.head_seconds)
            else:
                self._stop("head")

        def on_response_complete(self) -> None:
            self._stop("head")
            super().on_response_complete()  # starts the timer of an idle connection

        def send_400_response(self, msg: str) -> None:
            """Without this, a request that breaks off in its body ends with a traceback in the log."""
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                super().send_400_response(msg)
            else:  # the answer is on its way or sent
                self.transport.abort()
            if self.cycle is not None:
                self.cycle.disconnected = True
                self.cycle.message_event.set()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._start("answer", limits.send_seconds)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop("answer")

        def connection_lost(self, exc: Exception | None) -> None:
            for name in tuple(self._timers):
                self._stop(name)
            super().connection_lost(exc)

        def _start(self, name: str, seconds: float) -> None:
            if name not in self._timers:
                self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self, name: str) -> None:
            if timer := self._timers.pop(name, None):
                timer.cancel()

    protocol: Any = TimedProtocol
    return protocol  # type: ignore[no-any-return]
