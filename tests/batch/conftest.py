"""A server that speaks S3, in this process."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from lenet.batch import buckets

NUMBERS = count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment in which S3 is the server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    buckets.connect.cache_clear()
    yield
    buckets.connect.cache_clear()


@pytest.fixture
def bucket(s3: None) -> str:
    """The URL of a new bucket."""
    name = f"bucket-{next(NUMBERS)}"
    buckets.connect().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


@pytest.fixture
def put(bucket: str) -> Callable[[str, bytes], str]:
    """Writes an object below the bucket; its URL."""

    def write(key: str, content: bytes = b"x") -> str:
        name = bucket.removeprefix("s3://")
        buckets.connect().call_s3("put_object", Bucket=name, Key=key, Body=content)
        return f"{bucket}/{key}"

    return write
