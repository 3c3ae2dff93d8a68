"""The API key and the origins of other web pages, on the application without a socket."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest

from lenet.serving.app import make_app
from lenet.serving.served import open_served
from lenet.serving.service import Service

KEY = "a-key-of-many-characters"
PAGE = "https://example.org"
Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def call() -> Call:
    served = open_served("reader")
    make = cache(lambda **more: make_app(Service(served), **more))

    def call(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(make(**more))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(answer())

    return call


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"X-API-Key": KEY},
        {"Authorization": basic(f"anybody:{KEY}")},
        {"Authorization": basic(f":{KEY}"), "X-API-Key": "wrong"},
    ],
)
def test_the_key_opens_everything(call: Call, headers: dict[str, str]):
    for path in ("/", "/v1/model", "/v2", "/metrics", "/openapi.json"):
        assert call("GET", path, headers, key=KEY).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic ?"},
        {"Authorization": basic(KEY)},
        {"Authorization": basic(f"{KEY}:")},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": "é" * 24},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_without_the_key_nothing_is_answered(call: Call, headers: dict[str, str]):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("GET", "/"), ("GET", "/metrics"), ("POST", "/v1/predict"), ("GET", "/nowhere")):
        answer = call(method, path, encoded, key=KEY)
        assert answer.status_code == 401
        assert answer.json()["error"].startswith("the key is missing or wrong")
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert call("GET", f"/v1/model?key={KEY}", encoded, key=KEY).status_code == 401


def test_the_schema_says_how_to_send_the_key(call: Call):
    """Clients that are made from it would not send one otherwise."""
    assert "security" not in call("GET", "/openapi.json").json()
    schema = call("GET", "/openapi.json", {"X-API-Key": KEY}, key=KEY).json()
    schemes = schema["components"]["securitySchemes"]
    asked = [schemes[name]["type"] for way in schema["security"] for name in way]
    assert asked == ["http", "apiKey"]
    free = {path for path, ways in schema["paths"].items() if any("security" in way for way in ways.values())}
    assert free == {"/live", "/ready", "/v2/health/live", "/v2/health/ready"}


def test_a_balancer_needs_no_key(call: Call):
    assert call("GET", "/live", key=KEY).json() == {"live": True}
    assert call("GET", "/v2/health/live", key=KEY).json() == {"live": True}
    assert call("GET", "/ready", key=KEY).status_code == 503  # the service was not started
    assert call("GET", "/v2/health/ready", key=KEY).status_code == 503


def test_an_allowed_page_may_call_with_a_key(call: Call):
    asks = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,content-type",
    }
    preflight = call("OPTIONS", "/v1/predict", asks, key=KEY, origins=(PAGE,))
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in preflight.headers
    for path, key, status in (("/v1/corrections", KEY, 422), ("/v1/corrections", "wrong", 401)):
        answer = call("POST", path, {"Origin": PAGE, "X-API-Key": key}, key=KEY, origins=(PAGE,))
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE


def test_other_pages_may_not(call: Call):
    for origin in ("https://evil.example", "null", f"{PAGE}.evil.example", "http://example.org"):
        answer = call("POST", "/v1/predict", {"Origin": origin}, origins=(PAGE,))
        assert answer.status_code == 403
        answer = call("GET", "/v1/model", {"Origin": origin}, origins=(PAGE,))
        assert "access-control-allow-origin" not in answer.headers
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert call("OPTIONS", "/v1/predict", asks, origins=(PAGE,)).status_code == 403


@pytest.mark.parametrize(
    "key", ["", "short", "with spaces in it, but long", "ümlaut-of-many-letters", "a\n" * 9]
)
def test_a_useless_key_gets_one_line(lenet: Any, monkeypatch: pytest.MonkeyPatch, key: str):
    """An empty one, too: a server that should have a key is not opened to everybody by a slip."""
    monkeypatch.setenv("LENET_API_KEY", key)
    outcome = lenet("serve")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("lenet: LENET_API_KEY is no key of 16 or more printable ASCII characters")
    assert key == "" or key not in outcome.err


@pytest.mark.parametrize(
    "origin", ["*", "null", "example.org", "https://example.org/", "https://a b", "file://x"]
)
def test_a_useless_origin_gets_one_line(lenet: Any, origin: str):
    outcome = lenet("serve", "--allow-origin", origin)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"lenet: --allow-origin is {origin!r}; write the origin as browsers do")
