"""`lenet serve` as its clients see it: a real process, called by httpx, by curl and by bytes on a socket."""

import io
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from PIL import Image

from lenet.data.custom import load_custom
from lenet.serving.limits import Limits

ROOT = Path(__file__).parents[2]
PICTURES = sorted((ROOT / "examples/pictures").iterdir())
PENCIL = ROOT / "examples/pictures/9-pencil.jpg"
LIMITS = Limits()
Lenet = Callable[..., Any]


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.address, timeout=30) as client:
        yield client


def files(*pictures: Path | bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [
        ("pictures", (str(each), each.read_bytes()) if isinstance(each, Path) else ("given", each))
        for each in pictures
    ]


def check(answer: httpx.Response, kind: str, client: httpx.Client) -> None:
    """Check an answer against the type of this name in the description of the API."""
    components = client.get("/openapi.json").json()["components"]
    jsonschema.validate(answer.json(), {"$ref": f"#/components/schemas/{kind}", "components": components})


def test_the_rows_are_those_of_the_command_line(client: httpx.Client, lenet: Lenet):
    printed = lenet("predict", *PICTURES, "--json").out
    answer = client.post("/v1/predict", files=files(*PICTURES))
    assert answer.status_code == 200
    assert answer.json() == [json.loads(line) for line in printed.splitlines()]


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(client: httpx.Client):
    answer = client.post("/v1/predict", files=files(b"no picture", PENCIL))
    bad, good = answer.json()
    assert bad.keys() == {"picture", "error"}
    assert bad["error"].startswith("given: not a picture in a known format")
    assert good["text"] == "9"


def test_a_body_that_is_the_picture(client: httpx.Client):
    headers = {"Content-Type": "image/jpeg"}
    (row,) = client.post("/v1/predict", content=PENCIL.read_bytes(), headers=headers).json()
    assert (row["picture"], row["text"]) == ("picture", "9")


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"length": 2}, 2), ({"pattern": "#-#"}, 2), ({"amount": True}, 1), ({"length": 1}, 1)],
)
def test_constraints_are_those_of_the_command_line(
    client: httpx.Client, lenet: Lenet, values: dict[str, Any], expected: int
):
    flags = [word for name, value in values.items() for word in (f"--{name}", value) if word is not True]
    printed = lenet("predict", PENCIL, *flags, "--json").json
    (row,) = client.post("/v1/predict", params=values, files=files(PENCIL)).json()
    assert row == printed
    assert len(row["digits"]) in (0, expected)


def test_steps_are_pictures_of_bounded_size(client: httpx.Client):
    answer = client.post("/v1/predict", params={"steps": True}, files=files(PENCIL))
    (row,) = answer.json()
    assert row["text"] == "9"
    assert [step["name"] for step in row["steps"]][:1] == ["decoded"]
    assert row["steps"][-1]["name"] == "digit"
    for step in row["steps"]:
        head, content = step["image"].split(",", 1)
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(b64decode(content, validate=True))) as image:
            assert image.format == "PNG"
            assert max(image.size) <= LIMITS.step_side
    two = client.post("/v1/predict", params={"steps": True}, files=files(PENCIL, PENCIL))
    assert (two.status_code, two.json()["error"][:33]) == (422, "steps are shown for one picture; ")


def test_answers_are_as_the_api_describes_them(client: httpx.Client):
    described = client.get("/openapi.json").json()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert described["paths"].keys() >= {"/live", "/ready", "/v1/model", "/v1/predict", "/v1/corrections"}
    assert all(operation["summary"] for operation in operations)
    good = client.post("/v1/predict", params={"steps": True}, files=files(PENCIL))
    for kind, answer in (
        ("NetworkDescription", client.get("/v1/model")),
        ("RefusedRequest", client.get("/nowhere")),
        ("RefusedRequest", client.post("/v1/predict", params={"length": "some"}, files=files(PENCIL))),
    ):
        check(answer, kind, client)
    (row,) = good.json()
    components = described["components"]
    jsonschema.validate(row, {"$ref": "#/components/schemas/PictureRow", "components": components})


def test_the_model_says_what_it_is(client: httpx.Client):
    told = client.get("/v1/model").json()
    assert (told["name"], told["parameters"]) == ("reader", 61_706)
    assert told["classes"] == list("0123456789")
    assert told["figures"]["validation_accuracy"] > 0.99


