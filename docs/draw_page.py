"""Draw docs/page.webp: a digit is drawn on the page, and every layer follows.

python docs/draw_page.py     (needs the extra `dev` and a Chromium)
"""

import io
import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from lenet.page.bundle import make_page

PICTURE = Path(__file__).parent / "page.webp"
STROKES = (
    ((192, 70), (160, 48), (118, 52), (92, 84), (96, 122), (134, 138), (172, 120), (192, 84), (190, 70)),
    ((192, 70), (188, 130), (176, 190), (164, 240)),
)
PIECES = 2  # movements of the pen from point to point
SIZE = (960, 600)  # pixels
MILLISECONDS, LAST_MILLISECONDS = 120, 2500  # of a frame
QUALITY = 60


def draw(page: Page, frames: list[Image.Image]) -> None:
    """Draw the strokes with the mouse; keep a picture of the page after every movement."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    take(page, frames)
    for stroke in STROKES:
        page.mouse.move(box["x"] + stroke[0][0], box["y"] + stroke[0][1])
        page.mouse.down()
        for before, after in pairwise(stroke):
            for piece in range(1, PIECES + 1):
                x, y = (a + (b - a) * piece / PIECES for a, b in zip(before, after, strict=True))
                page.mouse.move(box["x"] + x, box["y"] + y)
            take(page, frames)
        page.mouse.up()
    page.locator('[data-layer="conv2"] .maps').hover(position={"x": 62, "y": 62})
    page.wait_for_timeout(300)
    take(page, frames)


def take(page: Page, frames: list[Image.Image]) -> None:
    page.wait_for_timeout(100)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    frames.append(picture.resize(SIZE, Image.Resampling.LANCZOS))


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no Chromium is installed (apt-get install chromium)")
    frames: list[Image.Image] = []
    with TemporaryDirectory() as folder, sync_playwright() as engine:
        # The stored images are then scikit-learn's digits, whose licence allows to publish them.
        os.environ |= {"LENET_DATA": folder, "LENET_CACHE": folder}
        file = Path(folder) / "page.html"
        file.write_text(make_page(["reader", "d2l"], language="en"), encoding="utf-8")
        browser = engine.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-ready=yes]")
        page.wait_for_timeout(2000)  # the stored images are counted
        draw(page, frames)
        browser.close()
    durations = [MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    frames[0].save(
        PICTURE,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=QUALITY,
        method=6,
    )


if __name__ == "__main__":
    main()
