"""The page in Chromium: its size, the time until it reads, the time from the pen to all layers, its logits.

    python benchmarks/page.py

Needs the extra `dev`, a Chromium and MNIST. Results go to benchmarks/results/page.json.
"""

import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import sync_playwright

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.models.checkpoint import load_checkpoint
from lenet.page.bundle import make_page

NETWORKS = ("reader", "d2l")
IMAGES = 1000
LOADS = 10
DIGIT = [
    (88, 66), (128, 46), (172, 58), (184, 92), (164, 122), (126, 136), (168, 142), (194, 172), (188, 212),
    (150, 236), (106, 230), (84, 212),
]  # fmt: skip
# One call of the handler is the whole way: ink, framing, network, every layer drawn, the reading.
FOLLOW = """async (points) => {
  const pad = document.querySelector("#pad");
  const box = pad.getBoundingClientRect();
  const send = (type, x, y) => pad.dispatchEvent(new PointerEvent(type, {
    clientX: box.left + x, clientY: box.top + y, pointerId: 1, button: 0, isPrimary: true, bubbles: true }));
  pad.setPointerCapture = () => {};
  pad.hasPointerCapture = () => true;
  const times = [];
  send("pointerdown", ...points[0]);
  for (let turn = 0; turn < 25; turn++) for (const [x, y] of points) {
    const began = performance.now();
    send("pointermove", x + turn, y);
    times.push(performance.now() - began);
    await new Promise(requestAnimationFrame);
  }
  send("pointerup", ...points[0]);
  return times.slice(points.length);
}"""
CLASSIFY = """async ({ name, images }) => {
  const bytes = Uint8Array.from(atob(images), (c) => c.charCodeAt(0));
  const network = window.lenet.networks.get(name);
  const logits = [];
  for (let i = 0; i < bytes.length; i += 784) {
    logits.push(...network.forward(bytes.slice(i, i + 784), 28, 28).logits);
  }
  return logits;
}"""


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no Chromium is installed (apt-get install chromium)")
    text = make_page(NETWORKS)
    result: dict[str, Any] = {
        "what": "page",
        "command": "python benchmarks/page.py",
        "networks": NETWORKS,
        "bytes": len(text.encode()),
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        file = Path(folder) / "page.html"
        file.write_text(text, encoding="utf-8")
        browser = engine.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        result["chromium"] = browser.version
        times = [measure_load(browser, file) for _ in range(LOADS)]
        result["milliseconds_to_first_reading"] = sorted(times)
        page = open_page(browser, file)
        page.wait_for_timeout(3000)  # the stored images are counted
        result["milliseconds_pen_to_layers"] = describe(page.evaluate(FOLLOW, DIGIT))
        page.locator("#compare").select_option("d2l")
        page.wait_for_timeout(3000)
        result["milliseconds_pen_to_layers_of_two"] = describe(page.evaluate(FOLLOW, DIGIT))
        result["logits"] = {name: compare_logits(page, name) for name in NETWORKS}
        browser.close()
    result["machine"] = describe_machine()
    path = Path(__file__).parent / "results" / "page.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def open_page(browser: Any, file: Path, address: str = "") -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{file.as_uri()}{address}")
    page.wait_for_selector("body[data-ready=yes]")
    return page


def measure_load(browser: Any, file: Path) -> float:
    """Milliseconds from the navigation to the reading of a drawing in the address."""
    page = browser.new_page()
    page.goto(f"{file.as_uri()}#ink={write_ink()}")
    page.wait_for_selector("body[data-rejected=no]")
    milliseconds = page.evaluate("window.lenet.readAt")
    page.close()
    return round(float(milliseconds), 1)


def write_ink() -> str:
    """The digit as the page's address has it."""
    numbers = [0, 2 * len(DIGIT), *(value for point in DIGIT for value in point)]
    return base64.urlsafe_b64encode(np.array(numbers, "<u2").tobytes()).decode().rstrip("=")


def describe(times: list[float]) -> dict[str, float]:
    return {
        "count": len(times),
        "median": round(float(np.median(times)), 2),
        "percentile_95": round(float(np.percentile(times, 95)), 2),
        "minimum": round(min(times), 2),
    }


def compare_logits(page: Any, name: str) -> dict[str, float]:
    """Logits of the page, whose weights are rounded, beside PyTorch's of the checkpoint."""
    images = load("mnist", "test").images[:IMAGES]
    content = base64.b64encode(images.numpy().tobytes()).decode()
    ours = np.array(page.evaluate(CLASSIFY, {"name": name, "images": content})).reshape(IMAGES, -1)
    with torch.inference_mode():
        theirs = load_checkpoint(name).model(images).numpy()
    return {"images": IMAGES, "largest_difference": float(np.abs(ours - theirs).max())}


if __name__ == "__main__":
    main()
