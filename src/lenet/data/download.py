"""Fetching one file from the first mirror that gives it; the only module that uses the network."""

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
"""Called with the bytes received so far and the most there can be."""
_PIECE_BYTES = 1 << 16
_SLOWEST_BYTES_PER_SECOND = 10_000


def download(
    urls: Sequence[str],
    target: Path,
    digest: str,
    max_bytes: int,
    *,
    timeout_seconds: float = 20.0,
    progress: Progress | None = None,
) -> None:
    """Fetch `target` from the first of `urls` (http or https) that gives the right file.

    The file appears whole and verified, or not at all; two processes may fetch the same one at once.
    `digest` is `sha256:…` or `md5:…`, or empty where the caller verifies the content itself. A mirror is
    given up when it says nothing for `timeout_seconds`, stays below 10 kB/s, or sends over `max_bytes`.
    Raises DownloadError, with what each mirror did, when none gives the file.
    """
    pooch.get_logger().setLevel("WARNING")  # it would report on stderr, which is the command line's
    fetch = _Fetch(max_bytes, timeout_seconds, progress)
    faults = []
    for url in urls:
        try:
            pooch.retrieve(url, digest or None, fname=target.name, path=target.parent, downloader=fetch)
            return
        # The last three: pooch's word for a wrong digest, broken replies, and our own limits.
        except (OSError, ValueError, http.client.HTTPException, DataError) as error:
            faults.append(f"{urlsplit(url).hostname}: {_one_line(error)}")
    raise DownloadError(
        f"{target.name}: no mirror gave it ({'; '.join(faults)}); check the network, or get the files "
        "elsewhere and run `lenet data import PATH`, or set LENET_DATA"
    )


class _Fetch:
    """What pooch calls to write a URL's body to a temporary file.

    Not pooch's own downloader: that one has no limit on size, and waits for a full piece of a body that
    trickles in byte by byte.
    """

    def __init__(self, max_bytes: int, timeout_seconds: float, progress: Progress | None) -> None:
        self.max_bytes = max_bytes
        self.timeout_seconds = timeout_seconds
        self.progress = progress

    def __call__(self, url: str, output: str, _pooch: object) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise DataError("not an http or https address")
        # identity: the file as it lies there, not packed once more for the journey.
        request = urllib.request.Request(url, headers={"User-Agent": "lenet", "Accept-Encoding": "identity"})
        with (
            _opener().open(request, timeout=self.timeout_seconds) as response,
            Path(output).open("wb") as file,
        ):
            self._copy(response, file.write)

    def _copy(self, response: http.client.HTTPResponse, write: Callable[[bytes], object]) -> None:
        started, received = time.monotonic(), 0
        # read1 returns what has arrived, so that the clock is looked at however slowly it comes.
        while piece := response.read1(_PIECE_BYTES):
            received += len(piece)
            if received > self.max_bytes:
                raise DataError(f"sends more than the {self.max_bytes} bytes expected")
            patience = self.timeout_seconds + received / _SLOWEST_BYTES_PER_SECOND
            if time.monotonic() - started > patience:
                raise TimeoutError("too slow")
            write(piece)
            if self.progress:
                self.progress(received, self.max_bytes)
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.isdecimal() and received < int(announced):
            raise DataError(f"stops after {received} of {announced} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https, redirects included: urllib's default would follow one to ftp, or open a file."""
    # The machine's list of authorities, for company proxies, and certifi's, for machines without one.
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
    reason = getattr(error, "reason", error)  # what urllib wraps
    if isinstance(error, urllib.error.HTTPError):
        text = f"answers {error.code}"
    elif isinstance(error, ValueError) and "hash" in str(error):
        text = "gives another file (wrong checksum)"
    else:
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(text.split())[:160]
