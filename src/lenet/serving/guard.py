"""Refuses requests of foreign web pages, and sends the headers that restrict what a browser does.

A page on the web can send requests to a server on the visitor's own machine. Two checks prevent it. The Host
header must name the loopback address where the server listens there only: a foreign name that resolves to
127.0.0.1 is refused (DNS rebinding). The Origin header of a request other than GET and HEAD must be the
server's own, or one that the user allowed.
"""

import re
from html.parser import HTMLParser

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CALLS_ONLY = "default-src 'none'; connect-src 'self'"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(?::\d*)?")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING,
}


class Guard:
    """Middleware that checks Host and Origin and adds security headers where the answer has none."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] | None, origins: tuple[str, ...] = ()) -> None:
        """`hosts` are the names allowed in the Host header, None allows any; `origins` those that may call
        beside the server's own."""
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        error = self._find_fault(scope["method"], headers.get("host", ""), headers.getlist("origin"))
        answer = self._app if error is None else JSONResponse({"error": error}, 403)
        await answer(scope, receive, send_guarded)

    def _find_fault(self, method: str, host: str, origins: list[str]) -> str | None:
        match = HOST.fullmatch(host)
        if self._hosts is not None and (match is None or match[1].lower() not in self._hosts):
            return f"the host {host[:80]!r} is not this server; call it {', '.join(self._hosts)}"
        own = {f"{scheme}://{host.lower()}" for scheme in ("http", "https")} | set(self._origins)
        if method not in ("GET", "HEAD") and any(origin.lower() not in own for origin in origins):
            return f"pages of {origins[0][:80]!r} may not send requests to this server"
        return None


def find_policy(page: str) -> str:
    """The content security policy for the header of a page: that of its own `<meta>`, and no framing.

    A page without one gets the policy that allows nothing but calls of the API.
    """
    finder = _PolicyFinder()
    finder.feed(page)
    return f"{finder.policy or CALLS_ONLY}; frame-ancestors 'none'"


class _PolicyFinder(HTMLParser):
    policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "meta" and (values.get("http-equiv") or "").lower() == "content-security-policy":
            self.policy = " ".join((values.get("content") or "").split()).strip("; ")
