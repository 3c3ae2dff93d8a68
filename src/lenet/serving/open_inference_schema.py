"""The messages of the Open Inference Protocol as types, for /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field

from lenet.serving.open_inference import INPUT, OUTPUTS


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or an output; -1 stands for any number of images."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The model with its inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelState(BaseModel):
    """Whether the model is ready."""

    name: str
    ready: bool


class OutputTensor(BaseModel):
    """An output."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | str] | None = Field(None, description="Row by row; missing where it is binary.")
    parameters: dict[str, int] | None = Field(None, description="`binary_data_size`: bytes.")


class InferenceAnswer(BaseModel):
    """An answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


def _describe_tensor(parameter: str, kind: str, **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {parameter: {"type": kind}}}
    return {
        "type": "object",
        "required": [name for name in properties if name != "data"],
        "properties": {**properties, "parameters": parameters},
    }


REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "description": "Comes back in the answer."},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _describe_tensor(
                "binary_data_size", "integer",
                name={"const": INPUT},
                datatype={"enum": ["UINT8", "FP32"], "description": "FP32 is from 0 to 1."},
                shape={
                    "type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4,
                    "description": "Number of images, 1, height, width.",
                },
                data={"type": "array", "description": "Row by row, flat or nested."},
            ),
        },
        "outputs": {
            "type": "array",
            "description": "By default all of them.",
            "items": _describe_tensor("binary_data", "boolean", name={"enum": list(OUTPUTS)}),
        },
        "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
    },
}  # fmt: skip
"""The JSON object of a request, which `lenet.serving.open_inference` decodes."""
