"""Pictures in storage that speaks S3, through s3fs.

The endpoint, the region and the credentials come from the environment and the files of AWS, as botocore reads
them. Objects are untrusted: their size is known from the listing, and no more than a picture may have is
fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

from lenet.errors import PictureError, ResultsError
from lenet.images.decoding import MAX_BYTES

SCHEME = "s3://"
# What S3 answers about one object, whatever the others are; it becomes the error of that picture.
OF_ONE_OBJECT = {
    "NoSuchKey": "no such file or directory",
    "404": "no such file or directory",
    "AccessDenied": "permission denied",
    "403": "permission denied",
    "InvalidObjectState": "archived",
    "InvalidRange": "its size has changed",
    "InvalidRequest": "encrypted with a key of its own",
}


@cache
def connect() -> Any:
    """The file system of s3fs; threads share it. Raises ResultsError where s3fs is not installed."""
    try:
        from s3fs import S3FileSystem
    except ImportError:
        raise ResultsError("S3 needs s3fs; pip install 'lenet[cluster]'") from None
    return S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the key of s3://bucket/key; the key may be ''. Raises ResultsError without a bucket."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise ResultsError(f"{url}: names no bucket; write s3://bucket/prefix")
    return bucket, key


@contextmanager
def explain_faults(url: str) -> Iterator[None]:
    """Raise what fails in a block as ResultsError of one line, except FileExistsError."""
    try:
        yield
    except (ResultsError, PictureError, FileExistsError, KeyboardInterrupt):
        raise
    except Exception as error:  # s3fs, aiobotocore and aiohttp have no common base
        bucket, _ = split_url(url)
        code, reason = find_code(error), " ".join(str(error).split()) or type(error).__name__
        if code == "NoSuchBucket":
            raise ResultsError(f"{url}: there is no bucket called {bucket}; check the name") from error
        if isinstance(error, PermissionError) or code in ("403", "401"):
            raise ResultsError(f"{url}: S3 allows no access ({reason}); check the credentials") from error
        raise ResultsError(f"{url}: S3 cannot be reached or used ({reason[:200]})") from error


def find_code(error: BaseException) -> str:
    """The code of S3's answer from which s3fs made an exception; '' where there was no answer."""
    response = getattr(error.__cause__ or error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def list_objects(url: str, after: str = "") -> Iterator[tuple[str, int]]:
    """Yield the URL and the size, in bytes, of the object `url` and of all below it, sorted by key.

    With `after`, the URL of one of them, only those that follow. One page of a thousand objects is in memory.
    Raises ResultsError.
    """
    bucket, key = split_url(url)
    last = split_url(after)[1] if after else ""
    key = key.rstrip("/")
    if key and not last:
        (first,) = _list_page(url, Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [None])[:1] or [None]
        if first is not None and first["Key"] == key:
            yield f"{SCHEME}{bucket}/{key}", first["Size"]
    place: dict[str, str] = {"StartAfter": last} if last else {}
    while True:
        page = _list_page(url, Bucket=bucket, Prefix=f"{key}/" if key else "", **place)
        for entry in page.get("Contents", []):
            if entry["Key"].encode() <= last.encode():
                raise ResultsError(f"{url}: is listed in no order, so that it could not be resumed")
            last = entry["Key"]
            yield f"{SCHEME}{bucket}/{last}", entry["Size"]
        if not page.get("IsTruncated"):
            return
        place = {"ContinuationToken": page["NextContinuationToken"]}


def _list_page(url: str, **request: Any) -> dict[str, Any]:
    with explain_faults(url):
        page: dict[str, Any] = connect().call_s3("list_objects_v2", **request)
    return page


class NamedContent(BytesIO):
    """The bytes of a picture; messages call it by its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


@dataclass(frozen=True)
class StoredPicture:
    """An object that may be a picture: its URL, and its size in bytes as the listing says it."""

    url: str
    size: int

    def fetch(self) -> NamedContent:
        """The content. Raises PictureError if this object cannot be read, ResultsError if S3 cannot."""
        if self.size > MAX_BYTES:
            raise PictureError(f"{self.url}: larger than {MAX_BYTES // 2**20} MiB; save it smaller")
        # One byte more than a picture may have, as the object may have grown.
        return NamedContent(self._fetch(MAX_BYTES + 1), self.url)

    def check(self) -> None:
        """Raise what `fetch` raises for a lack of permission, without fetching more than a byte."""
        self._fetch(1)

    def _fetch(self, end: int) -> bytes:
        if not self.size:
            return b""
        path = self.url.removeprefix(SCHEME)
        with explain_faults(self.url):
            try:
                if connect().split_path(path) != (*split_url(self.url), None):
                    raise PictureError(f"{self.url}: s3fs takes the name for another one; rename the object")
                content: bytes = connect().cat_file(path, start=0, end=end)
            except OSError as error:
                if (why := OF_ONE_OBJECT.get(find_code(error))) is None:
                    raise
                raise PictureError(f"{self.url}: cannot be opened ({why}); check the path") from error
        return content
