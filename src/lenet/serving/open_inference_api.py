"""The addresses of the Open Inference Protocol, version 2: /v2 and what is below it.

Only the current version of the model is served; its number is that of /v1/model.
"""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

import lenet
from lenet.models.inference import as_probabilities
from lenet.serving.bodies import BYTES, JSON, receive_body
from lenet.serving.faults import Responses, describe_faults
from lenet.serving.limits import Limits, Refusal
from lenet.serving.open_inference import (
    BINARY_EXTENSION,
    HEADER_LENGTH,
    ImageShape,
    decode_request,
    encode_response,
)
from lenet.serving.open_inference_schema import (
    REQUEST,
    InferenceAnswer,
    ModelMetadata,
    ModelState,
    ServerMetadata,
)
from lenet.serving.schema import LiveState, ReadyState
from lenet.serving.served import Served
from lenet.serving.service import Service
from lenet.serving.tensor_lane import Logits

_FILE = {"type": "string", "format": "binary"}
_HEADER = {
    "description": "The length of the JSON object in bytes, where binary tensors follow it.",
    "schema": {"type": "integer", "minimum": 0},
}
_BODY = {  # FastAPI does not parse the body
    "parameters": [{"name": HEADER_LENGTH, "in": "header", "required": False, **_HEADER}],
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": REQUEST}, BYTES: {"schema": _FILE}},
    },
}
_ANSWER: dict[str, Any] = {
    "model": InferenceAnswer,
    "description": "The outputs asked for.",
    "headers": {HEADER_LENGTH: _HEADER},
    "content": {BYTES: {"schema": _FILE}},
}


def route_open_inference(service: Service) -> APIRouter:
    """The addresses of the protocol for what a service serves."""
    router = APIRouter()
    limits, lane = service.limits, service.tensors
    faults = describe_faults(404, 422)
    unready: Responses = {503: {"model": ReadyState, "description": "It is not ready."}}

    def find(name: str, version: str | None) -> Served:
        served = service.served
        if name != served.name or version not in (None, served.version):
            raise Refusal(404, f"the model here is {served.name!r}, version {served.version!r}")
        return served

    @router.get("/v2", summary="The server", responses=describe_faults())
    async def get_server() -> ServerMetadata:
        return ServerMetadata(name="lenet", version=lenet.__version__, extensions=[BINARY_EXTENSION])

    @router.get("/v2/health/live", summary="Whether the server answers", responses=describe_faults())
    async def get_server_live() -> LiveState:
        return LiveState(live=True)

    @router.get("/v2/health/ready", summary="As /ready", responses=describe_faults() | unready)
    async def get_server_ready() -> Response:
        return JSONResponse({"ready": service.is_ready}, 200 if service.is_ready else 503)

    async def get_model(name: str, version: str | None = None) -> ModelMetadata:
        served = find(name, version)
        return ModelMetadata(**_find_shape(served, limits).describe(served.name, served.version))

    async def get_model_ready(name: str, version: str | None = None) -> Response:
        state = ModelState(name=find(name, version).name, ready=service.is_ready)
        return JSONResponse(state.model_dump(), 200 if state.ready else 503)

    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        served = find(name, version)
        lane.check()  # refuse before a body is received
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "the body is compressed; send it as it is")
        with service.image_bodies.hold() as held:
            length = request.headers.get(HEADER_LENGTH)
            if length is None:  # all of it is JSON
                held.most = min(held.most, limits.json_bytes)
            body = await receive_body(request, held, limits)
            question = decode_request(body, length, _find_shape(served, limits))
            logits = await lane.classify(served, question.images)
        if not np.isfinite(logits).all():  # very large weights of a stranger
            raise Refusal(400, "the network computes no finite numbers for an image of this request")
        outputs = compute_outputs(served, logits)
        request.state.images = len(logits)
        service.metrics.count_images(outputs["probabilities"])
        content, head = encode_response(question, outputs, served.name, served.version)
        if head is None:
            return Response(content, media_type=JSON)
        return Response(content, 200, {HEADER_LENGTH: str(head)}, BYTES)

    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        add = router.add_api_route
        add(path, get_model, summary="The inputs and outputs of the model", responses=faults)
        add(
            f"{path}/ready",
            get_model_ready,
            summary="Whether the model is ready",
            responses={200: {"model": ModelState}, **faults, 503: {"model": ModelState}},
        )
        add(
            f"{path}/infer",
            infer,
            methods=["POST"],
            summary="Classify images",
            responses={200: _ANSWER, **describe_faults(404, 408, 413, 415, 422, 429, 504)},
            openapi_extra=_BODY,
        )
    return router


def compute_outputs(served: Served, logits: Logits) -> dict[str, NDArray[Any]]:
    """Every output of the model for logits (N, classes)."""
    names = np.array(served.checkpoint.classes, object)
    return {
        "logits": logits,
        "probabilities": as_probabilities(logits, served.network.config),
        "label": names[logits.argmax(axis=1)],
    }


def _find_shape(served: Served, limits: Limits) -> ImageShape:
    classes = len(served.checkpoint.classes)
    return ImageShape(served.image_shape[0], classes, limits.images, limits.json_bytes)
