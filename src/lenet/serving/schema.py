"""The answers of the API as types, from which FastAPI describes them in /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field


class DigitRow(BaseModel):
    """One digit of a reading."""

    digit: int = Field(description="The number of the class.")
    probability: float = Field(description="The probability of the class, 0 to 1.")
    box: list[int] = Field(description="Left, top, width and height in pixels of the upright picture.")


class StepRow(BaseModel):
    """One step of the reading, from the decoded picture to a digit."""

    name: str
    reason: str = Field(description="What was found, and why.")
    image: str = Field(description="A PNG as a data: URL.")


class PictureRow(BaseModel):
    """A picture that was read."""

    picture: str = Field(description="The name of the file in the form; `picture` for a body without a form.")
    text: str = Field(description="The digits, as text: it can begin with zeros.")
    confidence: float = Field(description="0 to 1.")
    rejected: bool = Field(description="True if a person should read the picture.")
    reason: str = Field(description="Why it is rejected, or empty.")
    digits: list[DigitRow]
    steps: list[StepRow] | None = Field(None, description="Only with `steps=true`.")


class UnreadableRow(BaseModel):
    """A picture that could not be read."""

    picture: str
    error: str = Field(description="What is wrong with it and what to do, in one sentence.")


class RefusedRequest(BaseModel):
    """A request that was refused."""

    error: str = Field(description="What happened and what to do, in one sentence.")


class LiveState(BaseModel):
    """Whether the server answers."""

    live: bool


class ReadyState(BaseModel):
    """Whether requests may be sent."""

    ready: bool


class NetworkDescription(BaseModel):
    """The network that is served."""

    name: str
    version: str = Field(description="12 hexadecimal digits of the SHA-256 of its checkpoint.")
    parameters: int
    image_shape: list[int] = Field(description="Height and width of the images that it names.")
    classes: list[str] = Field(description="The names of the classes, in the order of the logits.")
    figures: dict[str, Any] = Field(description="What its training measured, by name.")
    keeps_corrections: bool = Field(description="Whether the server takes corrections.")


class Classification(BaseModel):
    """The answer to images: one entry an image in each list, in order."""

    version: str = Field(description="Of the network; see /v1/model.")
    labels: list[str] = Field(description="The name of the most probable class.")
    probabilities: list[list[float]] = Field(
        description="Of each class, 0 to 1. What is missing to 1 is the probability that it is of no class."
    )
    rejected: list[bool] = Field(description="True if it is rather of no class.")


class LayerRow(BaseModel):
    """What leaves one layer."""

    name: str
    kind: str = Field(
        description="Conv2d, ReLU, MaxPool2d, Flatten, Linear, …; Input for the prepared image."
    )
    shape: list[int] = Field(description="Channels, rows and columns; or the number of units.")
    minimum: float
    maximum: float
    mean: float
    zeros: float = Field(description="The share of zeros.")
    values: list[Any] = Field(description="Nested lists of this shape, rounded to six significant digits.")


class LayerList(BaseModel):
    """What leaves the layers for one image, in order."""

    version: str = Field(description="Of the network; see /v1/model.")
    layers: list[LayerRow]


class KeptFile(BaseModel):
    """A corrected picture that was kept."""

    file: str = Field(description="Its name within the folder of corrections.")
