"""What reaches the terminal: no raw byte of a name, valid JSON, nothing in place of a closed stream."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lenet.cli.app import write_json

COMMAND = f"{sys.executable} -m lenet"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)


def test_numbers_that_are_not_finite_are_null():
    values = {"a": [float("inf"), 1.5, (float("nan"),)]}
    assert json.loads(write_json(values)) == {"a": [None, 1.5, [None]]}


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_the_error_line_does_not_go_to_standard_output(tmp_path: Path):
    ended = shell(f"{COMMAND} summary zzz 2>&-", tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize(("command", "code"), [("predict - <&-", 2), ("models >&-", 0), ("models 2>&-", 0)])
def test_closed_streams(command: str, code: int, tmp_path: Path):
    ended = shell(f"{COMMAND} {command}", tmp_path)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code


def test_no_control_character_of_a_name_is_printed(lenet: Callable[..., Any], workplace: Path):
    name = "a\x1b[31m\nb.png"
    Image.new("L", (28, 28), 255).save(workplace / name)
    outcome = lenet("predict", name)
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.out.count("\n") == 1
    outcome = lenet("predict", "no\x1b[31m\nfile.png")
    assert "\x1b" not in outcome.err


def test_an_input_is_not_replaced(lenet: Callable[..., Any], workplace: Path):
    Image.new("L", (28, 28), 255).save(workplace / "in.png")
    before = (workplace / "in.png").read_bytes()
    (workplace / "link.png").symlink_to("in.png")
    for out in ("in.png", "link.png"):
        outcome = lenet("predict", "in.png", "--explain", out)
        assert (outcome.code, "is also an input" in outcome.err) == (2, True)
    assert (workplace / "in.png").read_bytes() == before


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.png", b"\x89PNG")])
def test_the_suffix_of_a_plot_decides(name: str, begins: bytes, lenet: Callable[..., Any], workplace: Path):
    Image.new("L", (28, 28), 255).save(workplace / "in.png")
    assert lenet("predict", "in.png", "--explain", name).code == 0
    assert (workplace / name).read_bytes().startswith(begins)
    refused = lenet("predict", "in.png", "--explain", "a.txt")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert not (workplace / "a.txt").exists()
