"""A page that can import the JavaScript modules, and strokes of five writers."""

import base64
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import lenet.page

MODULES = Path(lenet.page.__file__).parent
TYPES = {"f4": "Float32Array", "f8": "Float64Array", "u1": "Uint8Array", "i4": "Int32Array"}
CONVERT = """
const map = (entries, change) => Object.fromEntries(entries.map(([name, value]) => [name, change(value)]));
const unpack = (given) => map(Object.entries(given), (value) =>
  value?.base64 ? new globalThis[value.type](Uint8Array.fromBase64(value.base64).buffer) : value);
const pack = (value) => {
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { type: value.constructor.name, base64: bytes.toBase64() };
  }
  if (Array.isArray(value)) return value.map(pack);
  if (typeof value !== "object" || value === null) return value;
  return map(value instanceof Map ? [...value] : Object.entries(value), pack);
};
"""
PICTURES = Path(os.environ.get("LENET_DATA", "missing")) / "pictures"
Mask = NDArray[np.bool_]
Stroke = list[tuple[int, int]]  # x, y in pixels of the surface
PAD, DIGIT, FINE = 280, 190, 70  # pixels: the surface, the digit on it, the digit that is thinned
# The eight neighbours of a pixel, clockwise from above: (row, column).
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


class Modules:
    """A blank page where JavaScript can `import("lenet/network.js")`."""

    def __init__(self, page: Any) -> None:
        self.page = page
        imports = {
            f"lenet/{path.name}": f"data:text/javascript;base64,{_encode(path.read_bytes())}"
            for path in sorted(MODULES.glob("*.js"))
        }
        page.set_content(f'<script type="importmap">{json.dumps({"imports": imports})}</script>')

    def run(self, function: str, **arguments: Any) -> Any:
        """What an asynchronous JavaScript function of one object, the arguments, returns.

        Bytes arrive as a Uint8Array, arrays as the typed array of their values. Typed arrays come back as
        flat arrays, a Map as a dict.
        """
        given = {name: _pack(value) for name, value in arguments.items()}
        return _unpack(
            self.page.evaluate(
                f"async (given) => {{ {CONVERT} return pack(await ({function})(unpack(given))); }}", given
            )
        )


@pytest.fixture(scope="module")
def modules(chromium: Any) -> Modules:
    """The JavaScript modules in a page of their own."""
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    return Modules(page)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _pack(value: Any) -> Any:
    match value:
        case bytes():
            return {"type": "Uint8Array", "base64": _encode(value)}
        case np.ndarray():
            return {
                "type": TYPES[value.dtype.str[1:]],
                "base64": _encode(np.ascontiguousarray(value).tobytes()),
            }
    return value


def _unpack(value: Any) -> Any:
    match value:
        case {"type": kind, "base64": text}:
            dtype = next(dtype for dtype, name in TYPES.items() if name == kind)
            return np.frombuffer(base64.b64decode(text), dtype=dtype)
        case dict():
            return {name: _unpack(inner) for name, inner in value.items()}
        case list():
            return [_unpack(inner) for inner in value]
    return value


@pytest.fixture(scope="module")
def writers() -> dict[str, dict[str, list[Stroke]]]:
    """Strokes of the ten digits by five writers, traced from pictures: by the writer and the digit."""
    if not PICTURES.exists():
        pytest.skip("there are no pictures of other writers in LENET_DATA")
    chosen = choose_writers(PICTURES, 5)
    return {
        writer: {label: trace_strokes(picture) for label, picture in digits.items()}
        for writer, digits in chosen.items()
    }


def choose_writers(pictures: Path, count: int) -> dict[str, dict[str, Path]]:
    """The first writers of the half that may be looked at who drew all ten digits: a picture a digit."""
    writers: dict[str, dict[str, Path]] = {}
    with (pictures / "digits.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["half"] == "seen" and row["kind"] == "drawn":
                writers.setdefault(row["repo"], {}).setdefault(
                    row["label"], pictures / "digits" / row["file"]
                )
    complete = [(name, digits) for name, digits in sorted(writers.items()) if len(digits) == 10]
    return dict(complete[:count])


def trace_strokes(picture: Path) -> list[Stroke]:
    """The strokes of the digit in a picture with an even background, in the middle of the surface."""
    grey = np.asarray(Image.open(picture).convert("L"), dtype=np.float32)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.abs(grey - np.median(border))
    rows, columns = np.nonzero(ink > ink.max() / 2)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    scale = FINE / max(box[2] - box[0], box[3] - box[1])
    size = tuple(max(3, round(float(side) * scale)) for side in (box[2] - box[0], box[3] - box[1]))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC, tuple(map(float, box))))
    line = thin(np.pad(small > ink.max() / 2, 2))
    zoom = DIGIT / FINE
    left, top = ((PAD - side * zoom) / 2 for side in line.shape[::-1])
    places = [[*walk[:-1:8], walk[-1]] for walk in find_walks(line)]
    return [[(round(left + x * zoom), round(top + y * zoom)) for y, x in walk] for walk in places]


def thin(mask: Mask) -> Mask:
    """A line of one pixel in the middle of the ink (Zhang and Suen 1984)."""
    mask = ndimage.binary_closing(mask)
    while True:
        before = mask.sum()
        for step in (0, 1):
            near = np.stack([np.roll(mask, (-y, -x), (0, 1)) for y, x in AROUND])
            count = near.sum(0)
            turns = ((~near) & np.roll(near, -1, 0)).sum(0)
            a, b, c, d = near[0], near[2], near[4], near[6]
            open_ = (~(a & b & c) & ~(b & c & d)) if step == 0 else (~(a & b & d) & ~(a & c & d))
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & open_)
        if mask.sum() == before:
            return mask


def find_walks(line: Mask) -> Iterator[list[tuple[int, int]]]:
    """Walks along a thinned line that together cross every pixel of it, from ends where there are any."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(line), strict=True)}
    around = sorted(AROUND, key=lambda step: abs(step[0]) + abs(step[1]))  # straight before diagonal
    while left:
        near = {p: [(p[0] + y, p[1] + x) for y, x in around if (p[0] + y, p[1] + x) in left] for p in left}
        place = min(left, key=lambda p: (len(near[p]) != 1, p))
        walk = [place]
        left.discard(place)
        while following := [q for q in near[place] if q in left]:
            place = min(following, key=lambda q: bend(walk, q))
            walk.append(place)
            left.discard(place)
        if len(walk) > 4 or not line.sum() > 40:
            # The start of a branch was walked already: begin at it.
            yield walk


def bend(walk: list[tuple[int, int]], place: tuple[int, int]) -> float:
    """How much a walk would turn to go to a place: 0 is straight on."""
    if len(walk) < 4:
        return abs(place[0] - walk[-1][0]) + abs(place[1] - walk[-1][1])
    before = np.subtract(walk[-1], walk[-4])
    step = np.subtract(place, walk[-1])
    return -float(before @ step) / float(np.hypot(*before) * np.hypot(*step) or 1)
