"""`lenet export`: what it prints, what it writes, and what it refuses in one line."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet.models.checkpoint import save_network
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet

Lenet = Callable[..., Any]


@pytest.fixture
def tiny(workplace: Path) -> Path:
    torch.manual_seed(0)
    save_network(LeNet(LeNetConfig(channels=(3,), hidden=(8,))), workplace / "tiny.safetensors")
    return workplace / "tiny.safetensors"


@pytest.fixture
def weather(workplace: Path) -> Path:
    """A network that resizes its images, of classes that the digits do not show."""
    torch.manual_seed(0)
    config = LeNetConfig(
        input_size=20, channels=(3,), hidden=(8,), classes=2, fit="resize", activation="gelu", dropout=0.5
    )
    save_network(LeNet(config), workplace / "weather.safetensors", classes=["sun", "rain"])
    return workplace / "weather.safetensors"


def test_a_quantised_network_for_programs(lenet: Lenet, weather: Path, workplace: Path) -> None:
    """Digits show none of its classes, so no accuracy is made up."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    outcome = lenet("export", "weather.onnx", weather, "--int8", "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    told = outcome.json
    assert told["file"] == "weather.onnx"
    assert told["bytes"] == (workplace / "weather.onnx").stat().st_size < told["float_bytes"]
    assert (told["images"], told["data"]) == (360, "scikit-learn's digits")
    assert told["accuracy"] is None
    assert told["largest_difference"] > 0
    assert min(told["milliseconds"], told["float_milliseconds"]) > 0


def test_a_header_for_people(lenet: Lenet, tiny: Path, workplace: Path) -> None:
    outcome = lenet("export", "tiny.h", tiny)
    assert (outcome.code, outcome.err) == (0, "")
    size = (workplace / "tiny.h").stat().st_size
    first, memory, compared, accuracy = outcome.out.splitlines()
    assert first == f"tiny.h: {size:,} bytes"
    assert memory.startswith("memory: ")
    assert compared.startswith("compared on 360 images (scikit-learn's digits): largest difference")
    assert accuracy.startswith("accuracy: ")
    assert "the checkpoint's own: " in accuracy


@pytest.mark.skipif(find_spec("lenet.page.bundle") is None, reason="the page is not there")
def test_a_page_of_two_networks(lenet: Lenet, tiny: Path, workplace: Path) -> None:
    told = lenet("export", "page.html", tiny, "mnist", "--json").json
    assert told == {
        "file": "page.html",
        "bytes": (workplace / "page.html").stat().st_size,
        "images": 0,
        "largest_difference": None,
        "accuracy": None,
    }
    assert "<html" in (workplace / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tiny.tflite", "mnist"), "choose .onnx, .h or .html"),
        (("tiny", "mnist"), "choose .onnx, .h or .html"),
        (("two.onnx", "mnist", "reader"), "name one checkpoint"),
        (("two.h", "mnist", "reader"), "name one checkpoint"),
        (("none.onnx",), "name one checkpoint"),
        (("mnist.h", "mnist", "--int8"), "--int8 is for .onnx files"),
        (("gone.h", "gone.safetensors"), "gone.safetensors: no such checkpoint"),
        (("tiny.h", "./tiny.h"), "is also an input"),
    ],
)
def test_mistakes_end_in_one_line(lenet: Lenet, workplace: Path, words: tuple[str, ...], said: str) -> None:
    (workplace / "tiny.h").write_text("a header of somebody else")
    outcome = lenet("export", *words)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err
    assert [path.name for path in workplace.iterdir()] == ["tiny.h"]


def test_a_missing_extra_is_named(lenet: Lenet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # as where it is not installed
    outcome = lenet("export", "mnist.onnx", "mnist")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == ("lenet: ONNX files need onnxscript; install with: pip install 'lenet[export]'\n")
