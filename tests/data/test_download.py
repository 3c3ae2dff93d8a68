"""Downloads against a real server that does everything servers do wrong."""

import gzip
import hashlib
import itertools
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lenet.data.download import download
from lenet.errors import DataError, DownloadError

CONTENT = gzip.compress(bytes(range(256)) * 64, mtime=0)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def answer(handler: BaseHTTPRequestHandler, content: bytes, length: int | None, status: int = 200) -> None:
    handler.send_response(status)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(content)


def truncated(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, CONTENT[:-20], len(CONTENT))


def corrupted(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, CONTENT[:-1] + b"?", len(CONTENT))


def error_page(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, b"<html>moved to our new home</html>", None)


def refused(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(503)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def trickling(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    for value in itertools.islice(CONTENT, 100):
        handler.wfile.write(bytes([value]))
        handler.wfile.flush()
        time.sleep(0.05)


def to_a_file(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


def to_ftp(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "ftp://127.0.0.1/file")
    handler.end_headers()


def round_and_round(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def not_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")


FAULTS = {
    fault.__name__: fault
    for fault in (
        truncated,
        corrupted,
        error_page,
        refused,
        endless,
        silent,
        trickling,
        to_a_file,
        to_ftp,
        round_and_round,
        not_http,
    )
}


def fetch(urls: list[str], target: Path, digest: str = DIGEST) -> None:
    download(urls, target, digest, max_bytes=len(CONTENT) + 100, timeout_seconds=0.5)


@pytest.mark.parametrize("fault", [*FAULTS, "absent"])
def test_next_mirror_after_a_fault(server, tmp_path: Path, fault: str) -> None:
    server.files["/good"] = CONTENT
    server.faults |= {f"/{name}": act for name, act in FAULTS.items()}
    target = tmp_path / "file.gz"
    fetch([f"{server.address}/{fault}", f"{server.address}/good"], target)
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("fault", [*FAULTS, "absent"])
def test_one_line_and_no_leftovers_when_every_mirror_fails(server, tmp_path: Path, fault: str) -> None:
    server.faults |= {f"/{name}": act for name, act in FAULTS.items()}
    started = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        fetch([f"{server.address}/{fault}"], tmp_path / "file.gz")
    assert time.monotonic() - started < 3
    message = str(caught.value)
    assert "\n" not in message
    assert "127.0.0.1" in message
    assert "lenet data import" in message
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_there_survives_a_failed_download(server, tmp_path: Path) -> None:
    server.faults["/bad"] = corrupted
    target = tmp_path / "file.gz"
    target.write_bytes(b"as it was")
    with pytest.raises(DownloadError):
        fetch([f"{server.address}/bad"], target)
    assert target.read_bytes() == b"as it was"


def test_redirect_is_followed(server, tmp_path: Path) -> None:
    server.files["/good"] = CONTENT

    def moved(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(301)
        handler.send_header("Location", "/good")
        handler.end_headers()

    server.faults["/old"] = moved
    fetch([f"{server.address}/old"], tmp_path / "file.gz")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_server_that_calls_the_packed_file_an_encoding(server, tmp_path: Path) -> None:
    def encoded(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.faults["/encoded"] = encoded
    fetch([f"{server.address}/encoded"], tmp_path / "file.gz")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "no address", "http://"])
def test_only_http(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError):
        fetch([url], tmp_path / "file.gz")
    assert not list(tmp_path.iterdir())


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"refused|timed out"):
        fetch(["http://127.0.0.1:9/file"], tmp_path / "file.gz")


@pytest.fixture
def blocked() -> Iterator[str]:
    """The address of a host that does not answer, as behind a firewall: its queue of connections is full."""
    with socket.socket() as host, socket.socket() as first, socket.socket() as second:
        host.bind(("127.0.0.1", 0))
        host.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(host.getsockname())
        yield f"http://127.0.0.1:{host.getsockname()[1]}"


@pytest.mark.skipif(sys.platform != "linux", reason="another system may refuse where the queue is full")
def test_a_blocked_host_is_given_up_soon_and_asked_last_from_then_on(
    blocked: str, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenet.data.download._CONNECT_SECONDS", 2.0)
    server.files |= {"/good": CONTENT, "/other": CONTENT}
    started = time.monotonic()
    download([f"{blocked}/x", f"{server.address}/good"], tmp_path / "a.gz", DIGEST, len(CONTENT))
    assert 2 <= time.monotonic() - started < 10
    started = time.monotonic()
    download([f"{blocked}/x", f"{server.address}/other"], tmp_path / "b.gz", DIGEST, len(CONTENT))
    assert time.monotonic() - started < 2
    assert server.requests == ["/good", "/other"]
    with pytest.raises(DownloadError, match="timed out"):  # it is still asked
        download([f"{blocked}/x"], tmp_path / "c.gz", DIGEST, len(CONTENT))


def test_a_server_that_answered_with_an_error_keeps_its_place(server, tmp_path: Path) -> None:
    server.files |= {"/good": CONTENT, "/other": CONTENT}
    other = server.address.replace("127.0.0.1", "localhost")
    for name in ("a.gz", "b.gz"):
        fetch([f"{server.address}/absent", f"{other}/good"], tmp_path / name)
    assert server.requests == ["/absent", "/good"] * 2


def test_a_check_decides_which_file_is_right(server, tmp_path: Path) -> None:
    def check(path: Path) -> None:
        if path.read_bytes() != CONTENT:
            raise DataError("not this one")

    server.files |= {"/bad": CONTENT[::-1], "/good": CONTENT}
    target = tmp_path / "file.gz"
    with pytest.raises(DownloadError, match="wrong checksum"):
        download([f"{server.address}/bad"], target, "", len(CONTENT), check=check)
    assert not list(tmp_path.iterdir())
    download([f"{server.address}/bad", f"{server.address}/good"], target, "", len(CONTENT), check=check)
    assert target.read_bytes() == CONTENT


def test_md5_is_understood(server, tmp_path: Path) -> None:
    server.files["/good"] = CONTENT
    fetch([f"{server.address}/good"], tmp_path / "file.gz", f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch([f"{server.address}/good"], tmp_path / "other.gz", f"md5:{'0' * 32}")


def test_many_at_once(server, tmp_path: Path) -> None:
    server.files["/good"] = CONTENT
    target = tmp_path / "file.gz"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: fetch([f"{server.address}/good"], target), range(16)))
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


def test_progress_and_a_quiet_stderr(server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server.files["/good"] = CONTENT
    seen: list[tuple[int, int]] = []
    download(
        [f"{server.address}/good"],
        tmp_path / "file.gz",
        DIGEST,
        len(CONTENT),
        progress=lambda received, most: seen.append((received, most)),
    )
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert capfd.readouterr() == ("", "")
