"""How faults are answered, by one sentence in {"error": …}, and how the API describes them."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lenet.errors import PictureError
from lenet.serving.limits import Refusal
from lenet.serving.observation import LEFT
from lenet.serving.schema import RefusedRequest

DESCRIPTIONS = {
    400: "The request or its body is damaged.",
    401: "The server has a key, and the request has not.",
    403: "The request comes from a foreign web page or calls a foreign host.",
    404: "The server does not offer it.",
    408: "The body arrives too slowly.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "A value is invalid, or something is missing.",
    429: "Too much is waiting; the header Retry-After says in how many seconds to try again.",
    503: "Too many connections are open (as plain text), or the server is not ready or is being stopped.",
    504: "The answer was not ready within the deadline.",
    507: "The folder of corrections is full.",
}
_RETRY_AFTER = {"schema": {"type": "integer"}, "description": "Seconds."}
Responses = dict[int | str, dict[str, Any]]


def describe_faults(*statuses: int) -> Responses:
    """What `responses=` of an operation says about these statuses and those that each can have."""
    described: Responses = {}
    for status in sorted({400, 401, 403, 503, *statuses}):
        described[status] = {"model": RefusedRequest, "description": DESCRIPTIONS[status]}
    if 429 in described:
        described[429]["headers"] = {"Retry-After": _RETRY_AFTER}
    described[503]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return described


BODY_FAULTS = describe_faults(408, 413, 415, 422, 429, 504)
"""Of an operation that takes a body and computes an answer."""


def answer_faults(app: FastAPI) -> None:
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
        return Response(status_code=LEFT)  # nobody reads it, but it is counted and logged

    @app.exception_handler(Exception)
    async def admit_fault(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "a fault in lenet, please report it; its log has the cause"}, 500)
