"""Counts every request and writes a line about it: one JSON object a line, on standard error.

The log holds no pictures, no keys and no queries. What a client chooses, such as a path, is cut and escaped.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenet.serving.metrics import Metrics

REQUEST_ID = "X-Request-ID"
FIELDS = "lenet_fields"
"""The attribute of a log record that holds values of the line beside time, level and message."""
MAX_PATH = 200  # characters
LEFT = 499
"""The status of a request whose client left before it got an answer."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("lenet.serving")


class JsonLines(logging.Formatter):
    """Writes a log record as one JSON object in ASCII, whatever it holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower()}
        fields = getattr(record, FIELDS, None)
        line |= fields if fields is not None else {"message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "uvicorn": {"level": "INFO"},
        "lenet.serving": {"level": "INFO"},
        "python_multipart": {"level": "ERROR"},  # it warns of what clients do, which gets an answer
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}


class Observer:
    """Middleware that counts and logs each request; its id is in the answer, too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = LEFT
        given = Headers(scope=scope).get(REQUEST_ID, "")
        identity = given if _ID.fullmatch(given) else uuid4().hex
        state = scope.setdefault("state", {})

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = identity
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", None)
            self._metrics.count_request(scope["method"], route, status, seconds)
            fields = {
                "method": scope["method"][:20],
                "path": scope["path"][:MAX_PATH],
                "status": status,
                "ms": round(1000 * seconds, 2),
                "images": state.get("images", 0),
                "id": identity,
            }
            _log.info("request", extra={FIELDS: fields})
