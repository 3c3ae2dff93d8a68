"""Runs, listed with what was changed, and drawn into one picture."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lenet.training.run_folder import RunFolder

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


def test_a_broken_run_hides_no_other(lenet: Lenet, three_runs: list[str]):
    broken = Path("runs/a-broken")
    broken.mkdir()
    (broken / "recipe.json").write_bytes(Path(three_runs[0], "recipe.json").read_bytes())
    for damage in (b'{"epoch": ' + b"9" * 4000 + b"}\n", b"\xff\xfe", b"[" * 99999):
        (broken / "history.jsonl").write_bytes(damage)
        rows = {row["run"]: row for row in lenet("runs", "--json").json}
        assert set(rows) == {*three_runs, str(broken)}
        assert "history.jsonl: damaged" in rows[str(broken)]["error"]
        assert rows[three_runs[0]]["error"] is None
        outcome = lenet("runs")
        assert outcome.code == 0
        assert all(run in outcome.out for run in rows)
        assert "history.jsonl: damaged" in outcome.out
        assert lenet("runs", "plot", "--json").json["runs"] == three_runs[:2]
    outcome = lenet("doctor", broken)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


def test_json_has_no_infinity(lenet: Lenet, capsys: pytest.CaptureFixture[str]):
    from lenet.cli.app import write_json

    print(write_json({"loss": float("inf"), "rows": [(float("nan"), 1.5, "Infinity")], "none": None}))
    said = capsys.readouterr().out
    assert said == '{"loss": null, "rows": [[null, 1.5, "Infinity"]], "none": null}\n'


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_says_how_to_resume(
    lenet: Lenet, bars_folder: Path, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals, code: int
):
    """The signal arrives while the second epoch begins."""
    kept = RunFolder.write_epoch

    def write_and_stop(self: RunFolder, *given: Any) -> None:
        kept(self, *given)
        os.kill(os.getpid(), stop)

    monkeypatch.setattr(RunFolder, "write_epoch", write_and_stop)
    before = signal.getsignal(signal.SIGTERM)
    outcome = lenet("train", "quick", "--data", bars_folder, "--input-size", 12, "--device", "cpu", "--quiet")
    (run,) = Path("runs").iterdir()
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err == f"lenet: stopped; resume with: lenet train --resume {run}\n"
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(RunFolder(run).read_history()) == 1


def test_a_kept_epoch_is_resumed_as_a_new_run(lenet: Lenet, bars_folder: Path, workplace: Path):
    flags = ["--input-size", 12, "--device", "cpu", "--quiet", "--json"]
    run = lenet("train", "lab3", "--data", bars_folder, "--epochs", 2, *flags).json["run"]
    fifth = Path(run, "epoch-001.safetensors")
    row = lenet("train", "--resume", fifth, "--epochs", 3, "--quiet", "--json").json
    assert (row["run"], row["epochs"]) == (f"{run}-from-001", 3)
    for file in (Path(run, "last.safetensors"), Path(run, "recipe.json"), Path("nothing.safetensors")):
        outcome = lenet("train", "--resume", file)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "Errno" not in outcome.err
