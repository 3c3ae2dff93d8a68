"""A hostile corpus, sent again and again: documented statuses, no fault, and nothing that stays behind."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n\r\nx\r\n'
PENCIL = Path(__file__).parents[2] / "examples/pictures/9-pencil.jpg"
ROUNDS = 3


def png(image: Image.Image, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png", **more)
    return buffer.getvalue()


def bomb_of_text() -> bytes:
    """A PNG of one pixel with 64 MiB of compressed text."""
    information = PngInfo()
    information.add_text("a", "b" * 2**26, zip=True)
    return png(Image.new("L", (1, 1)), pnginfo=information)


def animation() -> bytes:
    frames = [Image.new("P", (200, 200), value) for value in range(200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:], duration=1)
    return buffer.getvalue()


def noise() -> bytes:
    """Two thousand specks that could all be digits."""
    pixels = np.full((1500, 1500), 255, np.uint8)
    places = np.random.default_rng(0).integers(0, 1480, (2000, 2))
    for row, column in places:
        pixels[row : row + 12, column : column + 5] = 0
    return png(Image.fromarray(pixels))


def infer(shape: list[int], content: bytes, header: int | None = None, **more: Any) -> dict[str, Any]:
    tensor = {"name": "images", "datatype": "UINT8", "shape": shape, **more}
    tensor.setdefault("parameters", {"binary_data_size": len(content)})
    head = json.dumps({"inputs": [tensor]}).encode()
    length = str(len(head) if header is None else header)
    return {"content": head + content, "headers": {"Inference-Header-Content-Length": length}}


def body(content: bytes, kind: str, **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": kind, **headers}}


DEEP = b"[" * 200_000
PREDICT, CLASSIFY, INFER = "v1/predict", "v1/classify", "v2/models/reader/infer"
ONE = [1, 1, 28, 28]
CORPUS: dict[str, tuple[str, Callable[[], dict[str, Any]], set[int]]] = {
    "parts": (PREDICT, lambda: body(PART * 10_000 + b"--b--\r\n", FORM), {400}),
    "boundaries": (PREDICT, lambda: body(b"--b\r\n" * 100_000, FORM), {400}),
    "header of a part": (PREDICT, lambda: body(b"--b\r\nX: " + b"x" * 2**20 + b"\r\n\r\n", FORM), {400}),
    "large": (PREDICT, lambda: body(bytes(33 * 2**20), "image/png"), {413}),
    "flat bomb": (PREDICT, lambda: body(png(Image.new("L", (7000, 7000), 255)), "image/png"), {200}),
    "text bomb": (PREDICT, lambda: body(bomb_of_text(), "image/png"), {200}),
    "animation": (PREDICT, lambda: body(animation(), "image/gif"), {200}),
    "specks": (PREDICT, lambda: body(noise(), "image/png"), {200}),
    "cut": (PREDICT, lambda: body(PENCIL.read_bytes()[:-5000], "image/jpeg"), {200}),
    "steps of a bomb": (
        f"{PREDICT}?steps=true", lambda: body(png(Image.new("L", (7000, 7000), 255)), "image/png"), {200},
    ),
    "deep": (CLASSIFY, lambda: body(DEEP, "application/json"), {400}),
    "deep images": (CLASSIFY, lambda: body(b'{"images":' + DEEP, "application/json"), {400}),
    "number": (CLASSIFY, lambda: body(b'{"images":' + b"9" * 100_000 + b"}", "application/json"), {400, 422}),
    "long json": (CLASSIFY, lambda: body(b"[" + b"0," * 2**20, "application/json"), {413}),
    "pixels": (CLASSIFY, lambda: body(bytes(1025 * 784), "application/octet-stream"), {413}),
    "part of a pixel row": (CLASSIFY, lambda: body(bytes(785), "application/octet-stream"), {422}),
    "activations": ("v1/activations", lambda: body(bytes(2 * 784), "application/octet-stream"), {422}),
    "deep tensor": (INFER, lambda: body(b'{"inputs":' + DEEP, "application/json"), {400}),
    "long tensor": (INFER, lambda: body(b'{"inputs":[' + b"0," * 2**20, "application/json"), {413}),
    "shape": (INFER, lambda: infer([2**62, 2**62, 2**62, 2**62], bytes(784)), {400}),
    "negative shape": (INFER, lambda: infer([-1, 1, 28, 28], bytes(784)), {400}),
    "short": (INFER, lambda: infer(ONE, bytes(783)), {400}),
    "size": (INFER, lambda: infer(ONE, bytes(784), parameters={"binary_data_size": 2**63}), {400}),
    "length": (INFER, lambda: infer(ONE, bytes(784), header=10**18), {400}),
    "floats": (
        INFER, lambda: infer(ONE, np.full(784, np.nan, "<f4").tobytes(), datatype="FP32"), {400},
    ),
    "compressed": (
        INFER,
        lambda: body(zlib.compress(bytes(2**24)), "application/json", **{"Content-Encoding": "deflate"}),
        {415},
    ),
    "label": ("v1/corrections?label=" + "x" * 5000, lambda: body(PENCIL.read_bytes(), "image/jpeg"), {422}),
    "pattern": (f"{PREDICT}?pattern=" + "%23" * 5000, lambda: body(PENCIL.read_bytes(), "image/jpeg"), {422}),
}  # fmt: skip


def measure(ready: Any) -> tuple[int, int]:
    """The resident memory in bytes of the server and its processes, and the files that it has open."""
    pages, files = 0, 0
    waiting = [ready.process.pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        pages += int((folder / "statm").read_text().split()[1])
        files += len(list((folder / "fd").iterdir()))
        for task in (folder / "task").iterdir():
            waiting += (task / "children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE"), files


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured by /proc")
def test_the_corpus_gets_documented_answers_and_leaves_nothing(ready: Any):
    requests = {name: (path, make(), statuses) for name, (path, make, statuses) in CORPUS.items()}
    sizes = []
    with httpx.Client(base_url=ready.address, timeout=60) as client:
        paths = client.get("openapi.json").json()["paths"]
        for _ in range(ROUNDS):
            for name, (path, request, statuses) in requests.items():
                answer = client.post(path, **request)
                assert answer.status_code in statuses, (name, answer.status_code, answer.text[:300])
                place = path.partition("?")[0].replace("models/reader", "models/{name}")
                assert str(answer.status_code) in paths[f"/{place}"]["post"]["responses"], name
                told = answer.json()
                fault = told[0].get("error", "") if isinstance(told, list) else told["error"]
                assert len(fault) < 500, name
                assert "\n" not in fault, name
            metrics = client.get("metrics").text
            assert re.findall(r'^lenet_waiting\{lane="\w+"\} (\S+)$', metrics, re.M) == ["0.0", "0.0"]
            sizes.append(measure(ready))
        assert [row["text"] for row in client.post(PREDICT, files={"pictures": PENCIL.read_bytes()}).json()]
    (_, _), (before, files), (after, files_after) = sizes
    assert after < before + 48 * 2**20, sizes
    assert files_after <= files + 2
    assert "lenet_replaced_workers 0.0" in metrics


@pytest.mark.parametrize(
    "content",
    [
        b"POST /v2/models/reader/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n310\r\n",
    ],
)
def test_a_body_that_breaks_off_is_forgotten(ready: Any, content: bytes):
    place = httpx.URL(ready.address)
    for _ in range(20):
        with socket.create_connection((place.host, place.port or 0), timeout=20) as connection:
            connection.sendall(content)
    assert httpx.get(f"{ready.address}live").status_code == 200


def test_what_the_description_of_the_api_suggests_is_answered_as_it_says(ready: Any, tmp_path: Path):
    """schemathesis makes requests from /openapi.json, right and wrong ones, and checks what comes back."""
    version = httpx.get(f"{ready.address}v1/model").json()["version"]
    config = tmp_path / "schemathesis.toml"
    config.write_text(f'[parameters]\n"path.name" = "reader"\n"path.version" = "{version}"\n')
    checks = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_headers_conformance", "response_schema_conformance",
    )  # fmt: skip
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run",
            f"{ready.address}openapi.json", "--checks", ",".join(checks), "--phases", "coverage,fuzzing",
            "--max-examples", "3", "--seed", "1", "--request-timeout", "30", "--generation-database", "none",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert re.search(r"(\d{3,}) generated, \1 passed", done.stdout), done.stdout[-2000:]


def test_no_answer_was_a_fault(ready: Any):
    """Run last: it judges what the requests before it left."""
    lines = [json.loads(line) for line in (ready.kept.parent / "log").read_text().splitlines()]
    assert not [line for line in lines if line.get("status", 0) >= 500 and line["path"] != "/ready"]
    assert not [line for line in lines if line["level"] == "error"]
