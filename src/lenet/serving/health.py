"""The addresses that say how the server is and what it serves: /live, /ready and /v1/model."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from lenet.serving.faults import describe_faults
from lenet.serving.schema import LiveState, NetworkDescription, ReadyState
from lenet.serving.service import Service


def route_health(service: Service, keeps_corrections: bool) -> APIRouter:
    """The addresses that tell about a service."""
    router = APIRouter()

    @router.get("/live", summary="Whether the server answers", responses=describe_faults())
    async def get_live() -> LiveState:
        return LiveState(live=True)

    @router.get(
        "/ready",
        summary="Whether requests may be sent here",
        description="503 until the first self-test was passed, and while the server is being stopped.",
        responses=describe_faults() | {503: {"model": ReadyState, "description": "It is not ready."}},
    )
    async def get_ready() -> ReadyState:
        state = ReadyState(ready=service.is_ready)
        return state if state.ready else JSONResponse(state.model_dump(), 503)  # type: ignore[return-value]

    @router.get("/v1/model", summary="The network that is served", responses=describe_faults())
    async def get_model() -> NetworkDescription:
        served = service.served
        figures = served.checkpoint.card.get("figures")
        figures = figures if isinstance(figures, dict) else {}
        return NetworkDescription(
            name=served.name,
            version=served.version,
            parameters=served.network.config.parameters,
            classes=list(served.checkpoint.classes),
            image_shape=list(served.image_shape),
            figures={key: value for key, value in figures.items() if value is not None},
            keeps_corrections=keeps_corrections,
        )

    return router
