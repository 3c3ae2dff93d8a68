"""The application: what each address answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

import lenet
from lenet.errors import PictureError
from lenet.models.checkpoint import Checkpoint
from lenet.reading.reader import Reader
from lenet.reading.transcription import MAX_DIGITS, check_constraints
from lenet.serving.bodies import FIELD, FORM, receive_pictures
from lenet.serving.corrections import Corrections
from lenet.serving.guard import LOOPBACK, Guard, find_policy
from lenet.serving.lane import Lane
from lenet.serving.limits import BodyBudget, Limits, Refusal
from lenet.serving.rows import read_picture
from lenet.serving.schema import KeptFile, NetworkDescription, PictureRow, RefusedRequest, UnreadableRow

_FILE = {"type": "string", "format": "binary"}
_PICTURES = {  # FastAPI does not parse the body, so that it can be refused while it arrives
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": _FILE, "description": "Files."}},
                }
            },
            "image/*": {"schema": _FILE},
        },
    }
}
_FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": RefusedRequest, "description": "The form is damaged, or has too many parts."},
    403: {
        "model": RefusedRequest,
        "description": "The request comes from a foreign web page or calls a foreign host.",
    },
    408: {"model": RefusedRequest, "description": "The body arrives too slowly."},
    413: {"model": RefusedRequest, "description": "The body is too large."},
    415: {"model": RefusedRequest, "description": "The body is neither a form nor a picture."},
    422: {"model": RefusedRequest, "description": "A value is invalid, or there is no picture."},
    429: {
        "model": RefusedRequest,
        "description": "Too many requests are waiting; see the header Retry-After.",
    },
}


def make_app(
    reader: Reader,
    checkpoint: Checkpoint,
    name: str,
    page: str,
    corrections: Corrections | None = None,
    *,
    hosts: tuple[str, ...] | None = LOOPBACK,
    limits: Limits | None = None,
) -> ASGIApp:
    """The application that reads pictures with `reader`, and shows `page` with `checkpoint`, called `name`.

    `hosts` are the names that clients may call it by, without a port; None allows any.
    """
    limits = limits or Limits()
    lane, budget = Lane(limits), BodyBudget(limits)

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        sample = np.zeros((28, 28), np.uint8)
        sample[6:22, 13:15] = 255
        app.state.first = asyncio.create_task(lane.run(partial(reader.read, sample)))
        yield
        lane.close()

    app = FastAPI(
        title="LeNet-5", version=lenet.__version__, docs_url=None, redoc_url=None, lifespan=run,
        description="Reads handwritten digits in pictures, and says which readings a person should check.",
    )  # fmt: skip
    _answer_faults(app)
    page_headers = {"Content-Security-Policy": find_policy(page), "Cache-Control": "no-cache"}

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def get_page() -> Response:
        return HTMLResponse(page, headers=page_headers)

    @app.get("/live", summary="Whether the server answers")
    async def get_live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/ready", summary="Whether the network has read its first picture; 503 before")
    async def get_ready(request: Request) -> Response:
        first: asyncio.Task[object] = request.app.state.first
        is_ready = first.done() and not first.cancelled() and first.exception() is None
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @app.get("/v1/model", summary="The network that reads", response_model=NetworkDescription)
    async def get_model() -> dict[str, Any]:
        figures = checkpoint.card.get("figures")
        figures = figures if isinstance(figures, dict) else {}
        return {
            "name": name,
            "parameters": checkpoint.model.config.parameters,
            "classes": checkpoint.classes,
            "figures": {key: value for key, value in figures.items() if value is not None},
            "keeps_corrections": corrections is not None,
        }

    @app.post(
        "/v1/predict",
        summary="Read pictures",
        description="One row a picture, in order, as `lenet predict --json` prints them.",
        responses={200: {"model": list[PictureRow | UnreadableRow]}, **_FAULTS},
        openapi_extra=_PICTURES,
    )
    async def predict(
        request: Request,
        steps: Annotated[bool, Query(description="Add the steps of the reading; for one picture.")] = False,
        length: Annotated[
            int | None, Query(description=f"The number of digits, if known: 1 to {MAX_DIGITS}.")
        ] = None,
        pattern: Annotated[
            str | None, Query(description="The format of the number, # for each digit: #####-####.")
        ] = None,
        amount: Annotated[bool, Query(description="An amount of money: no leading zero.")] = False,
    ) -> Response:
        check_constraints(length, pattern, amount)
        lane.check()  # refuse before a body is received
        options = {"length": length, "pattern": pattern, "amount": amount}
        side = limits.step_side if steps else 0
        with budget.hold() as held:
            pictures = await receive_pictures(request, held, limits)
            if steps and len(pictures) > 1:
                raise Refusal(422, "steps are shown for one picture; send one, or leave steps out")
            rows = []
            with lane.admit():
                for picture in pictures:
                    if await request.is_disconnected():
                        raise ClientDisconnect
                    rows.append(await lane.run(partial(read_picture, reader, picture, options, side)))
        return JSONResponse(rows)

    @app.post(
        "/v1/corrections",
        summary="Keep a picture with the label that a person gave it",
        description="Only where the server was started with `--keep FOLDER`.",
        status_code=201,
        responses={
            201: {"model": KeptFile},
            404: {"model": RefusedRequest, "description": "The server keeps no corrections."},
            507: {"model": RefusedRequest, "description": "The folder is full."},
            **_FAULTS,
        },
        openapi_extra=_PICTURES,
    )
    async def correct(
        request: Request, label: Annotated[str, Query(description="The name of a class.")]
    ) -> Response:
        if corrections is None:
            raise Refusal(404, "this server keeps no corrections; start it with --keep FOLDER")
        lane.check()
        with budget.hold() as held:
            pictures = await receive_pictures(request, held, limits)
            if len(pictures) > 1:
                raise Refusal(422, "a label belongs to one picture; send one")
            with lane.admit():
                file = await lane.run(partial(corrections.keep, pictures[0], label))
        return JSONResponse({"file": file}, 201)

    return Guard(app, hosts)


def _answer_faults(app: FastAPI) -> None:
    """Answer every fault with one sentence in {"error": …}."""

    @app.exception_handler(Refusal)
    async def refuse(_: Request, error: Refusal) -> Response:
        return JSONResponse({"error": str(error)}, error.status, error.headers)

    @app.exception_handler(PictureError)
    async def refuse_picture(_: Request, error: PictureError) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def refuse_value(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def refuse_address(request: Request, error: HTTPException) -> Response:
        message = (
            f"{request.method} {request.url.path[:80]}: {error.detail}; /openapi.json lists the addresses"
        )
        return JSONResponse({"error": message}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def forget(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it

    @app.exception_handler(Exception)
    async def admit_fault(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "a fault in lenet, please report it; its log has the cause"}, 500)
