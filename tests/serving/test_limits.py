"""Limits that take too long at their true size: a server in this process with small ones, on a socket."""

import io
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image

from lenet.serving.app import make_app
from lenet.serving.corrections import Corrections
from lenet.serving.limits import Limits
from lenet.serving.served import open_served
from lenet.serving.server import make_server, open_socket
from lenet.serving.service import Service

PENCIL = Path(__file__).parents[2] / "examples/pictures/9-pencil.jpg"
BYTES = "application/octet-stream"
PAGE = "x" * 8_000_000  # more than the buffers of a connection hold
SMALL = Limits(
    body_bytes=100_000, held_bytes=150_000, queued_pictures=6, connections=6, head_seconds=0.5,
    receive_seconds=0.5, send_seconds=0.5, keep_alive_seconds=1, kept_files=2,
)  # fmt: skip


@dataclass(frozen=True)
class Small:
    address: tuple[str, int]
    url: str
    server: uvicorn.Server
    service: Service

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    served = replace(open_served(), page=PAGE)
    kept = Corrections(tmp_path_factory.mktemp("kept"), served.checkpoint.classes, SMALL)
    service = Service(served, SMALL)
    server = make_server(make_app(service, kept), SMALL)
    with open_socket("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield Small(address, f"http://127.0.0.1:{address[1]}/", server, service)
        server.should_exit = True
        thread.join()


def read_all(connection: socket.socket) -> tuple[bytes, float]:
    """What the server sends until it ends the connection, and after how many seconds it does."""
    began = time.monotonic()
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received, time.monotonic() - began


def head(length: int) -> bytes:
    return (
        "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /live HTTP/1.1\r\nHost: local"])
def test_headers_that_do_not_arrive_end_the_connection(small: Small, sent: bytes):
    with small.connect() as connection:
        connection.sendall(sent)
        received, seconds = read_all(connection)
    assert received == b""
    assert 0.3 < seconds < 10


def test_headers_of_a_second_request_do_not_take_longer(small: Small):
    """Bytes that trickle in do not start the time anew."""
    with small.connect() as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b'{"live":true}'):
            received += connection.recv(65536)
        trickled = []
        with suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"G")
                trickled.append(b"G")
                time.sleep(0.1)
        assert len(trickled) < 50


@pytest.mark.parametrize(
    ("path", "kind"), [("predict", "image/png"), ("classify", "application/json"), ("classify", BYTES)]
)
def test_a_body_that_trickles_is_refused(small: Small, path: str, kind: str):
    with small.connect() as connection:
        connection.sendall(head(1000).replace(b"predict", path.encode()).replace(b"image/png", kind.encode()))
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        received, seconds = read_all(connection)
        stop.set()
        thread.join()
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.5 s" in received
    assert seconds < 10


def test_a_client_that_does_not_read_its_answer_is_dropped(small: Small):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(small.address)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        begun = connection.recv(1)  # the answer is on its way, so the server has the connection
        wait_until_nobody_is_connected(small)
        received, _ = read_all(connection)
    assert begun == b"H"
    assert len(received) < len(PAGE)
    assert len(httpx.get(small.url).content) == len(PAGE)  # one that reads gets all of it


def test_bodies_together_have_a_limit(small: Small):
    """The first body is in the memory while the second one arrives."""
    with small.connect() as first, small.connect() as second:
        first.sendall(head(100_000) + bytes(99_000))
        time.sleep(0.1)
        second.sendall(head(100_000) + bytes(99_000))
        answers = [read_all(connection)[0] for connection in (second, first)]
    assert answers[0].startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 1\r\n" in answers[0].lower()
    assert answers[1].startswith(b"HTTP/1.1 408 ")  # its last byte never came
    answer = httpx.post(
        small.url + "v1/predict", content=b"x" * 99_000, headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200  # all bytes were given back


def test_too_many_requests_are_told_to_wait(small: Small):
    """With no room to wait, each of several requests is either served or told to try again."""
    files = [("pictures", ("one", PENCIL.read_bytes()))] * 6

    def read(_: int) -> httpx.Response:
        return httpx.post(small.url + "v1/predict", files=files, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(read, range(8)))
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"] == "6 pictures are waiting; try again in a second"
        else:
            assert [row["text"] for row in answer.json()] == ["9"] * 6


def test_too_many_connections_are_refused_until_they_end(small: Small):
    wait_until_nobody_is_connected(small)
    idle = [small.connect() for _ in range(SMALL.connections)]
    time.sleep(0.1)
    assert httpx.get(small.url + "live").status_code == 503
    wait_until_nobody_is_connected(small)  # the idle ones are dropped
    assert httpx.get(small.url + "live").status_code == 200
    for connection in idle:
        connection.close()


def test_a_worker_that_is_killed_costs_its_picture(small: Small):
    """As the kernel does where memory ends. Every other picture of the request is read, and the next ones."""
    files = [("pictures", (f"{number}", PENCIL.read_bytes())) for number in range(6)]
    while httpx.get(small.url + "ready").status_code != 200:
        time.sleep(0.05)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(httpx.post, small.url + "v1/predict", files=files, timeout=60)
        while not small.service.pictures.waiting:
            time.sleep(0.001)
        for process in small.service.pictures.processes:
            os.kill(process, signal.SIGKILL)
        answer = coming.result()
    assert answer.status_code == 200
    assert [row["picture"] for row in answer.json()] == [str(number) for number in range(6)]
    lost = [row for row in answer.json() if "error" in row]
    assert 1 <= len(lost) <= small.service.pictures.workers
    assert "the process that read it died" in lost[0]["error"]
    assert all(row["text"] == "9" for row in answer.json() if row not in lost)


def test_a_full_folder_of_corrections_takes_no_more(small: Small):
    def keep(value: int) -> int:
        buffer = io.BytesIO()
        Image.new("L", (28, 28), value).save(buffer, "png")
        headers = {"Content-Type": "image/png"}
        address = small.url + "v1/corrections?label=1"
        return httpx.post(address, content=buffer.getvalue(), headers=headers).status_code

    assert [keep(value) for value in (0, 1, 2, 1)] == [201, 201, 507, 201]


def wait_until_nobody_is_connected(small: Small) -> None:
    end = time.monotonic() + 10
    while small.server.server_state.connections:
        assert time.monotonic() < end, "a connection is still open"
        time.sleep(0.05)
