"""Runs, listed with what was changed, and drawn into one picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Lenet = Callable[..., Any]


@pytest.fixture
def three_runs(lenet: Lenet, bars_folder: Path, workplace: Path) -> list[str]:
    """Runs of three kinds: with test curves, with a validation curve, and one without an epoch."""
    size = ("--data", bars_folder, "--input-size", 12, "--device", "cpu", "--quiet", "--json")
    names = []
    for flags in (("--epochs", 2), ("--epochs", 3, "--validation", 30, "--channels", "2,3")):
        names.append(lenet("train", "quick", *size, *flags).json["run"])
    begun = Path("runs/begun")
    begun.mkdir()
    for name in ("recipe.json", "environment.json"):
        (begun / name).write_bytes((Path(names[0]) / name).read_bytes())
    return [*names, str(begun)]


def test_runs_say_what_was_changed(lenet: Lenet, three_runs: list[str]):
    rows = {row["run"]: row for row in lenet("runs", "--json").json}
    assert rows[three_runs[0]]["changes"] == {"epochs": 2, "input_size": 12}
    assert rows[three_runs[1]]["changes"] == {
        "epochs": 3, "validation": 30, "input_size": 12, "channels": [2, 3],
    }  # fmt: skip
    text = lenet("runs").out
    assert "channels=2,3" in text
    assert "resume with --resume" in text


def test_a_recipe_of_ones_own_has_no_changes(lenet: Lenet, three_runs: list[str]):
    plan = json.loads((Path(three_runs[0]) / "recipe.json").read_text())
    plan["recipe"]["name"] = "mine"
    (Path(three_runs[0]) / "recipe.json").write_text(json.dumps(plan))
    assert {row["run"]: row for row in lenet("runs", "--json").json}[three_runs[0]]["changes"] == {}


def test_runs_are_drawn_together(lenet: Lenet, three_runs: list[str]):
    outcome = lenet("runs", "plot", "--json")
    assert outcome.json == {"picture": "curves.png", "runs": three_runs[:2]}  # the third has no curve yet
    with Image.open("curves.png") as picture:
        assert min(picture.size) > 300
    by_name = lenet("runs", "plot", Path(three_runs[0]).name, three_runs[1], "--out", "two/curves.png")
    assert by_name.out == "two/curves.png: 2 runs\n"
    assert Path("two/curves.png").read_bytes() == Path("curves.png").read_bytes()


def test_what_cannot_be_drawn_is_named(lenet: Lenet, three_runs: list[str]):
    for names, message in (
        (["runs/begun"], "no finished epoch"),
        (["nothing"], "nothing is no run"),
        (["--runs-dir", "elsewhere"], "no runs in elsewhere"),
    ):
        outcome = lenet("runs", "plot", *names)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err
