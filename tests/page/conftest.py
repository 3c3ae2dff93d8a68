"""A real Chromium, and a page in it that can import the JavaScript modules by their names."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lenet.page

MODULES = Path(lenet.page.__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


# Of a module, not of the session: while playwright runs, its event loop keeps other tests from starting one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser of playwright's; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


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
