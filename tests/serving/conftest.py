"""A real server process that the tests of a module share, and a way to speak to it below HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """A running `lenet serve`: its address, its process and its folder of corrections."""

    address: str
    process: subprocess.Popen[str]
    kept: Path

    def send(self, content: bytes) -> bytes:
        """Send bytes on a socket of their own; everything that the server answers until it closes."""
        place = urlsplit(self.address)
        assert place.hostname is not None
        with socket.create_connection((place.hostname, place.port or 0), timeout=20) as connection:
            connection.sendall(content)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received


@pytest.fixture(scope="session")
def start() -> Callable[..., Served]:
    """Starts a server in a folder, with arguments; who starts it ends it."""
    return start_server


def start_server(folder: Path, *arguments: str) -> Served:
    """Start a server; its first line is its address."""
    kept = folder / "kept"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lenet", "serve", "--port", "0", "--keep", str(kept), *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    assert process.stdout is not None
    return Served(process.stdout.readline().strip(), process, kept)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = start_server(tmp_path_factory.mktemp("served"))
    yield served
    served.process.kill()
    served.process.communicate()


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that has passed its self-test, and that several modules share: none may stop it."""
    served = start_server(tmp_path_factory.mktemp("ready"))
    end = time.monotonic() + 60
    while httpx.get(f"{served.address}ready").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    yield served
    served.process.kill()
    served.process.communicate()
