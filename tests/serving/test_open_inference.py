"""Messages of the Open Inference Protocol: what is encoded is decoded, and nothing else is."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lenet.serving.limits import Refusal
from lenet.serving.open_inference import (
    OUTPUTS,
    ImageShape,
    InferenceRequest,
    decode_request,
    encode_response,
)

SHAPE = ImageShape(side=4, classes=3, images=8, json_bytes=1_000_000)
Binary = st.booleans()


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4), np.uint8)


def write(tensor: dict[str, Any], binary: bytes = b"", **more: Any) -> tuple[bytes, str | None]:
    """A request with one input; `tensor` may leave out what is right anyway."""
    full = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 4, 4], **tensor}
    head = json.dumps({"inputs": [full], **more}).encode()
    return head + binary, str(len(head)) if binary else None


def refuse(body: bytes, length: str | None) -> str:
    with pytest.raises(Refusal) as error:
        decode_request(body, length, SHAPE)
    message = str(error.value)
    assert error.value.status == 400
    assert len(message) < 300
    assert "\n" not in message
    return message


def read_or_refuse(body: bytes, length: str | None) -> None:
    """Any other exception fails the test."""
    with suppress(Refusal):
        assert decode_request(body, length, SHAPE).images.shape == (1, 1, 4, 4)


@given(st.integers(1, 8), st.sampled_from(["UINT8", "FP32"]), Binary, st.booleans(), st.none() | st.text())
def test_images_arrive_as_they_were_sent(count: int, kind: str, binary: bool, nested: bool, name: str | None):
    pixels = images(count)
    values = pixels if kind == "UINT8" else (pixels / 255).astype("<f4")
    tensor: dict[str, Any] = {"datatype": kind, "shape": list(pixels.shape)}
    content = values.tobytes() if binary else b""
    if binary:
        tensor["parameters"] = {"binary_data_size": len(content)}
    else:
        tensor["data"] = values.tolist() if nested else values.ravel().tolist()
    request = decode_request(*write(tensor, content, **({} if name is None else {"id": name})), SHAPE)
    assert request.images.dtype == np.uint8
    assert np.array_equal(request.images, pixels)
    assert request.id == name
    assert request.outputs == dict.fromkeys(OUTPUTS, False)


@given(
    st.dictionaries(st.sampled_from(list(OUTPUTS)), Binary, min_size=1),
    st.integers(1, 8),
    st.none() | st.text(),
    st.lists(st.text(), min_size=8, max_size=8),
)
def test_answers_hold_what_was_asked_for(
    asked: dict[str, bool], count: int, name: str | None, texts: list[str]
):
    """Decoded here as the protocol says, not by the code under test."""
    numbers = np.random.default_rng(count).normal(size=(2, count, 3)).astype(np.float32)
    labels = np.array(texts[:count], object)
    outputs = {"logits": numbers[0], "probabilities": numbers[1], "label": labels}
    body, length = encode_response(InferenceRequest(name, images(count), asked), outputs, "digits", "1")
    assert (length is not None) == any(asked.values())
    message, rest = json.loads(body[:length]), body[length:] if length else b""
    assert message.get("id") == name
    assert (message["model_name"], message["model_version"]) == ("digits", "1")
    assert [output["name"] for output in message["outputs"]] == list(asked)
    for output in message["outputs"]:
        expected = outputs[output["name"]]
        assert output["shape"] == list(expected.shape)
        if not asked[output["name"]]:
            assert output["data"] == expected.ravel().tolist()
            continue
        size = output["parameters"]["binary_data_size"]
        content, rest = rest[:size], rest[size:]
        if output["datatype"] == "FP32":
            assert np.array_equal(np.frombuffer(content, "<f4").reshape(output["shape"]), expected)
            continue
        for text in expected:
            step = 4 + int.from_bytes(content[:4], "little")
            assert content[4:step].decode() == text
            content = content[step:]
        assert content == b""
    assert rest == b""


RIGHT = write({"parameters": {"binary_data_size": 16}}, bytes(16))


@given(st.binary(max_size=200), st.none() | st.text(max_size=25) | st.integers(-5, 300).map(str))
def test_no_bytes_do_harm(body: bytes, length: str | None):
    refuse(body, length)


@given(st.integers(0, len(RIGHT[0]) - 1), st.integers(0, 255))
def test_a_damaged_request_is_refused_or_read(place: int, value: int):
    body = bytearray(RIGHT[0])
    body[place] = value
    read_or_refuse(bytes(body), RIGHT[1])


@given(st.integers(0, len(RIGHT[0]) - 1))
def test_a_cut_request_is_refused(length: int):
    refuse(RIGHT[0][:length], RIGHT[1])


@given(st.integers(0, 400).filter(lambda number: number != int(RIGHT[1] or 0)))
def test_a_wrong_length_of_the_header_is_refused(length: int):
    refuse(RIGHT[0], str(length))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(["shape", "datatype", "name", "data", "parameters", "outputs", "id"]), JSON)
def test_no_json_does_harm(key: str, value: Any):
    tensor: dict[str, Any] = {"data": [0] * 16}
    more = {}
    if key in ("outputs", "id"):
        more[key] = value
    else:
        tensor[key] = value
    read_or_refuse(*write(tensor, **more))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ([9, 1, 4, 4], "n from 1 to 8"),
        ([0, 1, 4, 4], "n from 1 to 8"),
        ([-1, 1, 4, 4], "n from 1 to 8"),
        ([2**62, 1, 4, 4], "n from 1 to 8"),
        ([2**32, 2**32, 2**32, 2**32], "must be"),
        ([1, 1, 28, 28], "must be [n, 1, 4, 4]"),
        ([1, 16], "must be"),
        ([True, 1, 4, 4], "must be"),
        ([1.0, 1, 4, 4], "must be"),
        ("1144", "must be"),
        ([2, 1, 4, 4], "16 values; its shape [2, 1, 4, 4] has 32"),
    ],
)
def test_other_shapes_are_refused(shape: Any, said: str):
    assert said in refuse(*write({"shape": shape, "data": [0] * 16}))
    assert said in refuse(*write({"shape": shape, "parameters": {"binary_data_size": 16}}, bytes(16)))


@pytest.mark.parametrize(
    ("tensor", "binary", "said"),
    [
        ({"datatype": "FP32", "data": [0.5] * 15 + [1.5]}, b"", "from 0 to 1"),
        ({"datatype": "FP32", "data": [0.5] * 15 + [-0.1]}, b"", "from 0 to 1"),
        ({"datatype": "FP32", "data": [float("nan")] * 16}, b"", "no JSON"),
        ({"datatype": "FP32", "data": [float("inf")] * 16}, b"", "no JSON"),
        ({"data": [256] * 16}, b"", "from 0 to 255"),
        ({"data": [-1] * 16}, b"", "from 0 to 255"),
        ({"data": [2**70] * 16}, b"", "not all numbers"),
        ({"data": [0.5] * 16}, b"", "not all numbers of the datatype UINT8"),
        ({"data": ["0"] * 16}, b"", "no list of numbers"),
        ({"data": [True] * 16}, b"", "no list of numbers"),
        ({"data": {"0": 0}}, b"", "no list of numbers"),
        ({"data": [[0] * 16]}, b"", "other lengths"),
        ({"data": [[0] * 3, [0] * 13]}, b"", "no lists of equal lengths"),
        ({"datatype": "INT64", "data": [0] * 16}, b"", "send UINT8"),
        ({"name": "input", "data": [0] * 16}, b"", "called 'images'"),
        ({}, b"", "either data or"),
        ({"data": [0] * 16, "parameters": {"binary_data_size": 16}}, bytes(16), "either data or"),
        ({"data": [0] * 16}, bytes(16), "belong to no tensor"),
        ({"parameters": {"binary_data_size": 15}}, bytes(16), "is 15, but 16 bytes"),
        ({"parameters": {"binary_data_size": 10**30}}, bytes(16), "but 16 bytes"),
        ({"parameters": {"binary_data_size": 16}, "datatype": "FP32"}, bytes(16), "4 values"),
        ({"parameters": {"binary_data_size": 3}, "datatype": "FP32"}, bytes(3), "no multiple of 4"),
        ({"parameters": [], "data": [0] * 16}, b"", "must be an object"),
    ],
)
def test_other_data_are_refused(tensor: dict[str, Any], binary: bytes, said: str):
    assert said in refuse(*write(tensor, binary))


def test_binary_floats_that_are_no_numbers_are_refused():
    for value in (np.nan, np.inf, -np.inf, 1.001, -0.001):
        content = np.full(16, value, "<f4").tobytes()
        tensor = {"datatype": "FP32", "parameters": {"binary_data_size": 64}}
        assert "from 0 to 1" in refuse(*write(tensor, content))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([{"name": "other"}], '"other" is unknown'),
        ([{"name": "label"}, {"name": "label"}], "named twice"),
        ([{"name": ["label"]}], "unknown"),
        ([{"name": "label", "parameters": {"classification": 3}}], "classification"),
        ([{"name": "label", "parameters": {"shared_memory_region": "x"}}], "shared_memory_region"),
        ([{"name": "label", "parameters": {"binary_data": 1}}], "true or false"),
        ({}, "a list of objects"),
    ],
)
def test_other_outputs_are_refused(outputs: Any, said: str):
    assert said in refuse(*write({"data": [0] * 16}, outputs=outputs))


def test_deep_json_is_refused():
    for body in (b"[" * 100_000, b'{"inputs":' * 100_000, b'{"inputs":[{"data":' + b"[" * 90_000):
        refuse(body, None)
    deep = b"[" * 500 + b"]" * 500
    body = b'{"inputs":[{"name":"images","datatype":"UINT8","shape":[1,1,4,4],"data":' + deep + b"}]}"
    refuse(body, None)


def test_a_long_text_among_the_data_takes_no_memory():
    tracemalloc.start()
    refuse(*write({"data": ["x" * 100_000, *[""] * 400]}))  # as an array of texts: 160 MB
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_json_has_a_limit_of_its_own():
    body, _ = write({"data": [0] * 16}, id="x" * 1_000_000)
    for length in (None, str(len(body))):
        with pytest.raises(Refusal, match="send binary tensors") as error:
            decode_request(body, length, SHAPE)
        assert error.value.status == 413


def test_the_default_of_all_outputs_can_be_binary():
    body, length = write({"data": [0] * 16}, parameters={"binary_data_output": True})
    assert decode_request(body, length, SHAPE).outputs == dict.fromkeys(OUTPUTS, True)
    body, length = write(
        {"data": [0] * 16},
        parameters={"binary_data_output": True},
        outputs=[{"name": "logits"}, {"name": "label", "parameters": {"binary_data": False}}],
    )
    assert decode_request(body, length, SHAPE).outputs == {"logits": True, "label": False}
