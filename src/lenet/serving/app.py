"""The application: what each address answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.types import ASGIApp

import lenet
from lenet.serving.access import KeyCheck, allow_origins, describe_key
from lenet.serving.corrections import Corrections
from lenet.serving.faults import answer_faults
from lenet.serving.guard import LOOPBACK, Guard, find_policy
from lenet.serving.health import route_health
from lenet.serving.metrics import METRICS_TYPE
from lenet.serving.observation import Observer
from lenet.serving.open_inference_api import route_open_inference
from lenet.serving.picture_api import route_pictures
from lenet.serving.service import Service
from lenet.serving.tensor_api import route_tensors


def make_app(
    service: Service,
    corrections: Corrections | None = None,
    *,
    hosts: tuple[str, ...] | None = LOOPBACK,
    key: str | None = None,
    origins: tuple[str, ...] = (),
) -> ASGIApp:
    """The application that answers with what `service` serves at the time, and shows its page.

    Args:
        service: what computes.
        corrections: where corrected pictures are kept; None keeps none.
        hosts: the names that clients may call it by, without a port; None allows any.
        key: what clients have to know; None lets everyone call.
        origins: other origins whose web pages may call, such as https://example.org.
    """

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # FastAPI prepares its routes at the first use, which takes a third of a second
        await service.start()
        yield
        service.close()

    app = FastAPI(
        title="LeNet-5", version=lenet.__version__, docs_url=None, redoc_url=None, lifespan=run,
        description="Reads handwritten digits in pictures, and says which readings a person should check.",
    )  # fmt: skip
    answer_faults(app)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def get_page() -> Response:
        page = service.served.page
        headers = {"Content-Security-Policy": find_policy(page), "Cache-Control": "no-cache"}
        return HTMLResponse(page, headers=headers)

    @app.get("/metrics", include_in_schema=False)
    async def get_metrics() -> Response:
        return Response(service.metrics.render(), media_type=METRICS_TYPE)

    app.include_router(route_health(service, corrections is not None))
    app.include_router(route_pictures(service, corrections))
    app.include_router(route_tensors(service))
    app.include_router(route_open_inference(service))
    if key is not None:
        describe_key(app.openapi())
    guarded = allow_origins(app if key is None else KeyCheck(app, key), origins)
    return Observer(Guard(guarded, hosts, origins), service.metrics)
