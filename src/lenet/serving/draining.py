"""Stops the server so that no accepted request is lost, which uvicorn alone does not do.

uvicorn closes its socket at once: connections that wait to be accepted are reset, and so are requests that
are on their way on an open connection. Here SIGTERM begins a second in which the server takes requests as
before, but /ready answers 503, so that a balancer looks elsewhere, and each answer ends its connection.
"""

import asyncio
import ctypes
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import uvicorn

HEAD_SECONDS = 1.0  # in which the requests of connections that were accepted last begin
HANDSHAKE_SECONDS = 0.1  # in which connections that have begun are complete
SO_ATTACH_FILTER = 26  # of Linux; Python has no name for it
# A program of the kernel's packet filter: load byte 13 of the TCP header; is SYN set? then drop, else keep.
DROP_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 2, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)


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
            await self._accept_last(sockets or [])
            await self._wait_for_heads()
        await super().shutdown(sockets)

    async def _accept_last(self, sockets: list[socket.socket]) -> None:
        """Accept the connections that wait, and no more."""
        last: list[socket.socket] = []
        for listener in sockets:
            _drop_new(listener)
        await asyncio.sleep(HANDSHAKE_SECONDS)
        for listener in sockets:
            with suppress(OSError):  # none waits, or the process can open no more
                while True:
                    last.append(listener.accept()[0])
        for server in self.servers:
            server.close()  # and its sockets
        for connection in last:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)

    async def _wait_for_heads(self) -> None:
        """Wait while there are connections without a request; uvicorn would close them."""
        end = time.monotonic() + HEAD_SECONDS
        while time.monotonic() < end and any(
            getattr(connection, "cycle", connection) is None for connection in self.server_state.connections
        ):
            await asyncio.sleep(0.02)

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _drop_new(listener: socket.socket) -> None:
    """Drop attempts to connect, which clients repeat after a second and are then refused.

    Without this, the kernel would complete some connections between the last accept and the close, and reset
    them after their request was sent. Other systems than Linux have no such filter.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program))
        )
