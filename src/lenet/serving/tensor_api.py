"""The addresses that take images as large as the network's own: /v1/classify and /v1/activations."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic_core import to_json

from lenet.models.inference import as_probabilities
from lenet.serving.activations import describe_activations
from lenet.serving.bodies import BYTES, JSON, receive_images
from lenet.serving.faults import BODY_FAULTS
from lenet.serving.limits import Refusal
from lenet.serving.schema import Classification, LayerList
from lenet.serving.service import Service
from lenet.uncertainty.rejection import explain_rejection

_ROWS = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
}
_DECIMALS = 6  # of a probability


def _describe_images(count: int) -> dict[str, Any]:
    """The body that both addresses take, with at most `count` images. FastAPI does not parse it."""
    images = {"type": "array", "minItems": 1, "maxItems": count, "items": _ROWS}
    body = {
        "type": "object",
        "required": ["images"],
        "additionalProperties": False,
        "properties": {"images": images},
    }
    about = "The bytes of the pixels: image after image, row after row, each as large as `image_shape` says."
    raw = {"type": "string", "format": "binary", "description": about}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": body}, BYTES: {"schema": raw}}}}


def route_tensors(service: Service) -> APIRouter:
    """The addresses that name images, and show what the layers make of one."""
    router = APIRouter()
    limits, lane = service.limits, service.tensors

    @router.post(
        "/v1/classify",
        summary="Name images",
        description="White ink on black, 0 to 255, framed as in MNIST, of the size that /v1/model gives as "
        "`image_shape`. The network sees the images as they are; pictures of any kind go to /v1/predict.",
        response_model=Classification,
        responses=BODY_FAULTS,
        openapi_extra=_describe_images(limits.images),
    )
    async def classify(request: Request) -> Response:
        lane.check()  # refuse before a body is received
        served = service.served
        with service.image_bodies.hold() as held:
            images = await receive_images(request, held, limits, served.image_shape)
            logits = await lane.classify(served, images)
        if not np.isfinite(logits).all():  # very large weights of a stranger
            raise Refusal(422, "the network computes no finite numbers for an image of this request")
        probabilities = as_probabilities(logits, served.network.config)
        request.state.images = len(images)
        service.metrics.count_images(probabilities)
        classes = served.checkpoint.classes
        rows = probabilities.astype(float).round(_DECIMALS).tolist()
        answer = {
            "version": served.version,
            "labels": [classes[place] for place in probabilities.argmax(axis=1).tolist()],
            "probabilities": rows,
            "rejected": [bool(explain_rejection([row], 1.0)) for row in rows],
        }
        return Response(to_json(answer), media_type=JSON)

    @router.post(
        "/v1/activations",
        summary="What leaves each layer for one image",
        description="`input` is the prepared image; the last layer gives the logits.",
        response_model=LayerList,
        responses=BODY_FAULTS,
        openapi_extra=_describe_images(1),
    )
    async def activations(
        request: Request,
        layer: Annotated[
            list[str] | None, Query(description="Names of layers; all, where none is given.")
        ] = None,
    ) -> Response:
        lane.check()
        served = service.served
        with service.image_bodies.hold() as held:
            images = await receive_images(request, held, limits, served.image_shape)
            if len(images) != 1:
                raise Refusal(422, f"activations are those of one image; this request has {len(images)}")
            layers = await lane.run(describe_activations, served, images, layer, limits.values)
        return Response(to_json({"version": served.version, "layers": layers}), media_type=JSON)

    return router
