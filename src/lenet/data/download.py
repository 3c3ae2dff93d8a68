"""Downloads one file from the first mirror that has it. The only module that downloads."""

import http.client
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
_CHUNK_BYTES = 1 << 16
_MIN_BYTES_PER_SECOND = 10_000
_HINT = "check the network, or get the files elsewhere and run `lenet data import PATH`, or set LENET_DATA"


def download(
    urls: Sequence[str],
    target: Path,
    digest: str,
    max_bytes: int,
    *,
    timeout_seconds: float = 20.0,
    progress: Progress | None = None,
    hint: str = _HINT,
) -> None:
    """Download `target` from the first of `urls` (http or https) that has the right file.

    The file is verified and appears atomically; two processes may download the same file at once. `digest`
    is `sha256:…` or `md5:…`, or empty if the caller verifies the content. A mirror fails when it sends
    nothing for `timeout_seconds`, stays below 10 kB/s, or sends more than `max_bytes`.
    Raises DownloadError, with the fault of each mirror and the `hint` what to do, when all fail.
    """
    pooch.get_logger().setLevel("WARNING")  # stderr belongs to the command line
    fetch = _Fetch(max_bytes, timeout_seconds, progress)
    faults = []
    for url in urls:
        try:
            pooch.retrieve(url, digest or None, fname=target.name, path=target.parent, downloader=fetch)
            return
        # ValueError is pooch's wrong digest, HTTPException a broken reply, DataError one of our limits.
        except (OSError, ValueError, http.client.HTTPException, DataError) as error:
            faults.append(f"{urlsplit(url).hostname}: {_one_line(error)}")
    raise DownloadError(f"{target.name}: no mirror gave it ({'; '.join(faults)}); {hint}")


class _Fetch:
    """The downloader for pooch: writes the body of a URL to a temporary file.

    Pooch's own downloader does not limit the size, and waits for a full chunk when a mirror sends slowly.
    """

    def __init__(self, max_bytes: int, timeout_seconds: float, progress: Progress | None) -> None:
        self.max_bytes = max_bytes
        self.timeout_seconds = timeout_seconds
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
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _one_line(error: Exception) -> str:
    reason = getattr(error, "reason", error)  # urllib wraps the cause
    if isinstance(error, urllib.error.HTTPError):
        text = f"answered {error.code}"
    elif isinstance(error, ValueError) and "hash" in str(error):
        text = "sent another file (wrong checksum)"
    else:
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(text.split())[:160]
