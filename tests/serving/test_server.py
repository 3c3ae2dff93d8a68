"""What prevents a server from starting gets one line."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from lenet.models.checkpoint import save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.serving.draining import _drop_new
from lenet.serving.guard import find_policy
from lenet.serving.limits import Limits
from lenet.serving.server import make_server, open_socket

Lenet = Callable[..., Any]


def test_a_used_port_gets_one_line(lenet: Lenet):
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = lenet("serve", "--port", other.getsockname()[1])
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("lenet: 127.0.0.1:")
    assert outcome.err.endswith("take another port, or --port 0 for a free one\n")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "python_multipart"])
def test_a_missing_extra_gets_the_command_that_installs_it(
    lenet: Lenet, monkeypatch: pytest.MonkeyPatch, missing: str
):
    monkeypatch.setitem(sys.modules, missing, None)
    outcome = lenet("serve")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "lenet: a server needs FastAPI and uvicorn; pip install 'lenet[serve]'\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", 70000), "--port is 70000; it must be a number from 0 to 65535"),
        (("--port", "1.5"), "'1.5' is not a whole number"),
        (("--host", "no such host"), "--host is 'no such host', which is no name or address"),
        (("--host", "192.0.2.1"), "192.0.2.1:8000: "),  # an address of documentation, of no machine
        (("nonsense.safetensors",), "nonsense.safetensors: no such checkpoint"),
        (("--keep", "file/kept"), "file/kept: "),
        (("clothes.safetensors", "--keep", "kept"), "the class 'T-shirt/top' cannot be the name of a folder"),
    ],
)
def test_mistakes_get_one_line(lenet: Lenet, workplace: Path, words: tuple[object, ...], said: str):
    (workplace / "file").write_bytes(b"")
    model = LeNet(LeNetConfig(input_size=8, channels=(2,), kernel_size=3, hidden=(3,), classes=2))
    save_checkpoint(workplace / "clothes.safetensors", model, {"classes": ["T-shirt/top", "Bag"]})
    outcome = lenet("serve", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_small_answers_are_not_delayed():
    """asyncio switches Nagle's algorithm off for sockets that say that they are TCP, and for no others."""
    with open_socket("localhost", 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert (listener.proto, accepted.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)


def test_an_address_of_ipv6():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with open_socket("::1", 0) as listener:
        assert listener.getsockname()[0] == "::1"


def test_the_header_has_the_policy_of_the_page():
    page = """<html><meta content="default-src 'none';
        script-src 'sha256-x';" HTTP-EQUIV='Content-Security-Policy'><script>"<meta>"</script>"""
    assert find_policy(page) == "default-src 'none'; script-src 'sha256-x'; frame-ancestors 'none'"
    assert find_policy("<p>") == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


@pytest.mark.skipif(sys.platform != "linux", reason="has no such filter")
def test_connections_that_begin_at_the_end_are_dropped_and_not_reset():
    """So that a client never sends a request to a connection that nobody will accept."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5) as waiting:
            _drop_new(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            accepted, _ = listener.accept()
            with accepted:
                waiting.sendall(b"request")
                assert accepted.recv(7) == b"request"


def test_a_server_that_can_open_nothing_more_still_finishes():
    """Where a connection cannot be accepted at the end, the requests in progress get their answers."""

    class Listener(socket.socket):
        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

    async def test() -> None:
        server = make_server(FastAPI(), Limits())
        server.servers = []
        with Listener() as listener:
            await server._accept_last([listener])

    asyncio.run(test())
