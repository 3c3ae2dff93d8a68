"""`lenet import`: a tutorial's network becomes a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

Lenet = Callable[..., Any]


@pytest.fixture
def file(workplace: Path) -> Path:
    """What a reader of d2l saves."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip
    save_file(network.state_dict(), workplace / "net.safetensors")
    return workplace / "net.safetensors"


def test_an_imported_network_is_evaluated(lenet: Lenet, file: Path):
    outcome = lenet("import", file, "--model", "d2l", "--data", "digits")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert "0.weight" in lines[1]
    assert "conv1.weight" in lines[1]
    assert "6×1×5×5" in lines[1]
    assert lines[-2:] == [
        "pixels: 0..1, minus 0, divided by 1",
        "d2l-net.safetensors: 61,706 parameters",
    ]
    assert lenet("evaluate", "d2l-net.safetensors", "--json").json["count"] == 360


def test_an_import_for_programs(lenet: Lenet, file: Path, workplace: Path):
    told = lenet("import", file, "--model", "lenet5-sigmoid", "--out", "mine.safetensors", "--json").json
    assert (told["checkpoint"], told["data"], told["pixel_mean"]) == ("mine.safetensors", None, 0.0)
    assert {"source": "11.bias", "name": "output.bias", "shape": [10]} in told["tensors"]
    assert (workplace / "mine.safetensors").is_file()


def test_clothes_keep_their_names(lenet: Lenet, file: Path):
    lenet("import", file, "--model", "d2l")
    outcome = lenet("explain", "--checkpoint", "d2l-net.safetensors", "--data", "digits", "--label", 3)
    assert "Pullover" in outcome.err  # digits are none of its classes, and it says which they are


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("net.safetensors", "--model", "lenet5-tanh"), "no layer fits conv3 of the network"),
        (("net.safetensors", "--model", "d2l", "--out", "net.safetensors"), "name another file with --out"),
        (("net.safetensors", "--model", "d3l"), "no model is called 'd3l'"),
        (("gone.safetensors", "--model", "d2l"), "gone.safetensors: no such file"),
        (("net.pt", "--model", "d2l"), 'safetensors.torch.save_file(net.state_dict(), "net.safetensors")'),
    ],
)
def test_mistakes_end_in_one_line(lenet: Lenet, file: Path, words: tuple[str, ...], said: str):
    torch.save({"a": torch.ones(2)}, file.with_name("net.pt"))
    before = file.read_bytes()
    outcome = lenet("import", *words)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err
    assert file.read_bytes() == before
