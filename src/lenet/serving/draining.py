"""Stops the server so that no accepted request is lost, which uvicorn alone does not do.

uvicorn closes its socket at once: connections that wait to be accepted are reset, and so are requests that
are on their way on an open connection. Here SIGTERM begins a second in which the server takes requests as
before, but /ready answers 503, so that a balancer looks elsewhere, and each answer ends its connection.
"""

import asyncio
import signal
import socket
from collections.abc import Callable

import uvicorn


class DrainingServer(uvicorn.Server):
    """A uvicorn server that goes on for a while after SIGTERM, and then stops as uvicorn does."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], seconds: float) -> None:
        """`announce` is called when the server begins to stop; it takes requests for `seconds` from then."""
        super().__init__(config)
        self._announce = announce
        self._seconds = seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests until the time is over, then finish those in progress."""
        self._announce()
        self.server_state.default_headers.append((b"connection", b"close"))
        if signal.SIGTERM in self._captured_signals:  # after Ctrl-C nobody sends more
            await asyncio.sleep(self._seconds)
        await super().shutdown(sockets)
