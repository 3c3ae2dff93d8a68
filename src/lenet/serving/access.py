"""Who may call: an optional API key, and web pages of other origins that the user allowed."""

import hmac
import os
import re
from base64 import b64decode
from contextlib import suppress
from typing import Any

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lenet.errors import ServingError

KEY_VARIABLE = "LENET_API_KEY"
MIN_KEY = 16  # characters
OPEN = frozenset(("/live", "/ready", "/v2/health/live", "/v2/health/ready"))
"""What a balancer asks without a key."""
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")


def read_key() -> str | None:
    """The key in the environment, which other users of the machine do not see; None for an open server.

    Raises ServingError for one that is too short or that a header cannot hold.
    """
    key = os.environ.get(KEY_VARIABLE)
    if key is None:
        return None
    if len(key) < MIN_KEY or not (key.isascii() and key.isprintable()) or " " in key:
        raise ServingError(
            f"{KEY_VARIABLE} is no key of {MIN_KEY} or more printable ASCII characters without spaces; "
            "give one, or unset it to serve without a key"
        )
    return key


def check_origin(origin: str) -> str:
    """An origin as browsers write it, such as https://example.org. Raises ServingError for another text."""
    if not _ORIGIN.fullmatch(origin):
        raise ServingError(
            f"allow_origin is {origin[:80]!r}; write the origin as browsers do: https://example.org"
        )
    return origin.lower()


class KeyCheck:
    """Middleware that answers 401 to requests without the key.

    The key is a bearer token, the header X-API-Key, or the password of HTTP Basic, which browsers ask their
    user for: so the page works, too.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or pass the request on."""
        app = self._app
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = Headers(scope=scope)
            given = _find_keys(headers.get("authorization", ""), headers.get("x-api-key", ""))
            if not any(hmac.compare_digest(one, self._key) for one in given):  # in constant time
                message = "the key is missing or wrong; send Authorization: Bearer KEY, or X-API-Key: KEY"
                challenge = {"WWW-Authenticate": 'Basic realm="lenet", charset="UTF-8"'}  # browsers ask
                app = JSONResponse({"error": message}, 401, challenge)
        await app(scope, receive, send)


def describe_key(schema: dict[str, Any]) -> None:
    """Say in the OpenAPI `schema` how the key is sent; clients are made from it. Changes it."""
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    schema["security"] = [{"bearer": []}, {"header": []}]
    for path in OPEN & schema["paths"].keys():
        for operation in schema["paths"][path].values():
            operation["security"] = []


def _find_keys(authorization: str, header: str) -> list[bytes]:
    keys = [header.encode()]
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        keys.append(value.strip().encode())
    elif scheme.lower() == "basic":
        with suppress(ValueError):
            keys.append(b64decode(value.strip(), validate=True).partition(b":")[2])
    return keys


def allow_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """The application with CORS headers for pages of these origins; without any, as it is."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "X-API-Key", "Content-Type", "Inference-Header-Content-Length"),
        expose_headers=("Retry-After", "X-Request-ID", "Inference-Header-Content-Length"),
    )
