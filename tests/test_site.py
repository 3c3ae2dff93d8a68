"""The site builds without a warning and works in two languages; what is generated agrees with the code."""

import functools
import http.server
import importlib.util
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from translations import is_chinese

from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says():
    page = (ROOT / "docs/reference.md").read_text("utf-8")
    assert page == load_script("generate").write_page(), "generate it again: make docs"
    for setting in SETTINGS:
        assert page.count(f"\n| `{setting}` |") >= 2
    for name in RECIPES:
        assert f"| `{name}` |" in page


def test_the_picture_of_the_readme_is_what_its_script_draws(tmp_path: Path):
    """Nearly the same pixels: processors and fonts change little, another reading or layout much."""
    load_script("draw_reading").main(tmp_path / "reading.webp")
    drawn, committed = (
        Image.open(folder / "reading.webp").convert("RGB") for folder in (tmp_path, ROOT / "docs")
    )
    assert drawn.size == committed.size
    assert drawn.width >= 1600  # sharp at 800 pixels on a screen with two pixels for each
    difference = np.abs(np.asarray(drawn, dtype=float) - np.asarray(committed, dtype=float))
    assert difference.mean() < 4
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "](docs/reading.webp)" in readme
    assert "](docs/page.webp)" in readme  # docs/draw_page.py draws it: every frame by a real browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a warning is an error."""
    pytest.importorskip("properdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_on_the_site_and_needs_nothing_from_elsewhere(site: Path):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert 'src="http' not in text
        assert '<link href="http' not in text


def test_sections_have_the_same_ids_in_both_languages(site: Path):
    pages = [page for page in site.rglob("*.html") if is_chinese(page.name)]
    assert pages
    for page in pages:
        ids, english = (
            re.findall(r'<h[1-6] id="([^"]*)"', file.read_text("utf-8"))
            for file in (page, page.with_name(page.name.replace(".zh.", ".")))
        )
        assert ids == english
        text = page.read_text("utf-8").partition('role="main"')[2]
        found = re.findall(r' id="([^"]+)"', text)
        assert sorted(found) == sorted(set(found))


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", params=["a server", "the disk"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """Where the site is, without the last slash."""
    if request.param == "the disk":
        yield site.as_uri()
        return
    handler = functools.partial(Silent, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Callable[[str], Any]]:
    """Open a page of the site; afterwards no request left the site and the console is empty."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page, complaints = context.new_page(), []
    page.on("request", lambda request: complaints.append(request.url) if not is_own(request.url) else None)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def is_own(url: str) -> bool:
        return url.startswith((f"{address}/", "data:"))

    def go(name: str) -> Any:
        page.goto(f"{address}/{name}")
        return page

    yield go
    context.close()
    assert complaints == []


def test_every_page_opens_without_a_complaint(visit: Callable[[str], Any], site: Path, address: str):
    pages = sorted(site.rglob("*[!4].html"))  # 404.html is for servers
    for file in pages[:: 1 if address.startswith("http") else 4]:
        page = visit(file.relative_to(site).as_posix())
        if file == site / "worksheets/page.html":  # it has no theme
            continue
        assert page.evaluate("typeof keyCodes") == "object"  # the theme's script has run to its end


def test_a_change_of_language_keeps_page_and_section(visit: Callable[[str], Any]):
    page = visit("how-to.html")
    section = page.locator("h2").nth(3).get_attribute("id")
    page.evaluate("document.querySelectorAll('h2')[3].scrollIntoView({behavior: 'instant'})")
    for name in ("how-to.zh.html", "how-to.html"):
        page.locator("#language").dispatch_event("click")
        page.wait_for_url(f"**/{name}#{section}")
        page.wait_for_function(
            "Math.abs(document.querySelectorAll('h2')[3].getBoundingClientRect().top - 76) < 9"
        )
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    page.locator("#language").click()
    page.wait_for_url("**/how-to.zh.html")


def test_the_texts_of_the_theme_are_in_the_language_of_the_page(visit: Callable[[str], Any]):
    page = visit("explanation.html")
    assert page.locator("html").get_attribute("lang") == "en"
    menu = page.locator(".navbar")
    assert page.locator("#language").inner_text() == "中文"
    assert not re.search(r"[\u4e00-\u9fff]", menu.text_content().replace("中文", ""))
    page = visit("explanation.zh.html")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.title() == "工作原理 - LeNet"
    shown = " ".join([menu.text_content(), *page.locator(".modal, footer").all_text_contents()])
    assert not re.search("Search|Next|Previous|Home|Tutorial|theme|Light|Dark|Auto|Keys|built", shown)
    links = menu.locator(".nav a:not([href='#'])").evaluate_all("links => links.map(link => link.href)")
    assert len(links) > 9
    assert all(link.endswith(".zh.html") for link in links)


def search(page: Any, text: str) -> list[str]:
    """The pages that the search finds, best first."""
    if not page.locator("#properdocs_search_modal.show").count():
        page.locator("[data-bs-target='#properdocs_search_modal']").click()
    page.fill("#properdocs-search-query", "")
    page.wait_for_function("document.querySelector('#properdocs-search-results').textContent.length < 30")
    page.fill("#properdocs-search-query", text)
    page.wait_for_function(
        "document.querySelector('#properdocs-search-results').textContent.length > 30 || "
        "document.querySelector('#properdocs-search-query').value === 'xyzzy'"
    )
    links = page.locator("#properdocs-search-results a")
    return links.evaluate_all("links => links.map(link => link.href.split('/').pop())")


def test_the_search_finds_chinese_words_and_python_names(visit: Callable[[str], Any]):
    page = visit("how-to.zh.html")
    for text in ("卷积层", "层", "load_data", "lenet.load_data("):
        found = search(page, text)
        assert found, text
        assert all(".zh.html" in name for name in found)
    assert "reference.zh.html#lenetload_data" in found[:5]
    assert search(page, "xyzzy") == []
    page.fill("#properdocs-search-query", "卷积层")
    page.locator("#properdocs-search-results a").first.click()
    page.wait_for_url("**/*.zh.html*")
    assert "卷积" in page.locator("[role=main]").inner_text()


def test_the_search_of_english_pages_finds_english_first(visit: Callable[[str], Any]):
    page = visit("index.html")
    for text in ("convolutional", "batch-size", "Rejecting"):
        found = search(page, text)
        assert found, text
        assert not any(".zh.html" in name for name in found)
    assert any("how-to.html#reject" in name for name in found[:5])
    assert any(".zh.html" in name for name in search(page, "卷积层"))  # no English page has it


def test_on_paper_there_is_the_page_alone(visit: Callable[[str], Any]):
    page = visit("studies.zh.html")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    page.emulate_media(media="print")
    for part in (".navbar", ".bs-sidebar", "footer"):
        assert not page.locator(part).first.is_visible()
    colours = page.locator("[role=main] *").evaluate_all(
        "parts => [...new Set(parts.map(part => getComputedStyle(part).color))]"
    )
    assert colours == ["rgb(0, 0, 0)"]
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
