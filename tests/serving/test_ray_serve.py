"""The API on Ray Serve, as the how-to starts it; needs `ray[serve]`, which the tests do not install."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "examples/pictures/3-yellow-paper.jpg"
# `serve run digits:api` at a port of our own
RUN = """
import digits
from ray import serve
serve.start(http_options={{"port": {port}}})
serve.run(digits.api, blocking=True)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Not here: Ray reads its environment once, when it is imported, and other tests set it.
    if subprocess.run([sys.executable, "-c", "import ray.serve"], capture_output=True).returncode:
        pytest.skip("ray[serve] is not installed")
    folder = tmp_path_factory.mktemp("ray")
    (module,) = re.findall(
        r"```py\n(from ray import serve\n.*?)```", (ROOT / "docs/how-to.md").read_text("utf-8"), re.DOTALL
    )
    (folder / "digits.py").write_text(module, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN.format(port=port)], cwd=folder, stdout=log, stderr=log
        )
    try:
        ended = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < ended:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        else:
            raise AssertionError((folder / "log").read_text("utf-8"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.slow
def test_the_rows_are_those_of_the_command_line(address: str, lenet: Callable[..., Any]):
    printed = lenet("predict", PICTURE, "--json").json
    given = [("pictures", (str(PICTURE), PICTURE.read_bytes())), ("pictures", ("given", b"no picture"))]
    answer = httpx.post(f"{address}/v1/predict", files=given, timeout=60)
    assert answer.status_code == 200, answer.text
    good, bad = answer.json()
    assert good == printed
    assert bad["error"].startswith("given: not a picture in a known format")
    refused = httpx.post(f"{address}/v1/predict", params={"steps": True}, files=given, timeout=60)
    assert (refused.status_code, refused.json()["error"][:33]) == (422, "steps are shown for one picture; ")
