"""The messages of the Open Inference Protocol, version 2, with the extension for binary tensor data.

A request is a JSON object, and after it the bytes of those tensors that are not written in JSON. The header
`Inference-Header-Content-Length` says how long the object is; without it, the whole body is the object. An
answer is built in the same way.

https://github.com/kserve/open-inference-protocol, and `extension_binary_data.md` of Triton's protocols.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenet.serving.limits import Refusal

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_EXTENSION = "binary_tensor_data"
INPUT = "images"
OUTPUTS = {"logits": "FP32", "probabilities": "FP32", "label": "BYTES"}
"""The type of each output by its name; all have one row an image."""
_TYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype("<f4")}

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageShape:
    """What a network takes, and how much of it a request may bring."""

    side: int  # pixels
    classes: int
    images: int  # of a request, at most
    json_bytes: int  # of a request, at most

    def describe(self, name: str, version: str) -> dict[str, Any]:
        """The metadata of the model."""
        columns = {"logits": [self.classes], "probabilities": [self.classes], "label": []}
        return {
            "name": name,
            "versions": [version],
            "platform": "lenet",
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 1, self.side, self.side]}],
            "outputs": [
                {"name": output, "datatype": kind, "shape": [-1, *columns[output]]}
                for output, kind in OUTPUTS.items()
            ],
        }


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """A decoded request: the images (n, 1, side, side), and the outputs asked for, True for binary ones."""

    id: str | None
    images: Images
    outputs: Mapping[str, bool]


def decode_request(body: bytes, header_length: str | None, shape: ImageShape) -> InferenceRequest:
    """Decode a request with the value of its header, which is None where it has none.

    Floats 0..1 are rounded to the 256 levels of a pixel. Raises Refusal 400, and 413 where
    the JSON object is too long.
    """
    message, binary = _split(body, header_length, shape.json_bytes)
    name = message.get("id")
    if name is not None and not isinstance(name, str):
        raise Refusal(400, "id is no string")
    inputs = _get_list(message, "inputs")
    if len(inputs) != 1 or inputs[0].get("name") != INPUT:
        raise Refusal(400, f"inputs must hold one tensor, called {INPUT!r}")
    tensor = inputs[0]
    kind = tensor.get("datatype")
    if kind not in ("UINT8", "FP32"):
        raise Refusal(400, f"the datatype of {INPUT} is {_quote(kind)}; send UINT8, or FP32 from 0 to 1")
    size = _get_shape(tensor.get("shape"), shape)
    values = _read_binary(tensor, binary, kind) if _is_binary(tensor) else _read_json(tensor, binary, kind)
    if values.size != math.prod(size):
        raise Refusal(400, f"{INPUT} has {values.size} values; its shape {list(size)} has {math.prod(size)}")
    return InferenceRequest(name, _to_pixels(values).reshape(size), _get_outputs(message))


def encode_response(
    request: InferenceRequest, outputs: Mapping[str, NDArray[Any]], name: str, version: str
) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON part where binary data follow it.

    `outputs` holds an array for every name in OUTPUTS; those of `label` are strings.
    """
    described, binary = [], []
    for output, is_binary in request.outputs.items():
        values = outputs[output]
        row: dict[str, Any] = {"name": output, "datatype": OUTPUTS[output], "shape": list(values.shape)}
        if is_binary:
            content = _to_bytes(values, OUTPUTS[output])
            row["parameters"] = {"binary_data_size": len(content)}
            binary.append(content)
        else:
            row["data"] = values.ravel().tolist()
        described.append(row)
    message = {"model_name": name, "model_version": version, "outputs": described}
    if request.id is not None:
        message["id"] = request.id
    head = json.dumps(message, allow_nan=False).encode()
    return b"".join([head, *binary]), len(head) if binary else None


