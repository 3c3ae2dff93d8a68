"""Downloads one file from the first mirror that has it. The only module that downloads.

LENET_MIRROR, the address of a folder like LENET_DATA on a server of the user's, comes before other mirrors.
Checksums decide what is right, not the server.
"""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import pooch

from lenet.errors import DataError, DownloadError

Progress = Callable[[int, int], None]
"""Called with the number of bytes received so far and their maximum."""
Check = Callable[[Path], object]
"""Called with a downloaded file; raises DataError when it is not the right one."""
_CHUNK_BYTES = 1 << 16
_CONNECT_SECONDS = 5.0  # a host that a firewall blocks never answers
_MIN_BYTES_PER_SECOND = 10_000
_WRONG = "sent another file (wrong checksum)"
_HINT = (
    "check the network, or get the files elsewhere and run `lenet data import PATH`, "
    "or set LENET_DATA or LENET_MIRROR"
)
_unreachable: set[str] = set()
"""The hosts that did not answer this process."""


def list_own_mirrors(folder: str) -> list[str]:
    """The address of `folder` on the server in LENET_MIRROR, with a slash at its end; none if it is not set.

    Raises DataError when LENET_MIRROR is not an http or https address.
    """
    address = os.environ.get("LENET_MIRROR", "").strip()
    if not address:
        return []
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        valid = False
    if not valid:
        raise DataError(
            f"LENET_MIRROR is {address!r}; it must be an http or https address, such as http://192.168.1.9:8000"
        )
    return [f"{address.rstrip('/')}/{folder}/"]


def download(
    urls: Sequence[str],
    target: Path,
    digest: str,
    max_bytes: int,
    *,
    timeout_seconds: float = 20.0,
    check: Check | None = None,
    progress: Progress | None = None,
) -> None:
    """Download `target` from the first of `urls` (http or https) that has the right file.

    The file is verified and appears atomically; two processes may download the same file at once. `digest`
    is `sha256:…` or `md5:…`, or empty if only `check` verifies the file. A mirror fails when it cannot be
    connected to within 5 s, sends nothing for `timeout_seconds`, stays below 10 kB/s, or sends more than
    `max_bytes`. Hosts that did not answer earlier in this process are asked last.
    Raises DownloadError, with the fault of each mirror and what to do, when all fail.
    """
    pooch.get_logger().setLevel("WARNING")  # stderr belongs to the command line
    fetch = _Fetch(max_bytes, timeout_seconds, check, progress)
    faults = []
    for url in sorted(urls, key=lambda each: urlsplit(each).netloc in _unreachable):
        try:
            pooch.retrieve(url, digest or None, fname=target.name, path=target.parent, downloader=fetch)
            return
        # ValueError is pooch's wrong digest, HTTPException a broken reply, DataError one of our limits.
        except (OSError, ValueError, http.client.HTTPException, DataError) as error:
            if isinstance(error, OSError) and not isinstance(error, urllib.error.HTTPError):
                _unreachable.add(urlsplit(url).netloc)
            faults.append(f"{urlsplit(url).hostname}: {_one_line(error)}")
    raise DownloadError(f"{target.name}: no mirror gave it ({'; '.join(dict.fromkeys(faults))}); {_HINT}")


class _Fetch:
    """The downloader for pooch: writes the body of a URL to a temporary file.

    Pooch's own downloader does not limit the size, and waits for a full chunk when a mirror sends slowly.
    """

    def __init__(
        self, max_bytes: int, timeout_seconds: float, check: Check | None, progress: Progress | None
    ) -> None:
        self.max_bytes = max_bytes
        self.timeout_seconds = timeout_seconds
        self.check = check
        self.progress = progress

    def __call__(self, url: str, output: str, _pooch: object) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise DataError("not an http or https address")
        # identity: the server must not compress the file again.
        request = urllib.request.Request(url, headers={"User-Agent": "lenet", "Accept-Encoding": "identity"})
        with (
            _opener().open(request, timeout=self.timeout_seconds) as response,
            Path(output).open("wb") as file,
        ):
            self._copy(response, file.write)
        try:
            if self.check:
                self.check(Path(output))
        except DataError as error:
            raise DataError(_WRONG) from error

    def _copy(self, response: http.client.HTTPResponse, write: Callable[[bytes], object]) -> None:
        started, received = time.monotonic(), 0
        # read1 returns the bytes that have arrived, so that the clock is checked however slow the mirror is.
        while chunk := response.read1(_CHUNK_BYTES):
            received += len(chunk)
            if received > self.max_bytes:
                raise DataError(f"sends more than the {self.max_bytes} bytes expected")
            limit = self.timeout_seconds + received / _MIN_BYTES_PER_SECOND
            if time.monotonic() - started > limit:
                raise TimeoutError("too slow")
            write(chunk)
            if self.progress:
                self.progress(received, self.max_bytes)
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.isdecimal() and received < int(announced):
            raise DataError(f"stops after {received} of {announced} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https, also after redirects; urllib's default would open ftp and file URLs."""
    # The system's certificates work behind company proxies; certifi's work where the system has none.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HTTPHandler(),
        _HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Connection(http.client.HTTPConnection):
    """A connection that is made soon or not at all, so that the next mirror is asked."""

    def connect(self) -> None:
        patience, self.timeout = self.timeout, min(self.timeout or _CONNECT_SECONDS, _CONNECT_SECONDS)
        super().connect()
        self.sock.settimeout(patience)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req, context=self._context)  # type: ignore[attr-defined]


def _one_line(error: Exception) -> str:
    reason = getattr(error, "reason", error)  # urllib wraps the cause
    if isinstance(error, urllib.error.HTTPError):
        text = f"answered {error.code}"
    elif isinstance(error, ValueError) and "hash" in str(error):
        text = _WRONG
    else:
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(text.split())[:160]
