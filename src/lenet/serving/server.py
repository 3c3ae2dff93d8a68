"""Opens a socket and serves the page and the API on it until the process is stopped."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.errors import ServingError
from lenet.serving.limits import Limits

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp


def run_server(
    checkpoint: str | None,
    host: str,
    port: int,
    keep: Path | None,
    announce: Callable[[str], None],
    limits: Limits | None = None,
    origins: Sequence[str] = (),
) -> None:
    """Serve a checkpoint until SIGINT or SIGTERM, then finish what is in progress and raise the signal again.

    Args:
        checkpoint: a file, a run folder or the name of shipped weights; None is the shipped line network, and
            the page shows `reader`.
        host: a name or an address of this machine.
        port: 0 to 65535; 0 takes a free port.
        keep: the folder for corrected pictures; None keeps none.
        announce: called with the address of the page, once the socket listens.
        limits: by default those of `Limits`.
        origins: other origins whose web pages may call, such as https://example.org.

    Clients need the key in the environment variable LENET_API_KEY, where there is one. SIGHUP loads the
    checkpoint again.

    Raises CheckpointError, and ServingError when the server cannot start.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ServingError("a server needs FastAPI and uvicorn; pip install 'lenet[serve]'") from None
    from lenet.serving.access import check_origin, read_key
    from lenet.serving.app import make_app
    from lenet.serving.corrections import Corrections
    from lenet.serving.reloading import Reloader
    from lenet.serving.served import open_served
    from lenet.serving.service import Service

    limits = limits or Limits()
    key, allowed = read_key(), tuple(map(check_origin, origins))
    reloader = Reloader(checkpoint)
    with reloader.handle_hangup():
        served = open_served(checkpoint)
        corrections = None if keep is None else Corrections(keep, served.checkpoint.classes, limits)
        with open_socket(host, port) as listener:
            address, bound = listener.getsockname()[:2]
            reloader.service = service = Service(served, limits)
            app = make_app(service, corrections, hosts=_find_hosts(address), key=key, origins=allowed)
            server = make_server(app, limits, service.drain)
            announce(f"http://{_write_host(address)}:{bound}/")
            # A collection of all objects, most of them PyTorch's, stops every request for .1 s.
            gc.collect()
            gc.freeze()
            try:
                server.run([listener])
            finally:
                service.close()


def make_server(app: ASGIApp, limits: Limits, drain: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """The HTTP server for an application: its limits, and its log on standard error.

    `drain` is called when it begins to stop.
    """
    import uvicorn

    from lenet.serving.connections import make_protocol
    from lenet.serving.draining import DrainingServer
    from lenet.serving.observation import LOGGING

    config = uvicorn.Config(
        app,
        http=make_protocol(limits),
        ws="none",
        log_config=LOGGING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.finish_seconds,
    )
    return DrainingServer(config, drain, limits.drain_seconds)


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address of this machine. Raises ServingError when it cannot."""
    if not 0 <= port <= 65535:
        raise ServingError(f"port is {port}; it must be a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
    except (OSError, UnicodeError):
        raise ServingError(f"host is {host!r}, which is no name or address; take 127.0.0.1") from None
    # `socket.create_server` leaves the protocol open, and asyncio switches Nagle's algorithm off only where
    # the protocol is TCP. With the algorithm, an answer takes 40 ms longer.
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows it would allow two servers on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        return listener
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        place = f"{_write_host(str(address[0]))}:{port}"
        raise ServingError(f"{place}: {reason}; take another port, or --port 0 for a free one") from None


def _find_hosts(address: str) -> tuple[str, ...] | None:
    """The names that clients may call a server by that listens on an address; None allows any."""
    from lenet.serving.guard import LOOPBACK

    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return None
    return LOOPBACK if address in LOOPBACK else (*LOOPBACK, _write_host(address))


def _write_host(address: str) -> str:
    """An address as in a URL: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