def _split(body: bytes, header_length: str | None, most: int) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a body, and the bytes after it."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdecimal() and len(header_length) < 20):
            raise Refusal(400, f"{HEADER_LENGTH} is {_quote(header_length)}, which is no number of bytes")
        length = int(header_length)
        if length > len(body):
            raise Refusal(400, f"{HEADER_LENGTH} is {length}, but the body has {len(body)} bytes")
    if length > most:
        raise Refusal(
            413, f"the JSON object has {length} bytes, at most {most} are taken; send binary tensors"
        )
    try:
        message = json.loads(body[:length].decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request is no JSON object, or its header has another length") from None
    if not isinstance(message, dict):
        raise Refusal(400, "the request is JSON, but no object")
    return message, body[length:]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not in JSON")


def _get_list(message: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    values = message.get(key)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Refusal(400, f"{key} must be a list of objects")
    return values


def _get_parameters(owner: Mapping[str, Any]) -> dict[str, Any]:
    values = owner.get("parameters", {})
    if not isinstance(values, dict):
        raise Refusal(400, "parameters must be an object")
    return values


def _get_flag(owner: Mapping[str, Any], key: str, default: bool) -> bool:
    value = _get_parameters(owner).get(key, default)
    if not isinstance(value, bool):
        raise Refusal(400, f"the parameter {key} must be true or false")
    return value


def _get_shape(value: object, shape: ImageShape) -> tuple[int, int, int, int]:
    """The shape of the input: Python's numbers, so that none overflows before it is refused."""
    needed = f"[n, 1, {shape.side}, {shape.side}], n from 1 to {shape.images}"
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        raise Refusal(400, f"the shape of {INPUT} must be {needed}")
    if len(value) != 4 or value[1:] != [1, shape.side, shape.side] or not 1 <= value[0] <= shape.images:
        raise Refusal(400, f"the shape of {INPUT} is {_quote(value)}; it must be {needed}")
    return value[0], 1, shape.side, shape.side


def _is_binary(tensor: Mapping[str, Any]) -> bool:
    has_size = "binary_data_size" in _get_parameters(tensor)
    if has_size == ("data" in tensor):
        raise Refusal(400, f"{INPUT} needs either data or the parameter binary_data_size")
    return has_size


def _read_binary(tensor: Mapping[str, Any], binary: bytes, kind: str) -> NDArray[Any]:
    size = _get_parameters(tensor)["binary_data_size"]
    if type(size) is not int or size != len(binary):
        raise Refusal(
            400, f"binary_data_size is {_quote(size)}, but {len(binary)} bytes follow the JSON object"
        )
    if size % _TYPES[kind].itemsize:
        raise Refusal(400, f"binary_data_size is {size}, which is no multiple of {_TYPES[kind].itemsize}")
    return np.frombuffer(binary, _TYPES[kind])


def _read_json(tensor: Mapping[str, Any], binary: bytes, kind: str) -> NDArray[Any]:
    """The values of a tensor in JSON: one list, or lists in lists as its shape says."""
    if binary:
        raise Refusal(400, f"{len(binary)} bytes follow the JSON object, and belong to no tensor")
    _check_numbers(tensor["data"])  # before numpy: an array of texts takes the longest one's room for each
    try:
        values = np.asarray(tensor["data"])
    except (ValueError, RecursionError, OverflowError):
        raise Refusal(400, f"the data of {INPUT} are no lists of equal lengths") from None
    if values.dtype.kind not in ("iu" if kind == "UINT8" else "iuf"):
        raise Refusal(400, f"the data of {INPUT} are not all numbers of the datatype {kind}")
    if values.ndim != 1 and list(values.shape) != tensor["shape"]:
        raise Refusal(400, f"the data of {INPUT} are lists of other lengths than its shape")
    if kind == "UINT8" and values.size and not 0 <= values.min() <= values.max() <= 255:
        raise Refusal(400, f"the data of {INPUT} are not from 0 to 255, as UINT8 says")
    return values.astype(np.uint8 if kind == "UINT8" else np.float64)


def _check_numbers(data: object) -> None:
    """Raise Refusal 400 unless `data` is a list of numbers, or of such lists."""
    waiting = [data]
    while waiting:
        values = waiting.pop()
        if not isinstance(values, list):
            raise Refusal(400, f"the data of {INPUT} are no list of numbers")
        waiting += [value for value in values if type(value) not in (int, float)]


def _to_pixels(values: NDArray[Any]) -> Images:
    if values.dtype == np.uint8:
        return values
    if not ((values >= 0) & (values <= 1)).all():  # also where one is not a number
        raise Refusal(400, f"the data of {INPUT} are not from 0 to 1, as FP32 must be")
    pixels: Images = np.rint(values * 255).astype(np.uint8)
    return pixels


def _get_outputs(message: Mapping[str, Any]) -> dict[str, bool]:
    """The outputs asked for, in order, and whether each is binary; all, where none is named."""
    default = _get_flag(message, "binary_data_output", False)
    asked = _get_list(message, "outputs") if "outputs" in message else []
    outputs = {}
    for one in asked:
        name = one.get("name")
        if not isinstance(name, str) or name not in OUTPUTS or name in outputs:
            raise Refusal(400, f"the output {_quote(name)} is unknown or named twice; {', '.join(OUTPUTS)}")
        for extension in ("classification", "shared_memory_region"):
            if extension in _get_parameters(one):
                raise Refusal(400, f"{extension} is of an extension that this server does not have")
        outputs[name] = _get_flag(one, "binary_data", default)
    return outputs or dict.fromkeys(OUTPUTS, default)


def _to_bytes(values: NDArray[Any], kind: str) -> bytes:
    """Row by row; numbers lowest byte first, each string after its length in four bytes."""
    if kind == "BYTES":
        texts: Sequence[bytes] = [str(value).encode(errors="replace") for value in values.ravel()]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return values.astype(_TYPES[kind]).tobytes()


def _quote(value: object) -> str:
    """A value of the request in a sentence, cut short."""
    try:
        return json.dumps(value)[:80]
    except (ValueError, RecursionError):
        return "odd"
