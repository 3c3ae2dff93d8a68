"""The messages of the Open Inference Protocol as types, from which FastAPI describes them in /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field


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


class InputTensor(BaseModel):
    """The images: in `data`, or after the JSON object, with the parameter `binary_data_size`."""

    name: str = Field(description="images")
    datatype: str = Field(description="UINT8, or FP32 from 0 to 1, which is rounded to the levels of UINT8.")
    shape: list[int] = Field(description="Number of images, 1, height, width.")
    data: list[Any] | None = Field(None, description="Row by row, flat or nested.")
    parameters: dict[str, Any] = Field({}, description="`binary_data_size`: bytes.")


class RequestedOutput(BaseModel):
    """An output that is asked for."""

    name: str = Field(description="logits, probabilities or label.")
    parameters: dict[str, Any] = Field({}, description="`binary_data`: true for bytes after the JSON object.")


class InferenceBody(BaseModel):
    """A request."""

    id: str | None = Field(None, description="Comes back in the answer.")
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(None, description="By default all of them.")
    parameters: dict[str, Any] = Field({}, description="`binary_data_output`: true for binary outputs.")


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