def test_the_page_may_call_its_server_and_nothing_else(client: httpx.Client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert client.head("/").headers["content-length"] == str(len(answer.content))
    for each in (answer, client.get("/v1/model"), client.get("/nowhere")):
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in each.headers["content-security-policy"]
        assert not [name for name in each.headers if name.startswith("access-control")]
        assert "server" not in each.headers
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_a_foreign_host_is_refused(served: Any, client: httpx.Client):
    port = httpx.URL(served.address).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::1", "127.0.0.1@x"):
        answer = client.get("/v1/model", headers={"Host": host})
        assert answer.status_code == 403, host
        assert "is not this server" in answer.json()["error"]
    for host in ("127.0.0.1", f"LOCALHOST:{port}", "[::1]:9000"):
        assert client.get("/live", headers={"Host": host}).json() == {"live": True}


def test_a_foreign_page_is_refused(served: Any, client: httpx.Client):
    own = served.address.rstrip("/")
    for origin, status in (
        (own, 200),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:1", 403),
        (f"{own}.evil.example", 403),
        (f"{own}, http://evil.example", 403),
    ):
        for path in ("/v1/predict", "/v1/corrections?label=9"):
            answer = client.post(path, files=files(PENCIL), headers={"Origin": origin})
            assert answer.status_code in (status, 201 if status == 200 else status), (origin, path)
    preflight = client.options("/v1/predict", headers={"Origin": "http://evil.example"})
    assert preflight.status_code == 403


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [(100_000, 100_000, "megapixels"), (31_000, 10, "pixels wide or high"), (100, 100, "damaged")],
)
def test_bombs_are_refused_from_their_header(client: httpx.Client, width: int, height: int, said: str):
    (row,) = client.post("/v1/predict", files=files(png_header(width, height))).json()
    assert said in row["error"]


FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n\r\nx\r\n'
TEXT = b'--b\r\nContent-Disposition: form-data; name="pictures"\r\n\r\nx\r\n'


@pytest.mark.parametrize(
    ("kind", "body", "status", "said"),
    [
        (FORM, PART * (LIMITS.pictures + 1) + b"--b--\r\n", 400, "Too many files"),
        (FORM, PART * 1000 + b"--b--\r\n", 400, "Too many files"),
        (FORM, TEXT * 1000 + b"--b--\r\n", 400, "Too many fields"),
        (FORM, TEXT + b"--b--\r\n", 422, "the form has 'pictures'"),
        (FORM, PART.replace(b"pictures", b"other") + b"--b--\r\n", 422, "the form has 'other'"),
        (FORM, b"--b--\r\n", 422, "no picture"),
        (FORM, PART, 400, "cut off"),
        (FORM, PART[:-3], 400, "cut off"),
        (FORM, b"", 400, "cut off"),
        (FORM, b"no form at all", 400, "Invalid multipart"),
        (FORM, b"--b\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n", 400, "Invalid multipart"),
        (FORM, b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n", 400, "Content-Disposition"),
        ("multipart/form-data", PART, 400, "boundary"),
        (f"{FORM[:-1]}{'b' * 300}", PART, 400, "Invalid multipart"),
        (f"{FORM}; charset=undefined", PART + b"--b--\r\n", 400, "is no text"),
        ("application/json", b"[]", 415, "send a form"),
        ("", b"x", 415, "send a form"),
        ("application/x-www-form-urlencoded", b"pictures=x", 415, "send a form"),
    ],
)
def test_bad_bodies_get_one_sentence(client: httpx.Client, kind: str, body: bytes, status: int, said: str):
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_names_of_files_are_only_words(client: httpx.Client):
    """Neither paths nor characters that are no text do harm: nothing is written under the name."""
    for name in (b"../../etc/passwd", b"a\x1b[2J", b"+2AA-", b"x" * 3000):
        form = PART.replace(b"a.png", name) + b"--b--\r\n"
        headers = {"Content-Type": f"{FORM}; charset=utf-7" if name == b"+2AA-" else FORM}
        answer = client.post("/v1/predict", content=form, headers=headers)
        (row,) = answer.json()
        assert row["error"].endswith("PNG, JPEG, WEBP, BMP, GIF, TIFF")
        assert len(row["picture"]) <= 255


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"length": "some"}, "length: "),
        ({"length": 65}, "length is 65"),
        ({"pattern": "x"}, "pattern 'x' has 0 digits"),
        ({"pattern": "##", "length": 3}, "length is 3, but"),
        ({"steps": "maybe"}, "steps: "),
    ],
)
def test_bad_values_get_one_sentence(client: httpx.Client, values: dict[str, Any], said: str):
    answer = client.post("/v1/predict", params=values, files=files(PENCIL))
    assert (answer.status_code, answer.json()["error"].startswith(said)) == (422, True), answer.text


def request(headers: str, path: str = "/v1/predict") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n\r\n".encode()


