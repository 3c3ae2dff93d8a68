"""/v1/classify and /v1/activations, called by httpx, against the network itself."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import torch

from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.serving.activations import describe_activations
from lenet.serving.app import make_app
from lenet.serving.limits import Limits, Refusal
from lenet.serving.served import open_served
from lenet.serving.server import make_server, open_socket
from lenet.serving.service import Service

LIMITS = Limits(json_bytes=100_000, images=40, values=10_000, receive_seconds=5)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
IMAGES[0] = 0
IMAGES[1] = 0
IMAGES[1, 6:22, 13:15] = 255  # a one
BYTES = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    server = make_server(make_app(Service(open_served(), LIMITS)), LIMITS)
    with open_socket("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield client
        server.should_exit = True
        thread.join()


def check(answer: httpx.Response, client: httpx.Client) -> None:
    """Check an answer against what the API says about this status of this operation."""
    described = client.get("/openapi.json").json()
    operation = described["paths"][answer.request.url.path][answer.request.method.lower()]
    content = operation["responses"][str(answer.status_code)]["content"]
    schema = content["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": described["components"]})


def test_bytes_and_json_give_what_the_network_computes(client: httpx.Client):
    served = open_served()
    expected = served.network.compute_probabilities(IMAGES[:, None])
    raw = client.post("/v1/classify", content=IMAGES.tobytes(), headers=BYTES)
    check(raw, client)
    answer = raw.json()
    assert answer["version"] == served.version == client.get("/v1/model").json()["version"]
    assert answer["labels"] == [str(place) for place in expected.argmax(axis=1)]
    assert np.allclose(answer["probabilities"], expected, atol=1e-6)
    assert answer["rejected"] == (expected.sum(axis=1) < 0.5).tolist()
    assert (answer["labels"][1], answer["rejected"][:2]) == ("1", [True, False])
    some = client.post("/v1/classify", json={"images": IMAGES[:20].tolist()})
    assert some.json() == {key: value if key == "version" else value[:20] for key, value in answer.items()}


def test_the_size_of_images_is_that_of_the_model(client: httpx.Client):
    assert client.get("/v1/model").json()["image_shape"] == [28, 28]


@pytest.mark.parametrize(
    ("kind", "body", "status", "said"),
    [
        (BYTES, b"", 422, "0 pixels"),
        (BYTES, bytes(785), 422, "785 pixels; send one or more images of 28 x 28"),
        (BYTES, bytes(784 * 41), 413, "at most 40 images"),
        ({}, bytes(784), 415, "application/json or as application/octet-stream"),
        ({"Content-Type": "image/png"}, bytes(784), 415, "application/json"),
        (JSON, b"", 400, "no JSON"),
        (JSON, b"{", 400, "no JSON"),
        (JSON, b"\xff\xfe", 400, "no JSON"),
        (JSON, b"[" * 90_000, 400, "recursion"),
        (JSON, b'{"images":' + b"9" * 90_000 + b"}", 400, "no JSON"),
        (JSON, b'{"images": [[[NaN]]]}', 400, "no JSON"),
        (JSON, b'{"images": [[[1e999]]]}', 422, "28 rows"),
        (JSON, b"null", 422, "and nothing else"),
        (JSON, b'{"images": [], "more": 1}', 422, "and nothing else"),
        (JSON, b'{"images": []}', 422, "0 pixels"),
        (JSON, b'{"images": {}}', 422, "28 rows"),
        (JSON, b'{"images": [[[0]]]}', 422, "28 rows"),
        (JSON, b'{"images": [' + b"[28]," * 27 + b"28]}", 422, "28 rows"),
        (JSON, bytes(100_001), 413, "at most 0.09537 MiB"),
    ],
)
def test_bad_bodies_get_one_sentence(
    client: httpx.Client, kind: dict[str, str], body: bytes, status: int, said: str
):
    for path in ("/v1/classify", "/v1/activations"):
        answer = client.post(path, content=body, headers=kind)
        assert answer.status_code == status, answer.text
        assert answer.json().keys() == {"error"}
        assert said in answer.json()["error"]
        check(answer, client)


@pytest.mark.parametrize("pixel", [-1, 256, 0.5, "1", None, True, [1], 10**30])
def test_a_pixel_is_a_byte(client: httpx.Client, pixel: Any):
    image: Any = np.zeros((28, 28), int).tolist()
    image[3][4] = pixel
    answer = client.post("/v1/classify", json={"images": [image]})
    assert (answer.status_code, answer.json()["error"]) == (422, "a pixel is a whole number from 0 to 255")


@pytest.mark.parametrize("whole", [True, False])
def test_any_checkpoint_is_served(tmp_path: Path, whole: bool):
    """A small network for other images than digits, read in full or by their components."""
    config = LeNetConfig(input_size=12, channels=(2,), kernel_size=3, hidden=(3,), classes=2)
    card = {"classes": ["shirt", "bag"], "whole_pictures": whole}
    save_checkpoint(tmp_path / "own.safetensors", LeNet(config), card)
    served = open_served(tmp_path / "own.safetensors")
    version = hashlib.sha256((tmp_path / "own.safetensors").read_bytes()).hexdigest()[:12]
    assert (served.name, served.version, served.image_shape) == ("own.safetensors", version, (12, 12))

    async def test() -> None:
        service = Service(served)
        try:
            service.pictures.start()
            await service.test(served)
        finally:
            service.close()

    asyncio.run(test())
    image = np.zeros((1, 1, 12, 12), np.uint8)
    assert [row["shape"] for row in describe_activations(served, image, ["input", "output"], 1000)] == [
        [1, 12, 12],
        [2],
    ]


def test_the_folder_where_one_is_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = tmp_path / "reader-mnist-0"
    network = LeNet(LeNetConfig(input_size=12, channels=(2,), kernel_size=3, hidden=(3,), classes=2))
    save_checkpoint(run / "last.safetensors", network, {"classes": ["shirt", "bag"]})
    monkeypatch.chdir(run)
    assert open_served(".").name == "reader-mnist-0"


def test_numbers_that_are_not_finite_are_no_answer(tmp_path: Path):
    """Finite weights, which overflow for images with ink: such a checkpoint does not become ready."""
    model = LeNet(LeNetConfig(input_size=28, channels=(2,), kernel_size=3, hidden=(3,)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e30)
    save_checkpoint(tmp_path / "huge.safetensors", model, {"classes": list("0123456789")})
    served = open_served(tmp_path / "huge.safetensors")

    async def test() -> None:
        service = Service(served)
        try:
            with pytest.raises(ValueError, match="not finite"):
                await service.test(served)
        finally:
            service.close()

    asyncio.run(test())
    with pytest.raises(Refusal, match="no finite numbers"):
        describe_activations(served, IMAGES[1:2, None], ["output"], 1000)


def test_activations_are_those_of_the_network(client: httpx.Client):
    answer = client.post(
        "/v1/activations",
        content=IMAGES[1].tobytes(),
        headers=BYTES,
        params={"layer": ["conv2", "input", "output", "pool1"]},
    )
    check(answer, client)
    layers = answer.json()["layers"]
    assert [layer["name"] for layer in layers] == ["input", "pool1", "conv2", "output"]  # in order
    assert [layer["kind"] for layer in layers] == ["Input", "MaxPool2d", "Conv2d", "Linear"]
    with torch.inference_mode():
        traced = load_checkpoint("reader").model.eval().trace(torch.from_numpy(IMAGES[1:2, None]))
    for layer in layers:
        expected = traced[layer["name"]][0].numpy()
        assert tuple(layer["shape"]) == expected.shape
        assert np.allclose(layer["values"], expected, rtol=1e-5, atol=1e-5)
        assert layer["maximum"] == pytest.approx(float(expected.max()), rel=1e-5)
        assert layer["zeros"] == pytest.approx(float((expected == 0).mean()))


def test_activations_are_bounded_and_of_one_image(client: httpx.Client):
    for content, values, said in (
        (IMAGES[:2], {"layer": "conv1"}, "those of one image; this request has 2"),
        (IMAGES[:1], {"layer": "conv9"}, "no layer is called 'conv9'; the layers are input, conv1, "),
        (IMAGES[:1], {}, "of which one answer has 10,000; name a layer"),
    ):
        answer = client.post("/v1/activations", content=content.tobytes(), headers=BYTES, params=values)
        assert (answer.status_code, said in answer.json()["error"]) == (422, True), answer.text
        check(answer, client)


def test_every_operation_documents_its_faults(client: httpx.Client):
    described = client.get("/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            documented = set(operation["responses"])
            assert {"400", "403", "503"} <= documented, path
            if method == "post":
                assert {"408", "413", "415", "422", "429", "504"} <= documented, path
                assert operation["requestBody"]["required"]
                assert "Retry-After" in operation["responses"]["429"]["headers"]
    assert json.dumps(described).count("HTTPValidationError") == 0
