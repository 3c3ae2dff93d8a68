"""A real browser, spoken to over a pipe in the DevTools protocol."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


@dataclass
class Page:
    """What came of opening a page: every request, and whatever the browser complained about."""

    browser: "Browser"
    session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ask(self, expression: str) -> Any:
        """The value of some JavaScript in the page."""
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return self.browser.call("Runtime.evaluate", self.session, **parameters)["result"].get("value")

    def show(self, width: int, dark: bool) -> None:
        """Lay the page out for a window of this width, in light or in dark colours."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.call("Emulation.setEmulatedMedia", self.session, features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.call("Emulation.setDeviceMetricsOverride", self.session, **size)

    def photograph(self) -> bytes:
        """The visible part as PNG."""
        return base64.b64decode(self.browser.call("Page.captureScreenshot", self.session)["data"])

    def print(self) -> bytes:
        """The page on paper, as PDF."""
        return base64.b64decode(self.browser.call("Page.printToPDF", self.session)["data"])


class Browser:
    """One running browser."""

    def __init__(self, program: str, profile: Path) -> None:
        there, ours = _pipe()
        back, theirs = _pipe()
        command = f'exec "$@" 3<&{there} 4>&{theirs}'
        words = ["bash", "-c", command, "bash", program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(words, pass_fds=(there, theirs), stdout=quiet, stderr=quiet)
        os.close(there)
        os.close(theirs)
        self.ours, self.back, self.rest, self.number = ours, back, b"", 0
        self.pages: dict[str, Page] = {}

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send a command, take note of what happens meanwhile, return its result."""
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(self, address: str) -> Page:
        """Open a page and wait until all of it is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Network", "Page", "Runtime", "Log", "Security"):
            self.call(f"{domain}.enable", session)
        self.call("Page.navigate", session, url=address)
        page.ask("new Promise(done => document.readyState == 'complete' ? done() : onload = done)")
        page.ask("new Promise(done => setTimeout(done, 300))")  # what is loaded late
        return page

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.back)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            content = os.read(self.back, 1 << 20)
            assert content, "the browser has gone"
            self.rest += content
        line, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        page, values = self.pages.get(event.get("sessionId", "")), event.get("params", {})
        if page is None:
            return
        match event["method"]:
            case "Network.requestWillBeSent":
                page.requests.append(values["request"]["url"])
            case "Network.webSocketCreated":
                page.requests.append(values["url"])
            case "Log.entryAdded":
                page.complaints.append(values["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                page.complaints.append(json.dumps(values))


def _pipe() -> tuple[int, int]:
    """A pipe whose ends lie above the numbers that the browser's will have."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, without a window; the test is skipped where none is installed."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed to open the page in (apt-get install chromium)")
    running = Browser(program, tmp_path_factory.mktemp("profile"))
    try:
        yield running
    finally:
        running.close()