def test_a_large_body_is_refused_before_it_arrives(served: Any):
    """Not a byte of the body is sent, so an answer proves that the server did not wait for it."""
    began = time.monotonic()
    for length in (LIMITS.body_bytes + 1, 10**12):
        answer = served.send(request(f"Content-Type: image/png\r\nContent-Length: {length}"))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"32 MiB" in answer
    assert time.monotonic() - began < LIMITS.receive_seconds / 2


def test_a_body_without_a_length_is_refused_where_it_becomes_too_large(served: Any):
    """The body has no end: the server must answer after about the limit."""
    host, port = httpx.URL(served.address).host, httpx.URL(served.address).port
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    with socket.create_connection((host, port or 0), timeout=20) as connection:
        connection.sendall(request("Content-Type: image/png\r\nTransfer-Encoding: chunked"))
        sent = 0
        with suppress(OSError):  # the server closes the connection after its answer
            while sent < 4 * LIMITS.body_bytes:
                connection.sendall(piece)
                sent += 2**20
        assert LIMITS.body_bytes <= sent < 2 * LIMITS.body_bytes


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_and_closed(served: Any, content: bytes):
    answer = served.send(content)
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)
    assert httpx.get(f"{served.address}live").json() == {"live": True}


def test_a_body_that_breaks_off_after_its_answer(served: Any):
    """The body is refused from its type; then it turns out to be no HTTP."""
    host, port = httpx.URL(served.address).host, httpx.URL(served.address).port
    with socket.create_connection((host, port or 0), timeout=20) as connection:
        head = request("Content-Type: text/plain\r\nTransfer-Encoding: chunked")
        connection.sendall(head.replace(b"Connection: close\r\n", b""))
        assert connection.recv(65536).startswith(b"HTTP/1.1 415 ")
        connection.sendall(b"zz\r\n")
        with suppress(ConnectionError):
            while connection.recv(65536):
                pass


def test_a_client_that_goes_away_leaves_the_server_well(served: Any, client: httpx.Client):
    host, port = httpx.URL(served.address).host, httpx.URL(served.address).port
    for cut in (30, 200, 2000):
        with socket.create_connection((host, port or 0), timeout=20) as connection:
            connection.sendall(
                (request("Content-Type: image/png\r\nContent-Length: 9999") + bytes(5000))[:cut]
            )
    assert client.post("/v1/predict", files=files(PENCIL)).json()[0]["text"] == "9"


