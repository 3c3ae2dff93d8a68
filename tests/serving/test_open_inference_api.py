"""The Open Inference Protocol as a stranger speaks it: the stock client of Triton, and httpx."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

import lenet
from lenet.models.inference import as_probabilities, open_lenet
from lenet.models.stored import read_stored
from lenet.serving.limits import Limits

MODEL = "v2/models/reader"


@pytest.fixture(scope="module")
def client(ready: Any) -> Iterator[Any]:
    client = triton.InferenceServerClient(ready.address.removeprefix("http://").strip("/"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Digits of scikit-learn in the middle of 28×28 pixels."""
    small = np.rint(load_digits().images[:20] * (255 / 16)).astype(np.uint8)
    images = np.zeros((20, 1, 28, 28), np.uint8)
    images[:, 0, 6:22, 6:22] = small.repeat(2, axis=1).repeat(2, axis=2)
    return images


@pytest.fixture(scope="module")
def expected(images: np.ndarray) -> dict[str, np.ndarray]:
    stored = read_stored("reader")
    logits = open_lenet(stored).compute_logits(images)
    labels = np.array([stored.classes[row.argmax()].encode() for row in logits], object)
    return {
        "logits": logits,
        "probabilities": as_probabilities(logits, open_lenet(stored).config),
        "label": labels,
    }


def ask(images: np.ndarray, binary: bool, kind: str = "UINT8") -> list[Any]:
    asked = triton.InferInput("images", list(images.shape), kind)
    asked.set_data_from_numpy(images, binary_data=binary)
    return [asked]


def test_health_and_metadata(client: Any):
    assert client.is_server_live()
    assert client.is_server_ready()
    told = client.get_server_metadata()
    assert told == {"name": "lenet", "version": lenet.__version__, "extensions": ["binary_tensor_data"]}
    model = client.get_model_metadata("reader")
    assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}]
    assert {output["name"]: (output["datatype"], output["shape"]) for output in model["outputs"]} == {
        "logits": ("FP32", [-1, 10]),
        "probabilities": ("FP32", [-1, 10]),
        "label": ("BYTES", [-1]),
    }
    (version,) = model["versions"]
    assert client.is_model_ready("reader")
    assert client.is_model_ready("reader", version)
    assert client.get_model_metadata("reader", version) == model
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("reader", "1")


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("received", [True, False, None])
def test_inference(
    client: Any,
    images: np.ndarray,
    expected: dict[str, np.ndarray],
    sent: bool,
    received: bool | None,
):
    outputs = None
    if received is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=received) for name in expected]
    answer = client.infer("reader", ask(images, sent), outputs=outputs, request_id="one")
    response = answer.get_response()
    assert (response["model_name"], response["id"]) == ("reader", "one")
    for name, values in expected.items():
        found = answer.as_numpy(name)
        if name == "label" and received is False:
            found = np.array([text.encode() for text in found], object)
        assert found.shape == values.shape
        if name == "label":
            assert found.tolist() == values.tolist()
        else:
            np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6)


def test_floats_are_pixels_from_0_to_1(client: Any, images: np.ndarray, expected: dict[str, np.ndarray]):
    for binary in (True, False):
        asked = ask((images / 255).astype(np.float32), binary, "FP32")
        answer = client.infer("reader", asked, outputs=[triton.InferRequestedOutput("logits")])
        np.testing.assert_allclose(answer.as_numpy("logits"), expected["logits"], rtol=1e-5, atol=1e-6)
        assert answer.as_numpy("label") is None  # it was not asked for


def test_errors_arrive_as_errors_of_the_protocol(client: Any, images: np.ndarray):
    for model, version, asked, status, said in (
        ("other", "", ask(images, True), "404", "the model here is 'reader'"),
        ("reader", "7", ask(images, True), "404", "the model here is 'reader'"),
        ("reader", "", ask(images[:, :, :20], True), "400", "must be [n, 1, 28, 28]"),
        ("reader", "", ask(images.astype(np.int32), True, "INT32"), "400", "send UINT8"),
        ("reader", "", ask(np.full((1, 1, 28, 28), np.nan, np.float32), True, "FP32"), "400", "from 0 to 1"),
    ):
        with pytest.raises(InferenceServerException) as error:
            client.infer(model, asked, model_version=version)
        assert error.value.status() == status
        assert said in error.value.message()
    with pytest.raises(InferenceServerException, match="compressed"):
        client.infer("reader", ask(images, True), request_compression_algorithm="gzip")


def test_too_many_images_are_refused(ready: Any):
    most = Limits().images
    shape = [most + 1, 1, 28, 28]
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "images",
                    "datatype": "UINT8",
                    "shape": shape,
                    "parameters": {"binary_data_size": shape[0] * 784},
                }
            ]
        }
    )
    answer = httpx.post(
        f"{ready.address}{MODEL}/infer",
        content=head.encode() + bytes(shape[0] * 784),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    assert f"n from 1 to {most}" in answer.json()["error"]


def test_its_types_are_in_the_description(ready: Any):
    paths = httpx.get(f"{ready.address}openapi.json").json()["paths"]
    assert {path for path in paths if path.startswith("/v2")} == {
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        *(f"/v2/models/{{name}}{version}{end}" for version in ("", "/versions/{version}")
          for end in ("", "/ready", "/infer")),
    }  # fmt: skip


def test_the_how_to_does_it_so(ready: Any, capsys: pytest.CaptureFixture[str]):
    text = (Path(__file__).parents[2] / "docs/how-to.md").read_text("utf-8")
    (block,) = re.findall(r"^```py\n([^`]*tritonclient.*?)^```$", text, re.M | re.S)
    place = ready.address.removeprefix("http://").strip("/")
    exec(block.replace("127.0.0.1:8000", place), {})
    assert capsys.readouterr().out.startswith("(2, 10) [b'")
