"""The served page in a real Chromium: photographs go to the whole chain, corrections are kept on request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(chromium: Any, served: Any) -> Iterator[Any]:
    """The page of the server; all its requests went there, and nothing was complained about."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800}, locale="en-US")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)

    def is_foreign(address: str) -> bool:
        return not address.startswith((served.address, "data:", "blob:"))

    page.goto(served.address)
    page.wait_for_selector("body[data-ready=yes]")
    yield page
    page.close()
    assert complaints == []


def test_a_photograph_is_read_with_every_step(page: Any):
    page.locator("#file").set_input_files(ROOT / "examples/pictures/3-yellow-paper.jpg")
    page.locator("#message", has_text="The server reads: 3").wait_for()
    assert page.locator("#steps img").count() >= 3
    assert page.locator("#reading").inner_text() == "3"  # the digit that the chain found, in the network
    sizes = page.evaluate("[...document.querySelectorAll('#steps img')].map(image => image.naturalWidth)")
    assert min(sizes) > 0


def test_the_drawing_is_read_by_the_chain(page: Any):
    page.locator("#samples button").nth(7).click()
    page.locator("#chain").click()
    page.locator("#message", has_text="The server reads: 7").wait_for()


def test_a_correction_is_kept_only_on_request(page: Any, served: Any):
    page.locator("#samples button").nth(5).click()
    page.locator("#teach summary").click()
    page.get_by_role("button", name="This is 6").click()
    page.locator("#corrections", has_text="1 corrections").wait_for()
    assert not list(served.kept.rglob("*.png"))
    page.locator("#keep").check()
    page.get_by_role("button", name="This is 6").click()
    page.locator("#corrections", has_text="the server kept it").wait_for()
    assert [file.parent.name for file in served.kept.rglob("*.png")] == ["6"]


def test_with_a_key_the_browser_asks_for_it_and_the_page_works(
    chromium: Any, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key = "a-key-of-many-characters"
    monkeypatch.setenv("LENET_API_KEY", key)
    server = start(tmp_path)
    context = chromium.new_context(locale="en-US", http_credentials={"username": "anybody", "password": key})
    try:
        page = context.new_page()
        page.goto(server.address)
        page.wait_for_selector("body[data-ready=yes]")
        page.locator("#file").set_input_files(ROOT / "examples/pictures/3-yellow-paper.jpg")
        page.locator("#message", has_text="The server reads: 3").wait_for()
    finally:
        context.close()
        server.process.kill()
        server.process.communicate()
    (request,) = [line for line in (tmp_path / "log").read_text().splitlines() if "/v1/predict" in line]
    assert '"status": 200' in request
    assert key not in (tmp_path / "log").read_text()