def test_many_clients_at_a_time_get_their_own_rows(served: Any, client: httpx.Client):
    """While pictures are read the server answers other requests, and no row goes to another client."""
    alone = {path: client.post("/v1/predict", files=files(path)).json() for path in PICTURES}

    def read(path: Path) -> Any:
        return httpx.post(f"{served.address}v1/predict", files=files(path), timeout=60).json()

    delays = []
    with ThreadPoolExecutor(len(PICTURES)) as pool:
        results = pool.map(read, PICTURES)
        for _ in range(10):
            began = time.monotonic()
            assert client.get("/live").status_code == 200
            delays.append(time.monotonic() - began)
        assert dict(zip(PICTURES, results, strict=True)) == alone
    assert sorted(delays)[len(delays) // 2] < 0.5


def test_corrections_become_a_data_set(served: Any, client: httpx.Client, tmp_path: Path):
    """Decoded pixels are kept as PNG: no original bytes, no metadata, one file for equal pixels."""
    generator = np.random.default_rng(0)
    kept = {}
    for label in "01":
        for _ in range(5):
            pixels = generator.integers(0, 256, (28, 28), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "gif", comment=b"where I live")
            headers = {"Content-Type": "image/gif"}
            for _ in range(2):
                answer = client.post(
                    "/v1/corrections", params={"label": label}, content=buffer.getvalue(), headers=headers
                )
                assert answer.status_code == 201
            kept[answer.json()["file"]] = (label, pixels)
    check(answer, "KeptFile", client)
    for name, (label, pixels) in kept.items():
        path = served.kept / name
        assert path.parent.name == label
        assert b"where I live" not in path.read_bytes()
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("PNG", "L")
            assert np.array_equal(np.asarray(image), pixels)
    folder = tmp_path / "kept"
    for name in kept:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(served.kept / name, folder / name)
    data = load_custom(folder, "train")
    assert (data.classes, len(data)) == (("0", "1"), 8)
    assert client.get("/v1/model").json()["keeps_corrections"] is True


def test_a_correction_needs_a_class_and_a_picture(served: Any, client: httpx.Client):
    before = sorted(served.kept.rglob("*"))
    for label in ("ten", "", "../9", "/", "9/..", "9\0"):
        answer = client.post("/v1/corrections", params={"label": label}, files=files(PENCIL))
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("no class is called")
    assert client.post("/v1/corrections", files=files(PENCIL)).status_code == 422
    answer = client.post("/v1/corrections", params={"label": "9"}, files=files(b"no picture"))
    assert (answer.status_code, answer.json()["error"][:20]) == (422, "given: not a picture")
    answer = client.post("/v1/corrections", params={"label": "9"}, files=files(PENCIL, PENCIL))
    assert (answer.status_code, answer.json()["error"]) == (422, "a label belongs to one picture; send one")
    assert sorted(served.kept.rglob("*")) == before


def test_curl_as_the_how_to_calls_it(served: Any, tmp_path: Path):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    (block,) = [
        block
        for block in re.findall(
            r"^```console\n(.*?)^```$", (ROOT / "docs/how-to.md").read_text(), re.M | re.S
        )
        if "curl" in block
    ]
    calls = [line for line in block.splitlines() if line.startswith("curl ")]
    assert len(calls) >= 3
    for call in calls:
        words = call.replace("http://127.0.0.1:8000/", served.address)
        done = subprocess.run(
            ["bash", "-c", f"{words} --fail --silent"], cwd=ROOT, capture_output=True, timeout=60, check=True
        )
        assert json.loads(done.stdout)


def test_python_as_the_how_to_calls_it(served: Any):
    blocks = re.findall(r"^```py\n(.*?)^```$", (ROOT / "docs/how-to.md").read_text(), re.M | re.S)
    (block,) = [block for block in blocks if "http://127.0.0.1:8000/" in block]
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(block.replace("http://127.0.0.1:8000/", served.address), {})
    labels, shape = printed.getvalue().splitlines()
    assert labels.count("'") == 2 * 64
    assert shape == "[6, 28, 28]"


def test_its_log_is_on_standard_error_and_no_traceback_in_it(served: Any):
    """Run last: it judges what the requests before it left."""
    log = (served.kept.parent / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert ("/v1/predict", 200) in [(line.get("path"), line.get("status")) for line in lines]
    assert "Traceback" not in log


def test_a_stopped_server_finishes_what_it_has_begun(served: Any):
    """Run after the others: it ends the process that they share. The signal comes while a body arrives, and
    while other clients send one request after the other; none of those is lost."""
    host, port = httpx.URL(served.address).host, httpx.URL(served.address).port
    sent = httpx.Request("POST", f"{served.address}v1/predict", files=files(*PICTURES))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.headers.items())
    body = sent.read()

    fresh = httpx.Limits(max_keepalive_connections=0)

    def call_until_refused(address: str, **request: Any) -> list[int]:
        statuses = []
        with httpx.Client(base_url=served.address, timeout=60, limits=fresh) as client:
            while True:
                try:
                    statuses.append(client.post(address, **request).status_code)
                except httpx.ConnectError:  # it was not accepted; any other error is a lost request
                    return statuses

    with (
        socket.create_connection((host, port or 0), timeout=60) as connection,
        ThreadPoolExecutor(4) as pool,
        httpx.Client(base_url=served.address, limits=fresh) as other,
    ):
        connection.sendall(f"POST /v1/predict HTTP/1.1\r\n{head}\r\n".encode() + body[:-1])
        while other.get("/ready").status_code != 200:  # when it is, it has accepted the one before
            time.sleep(0.1)
        image = {"content": bytes(784), "headers": {"Content-Type": "application/octet-stream"}}
        calls = [pool.submit(call_until_refused, "/v1/classify", **image) for _ in range(3)]
        calls.append(pool.submit(call_until_refused, "/v1/predict", files=files(PENCIL)))
        time.sleep(0.2)
        served.process.send_signal(signal.SIGTERM)
        while (draining := other.get("/ready")).status_code == 200:
            time.sleep(0.01)
        assert (draining.status_code, draining.json()) == (503, {"ready": False})
        assert draining.headers["connection"] == "close"
        statuses = [call.result() for call in calls]
        assert all(statuses)
        assert {status for each in statuses for status in each} == {200}
        connection.sendall(body[-1:])
        received = b""
        while part := connection.recv(65536):
            received += part
    status, _, rows = received.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")
    assert [row["picture"] for row in json.loads(rows)] == [str(path) for path in PICTURES]
    assert served.process.wait(timeout=30) == 143
    assert served.process.stdout.read() == ""
    assert (served.kept.parent / "log").read_text().splitlines()[-1] == "lenet: stopped"
