"""The line network in the page against PyTorch, its strips against reading, and several digits on the pad."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from lenet.errors import CheckpointError
from lenet.export.line_file import compose_samples
from lenet.images.strips import cut_strip, stack_strips
from lenet.models.line import LineNetwork, fold_normalisation, load_line, save_line
from lenet.models.line_config import BLANK, read_best_path
from lenet.models.stored import find_checkpoint
from lenet.page.bundle import make_page
from lenet.reading.lines import find_lines

RUN = """async ({ checkpoint, strips, widths }) => {
  const { LineNetwork } = await import("lenet/line.js");
  const { findBestPath, measureText, softmaxFrames } = await import("lenet/transcription.js");
  const network = new LineNetwork(checkpoint);
  let start = 0;
  return widths.map((width) => {
    const logits = network.forward(strips.subarray(start, start += 32 * width), width);
    const chances = softmaxFrames(logits);
    const digits = findBestPath(chances);
    const text = digits.map(({ label }) => label);
    const frames = digits.map(({ frame }) => frame);
    return { logits, text, frames, probability: measureText(chances, text) };
  });
}"""
CUT = """async ({ plane, height, width }) => {
  const { cutStrip } = await import("lenet/strip.js");
  return cutStrip(plane, height, width);
}"""
CODE = """async ({ file }) => {
  const { LineNetwork } = await import("lenet/line.js");
  try { return String(new LineNetwork(file)); } catch (error) { return error.code; }
}"""
SHOW = """(strokes) => window.lenet.pad.show({
  strokes: strokes.map((points) => ({ erase: false, points })), image: null })"""
# Digits in a box of 1 × 1.6, as polylines.
SHAPES = {
    "1": [[(0.5, 0), (0.5, 1.6)]],
    "2": [[(0.05, 0.35), (0.2, 0.08), (0.5, 0), (0.8, 0.1), (0.92, 0.4), (0.75, 0.8), (0.05, 1.55),
           (1, 1.55)]],
    "3": [[(0.1, 0.2), (0.45, 0), (0.85, 0.15), (0.85, 0.5), (0.45, 0.72), (0.9, 0.95), (0.9, 1.35),
           (0.5, 1.6), (0.05, 1.4)]],
    "4": [[(0.6, 0), (0, 1), (1, 1)], [(0.75, 0.6), (0.75, 1.6)]],
    "5": [[(0.9, 0), (0.2, 0), (0.12, 0.7), (0.55, 0.6), (0.92, 0.9), (0.9, 1.3), (0.5, 1.6), (0.05, 1.4)]],
}  # fmt: skip
Stroke = list[tuple[int, int]]


def write(text: str, left: int = 14, top: int = 110, size: int = 38, step: int = 54) -> list[Stroke]:
    """The strokes of some digits in a row on the pad."""
    return [
        [(round(left + number * step + size * x), round(top + size * y)) for x, y in line]
        for number, digit in enumerate(text)
        for line in SHAPES[digit]
    ]


def paint(strokes: list[Stroke], width: int) -> np.ndarray[Any, Any]:
    """Strokes as a plane of ink float32 (280, 280)."""
    image = Image.new("L", (1120, 1120))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        pen.line([(4 * x, 4 * y) for x, y in stroke], 255, 4 * width, "curve")
    return np.asarray(image.resize((280, 280), Image.Resampling.BOX), np.float32) / 255


def run(modules: Any, path: Path, strips: list[np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    return modules.run(
        RUN,
        checkpoint=path.read_bytes(),
        strips=np.concatenate([strip.ravel() for strip in strips]),
        widths=[strip.shape[1] for strip in strips],
    )


def test_logits_and_texts_are_pytorchs(modules: Any) -> None:
    network = load_line().network
    strips = [
        stack_strips([strip], -(-strip.shape[1] // 16) * 16)[0, 0] for strip in compose_samples(60).strips
    ]
    for strip, found in zip(strips, run(modules, find_checkpoint("line"), strips), strict=True):
        with torch.inference_mode():
            logits = network(torch.from_numpy(strip)[None, None])
        np.testing.assert_allclose(found["logits"], logits.flatten(), atol=1e-4, rtol=0)
        frames = logits[0].double().log_softmax(1).numpy()
        best = frames.argmax(1)
        assert "".join(map(str, found["text"])) == read_best_path(best)
        assert [int(best[frame]) for frame in found["frames"]] == found["text"]
        loss = functional.ctc_loss(
            torch.from_numpy(frames)[:, None],
            torch.tensor([found["text"]], dtype=torch.long),
            torch.tensor([len(frames)]),
            torch.tensor([len(found["text"])]),
            blank=BLANK,
        )
        assert found["probability"] == pytest.approx(
            math.exp(-loss.item() * max(len(found["text"]), 1)), rel=1e-4
        )


def test_networks_of_other_widths_run(modules: Any, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = fold_normalisation(LineNetwork((3, 1, 5, 2, 7, 3)))
    save_line(tmp_path / "own.safetensors", network, {})
    strips = [np.random.default_rng(k).integers(0, 256, (32, 4 * k), np.uint8) for k in (1, 5, 13)]
    for strip, found in zip(strips, run(modules, tmp_path / "own.safetensors", strips), strict=True):
        expected = network(torch.from_numpy(strip)[None, None])
        np.testing.assert_allclose(found["logits"], expected.flatten(), atol=1e-4, rtol=0)


DRAWINGS = {
    "five digits": (write("12345"), 12),
    "two large ones": (write("31", left=30, top=60, size=90, step=120), 20),
    "enlarged, and a dot": ([*write("4512", size=9, step=14), [(200, 130), (201, 131)]], 3),
    "a comma that belongs to it": ([*write("2334"), [(118, 172), (112, 184)]], 10),
}


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_strips_are_cut_as_reading_cuts_them(modules: Any, drawing: str) -> None:
    plane = paint(*DRAWINGS[drawing])
    (line,) = find_lines(plane > 0.45)
    expected = cut_strip(plane, line.strokes, line.rows, line.columns, line.height).image
    found = modules.run(CUT, plane=plane, height=280, width=280)
    image = found["image"].reshape(32, found["width"]).astype(int)
    assert found["width"] == -(-expected.shape[1] // 16) * 16
    difference = np.abs(image[:, : expected.shape[1]] - expected)
    assert not image[:, expected.shape[1] :].any()
    assert difference.max() <= 6  # OpenCV's weights have 5 bits
    assert (difference <= 2).mean() > 0.98


def test_a_blank_drawing_has_no_strip(modules: Any) -> None:
    assert modules.run(CUT, plane=np.zeros((40, 50), np.float32), height=40, width=50) is None


def test_other_files_are_refused_with_a_code(modules: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_line(path, fold_normalisation(LineNetwork((1, 1, 1, 1, 1, 1))), {})
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])

    def build(changed: dict[str, Any], numbers: bytes = good[8 + length :]) -> bytes:
        text = json.dumps(changed).encode()
        return len(text).to_bytes(8, "little") + text + numbers

    def change_card(**entries: Any) -> bytes:
        card = json.loads(header["__metadata__"]["card"]) | entries
        return build(header | {"__metadata__": {"card": json.dumps(card)}})

    bias = "output.bias"
    end = header[bias]["data_offsets"][1]
    numbers = bytearray(good[8 + length :])
    numbers[end - 2 : end] = np.float16("inf").tobytes()
    files = {
        "a LeNet": ("not-lenet", find_checkpoint("reader").read_bytes()),
        "cut": ("not-safetensors", good[:-2]),
        "no channels": ("not-lenet", change_card(channels=None)),
        "five channels": ("not-lenet", change_card(channels=[1] * 5)),
        "huge": ("not-lenet", change_card(channels=[10**9] * 6)),
        "other channels": ("does-not-fit", change_card(channels=[2] * 6)),
        "other type": ("does-not-fit", build(header | {bias: header[bias] | {"dtype": "F32"}})),
        "infinite": ("not-finite", build(header, bytes(numbers))),
    }
    assert {name: modules.run(CODE, file=file) for name, (_, file) in files.items()} == {
        name: code for name, (code, _) in files.items()
    }
    assert modules.run(CODE, file=good) == "[object Object]"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(make_page(["line", "reader"]), encoding="utf-8")
    return path


def draw(page: Any, strokes: list[Stroke]) -> None:
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        page.mouse.move(box["x"] + 1 + stroke[0][0], box["y"] + 1 + stroke[0][1])
        page.mouse.down()
        for x, y in stroke:
            page.mouse.move(box["x"] + 1 + x, box["y"] + 1 + y)
        page.mouse.up()
    page.wait_for_selector("body[data-ready=yes]")


def open_file(chromium: Any, file: Path) -> Any:
    page = chromium.new_page(locale="en-US", viewport={"width": 1280, "height": 800})
    page.set_default_timeout(30_000)
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    return page


def read(page: Any) -> str:
    return str(page.locator("#reading").inner_text())


def test_several_digits_on_the_pad_are_read_as_a_line(chromium: Any, page_file: Path) -> None:
    assert page_file.stat().st_size < 1_700_000
    page = open_file(chromium, page_file)
    draw(page, write("12345"))
    page.locator("#reading", has_text="12345").wait_for()
    assert page.locator("#verdict").inner_text().startswith("5 digits, ")
    assert page.locator("#named b").all_inner_texts() == list("12345")
    strip, frames = (
        page.locator(place).evaluate("({width, height}) => [width, height]")
        for place in ("#strip", "#frames")
    )
    assert strip == [2 * frames[0], 32]
    assert frames[1] == 11
    page.locator("#clear").click()
    page.locator("#line").wait_for(state="hidden")
    assert read(page) == ""
    draw(page, write("3", left=90, top=60, size=90))
    page.locator("#reading", has_text="3").wait_for()
    assert page.locator("#line").is_hidden()
    assert "Second guess" in page.locator("#second").inner_text()
    page.close()


def place(strokes: list[Stroke], left: float, side: float) -> list[Stroke]:
    """The strokes of a large digit within columns from `left`, `side` pixels high."""
    x, y = np.array([point for stroke in strokes for point in stroke]).T
    scale = side / 190
    across, down = left + side / 2 - scale * (x.min() + x.max()) / 2, 140 - scale * (y.min() + y.max()) / 2
    return [[(round(across + scale * x), round(down + scale * y)) for x, y in stroke] for stroke in strokes]


def test_lines_of_five_writers_are_read(
    chromium: Any, page_file: Path, writers: dict[str, dict[str, list[Stroke]]]
) -> None:
    """The pen of the pad is as wide as a third of such digits; the line network sees a finer one."""
    page, wrong = open_file(chromium, page_file), []
    for writer, digits in writers.items():
        for text in ("01234", "56789"):
            strokes = [
                stroke for k, digit in enumerate(text) for stroke in place(digits[digit], 54 * k + 4, 50)
            ]
            page.evaluate(SHOW, [[value for point in stroke for value in point] for stroke in strokes])
            page.evaluate("new Promise(done => setTimeout(done, 150))")
            page.wait_for_selector("body[data-ready=yes]")
            if read(page) != text:
                wrong.append((writer, text, read(page)))
            page.locator("#clear").click()
    page.close()
    assert len(wrong) <= 2, wrong


def test_a_dropped_line_network_reads(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(make_page(["reader"]), encoding="utf-8")
    page = open_file(chromium, tmp_path / "page.html")
    draw(page, write("12345"))
    assert page.locator("#line").is_hidden()
    page.locator("#file").set_input_files(find_checkpoint("line"))
    page.locator("#reading", has_text="12345").wait_for()
    assert "line was loaded" in page.locator("#message").inner_text()
    assert page.locator("#model").input_value() == "reader"
    page.close()


def test_a_page_needs_a_network_for_single_digits() -> None:
    for checkpoints in (["line"], ["line", "line", "reader"]):
        with pytest.raises(CheckpointError, match="one line network, beside"):
            make_page(checkpoints)
