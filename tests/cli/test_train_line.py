"""`lenet train line` keeps the rules of every run: settings are checked, and a run is resumed as planned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lenet.training.line import train_line
from lenet.training.run_folder import RunFolder

Lenet = Callable[..., Any]
Begin = Callable[..., RunFolder]


@pytest.fixture
def stopped(begin_lines: Begin, workplace: Path) -> RunFolder:
    """A run of seed 1 that was stopped after the first of its two epochs."""
    run = begin_lines(Path("runs"))
    next(train_line(run))
    return run


def refuse(outcome: Any) -> str:
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    return str(outcome.err)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--epochs", 0, "--epochs is 0; it must be a whole number from 1 to 100,000"),
        ("--batch-size", 0, "--batch-size is 0; it must be a whole number from 1"),
        ("--validation", 0, "--validation is 0; it must be a whole number from 1"),
        ("--lr", 0, "--lr is 0; nothing would be learnt"),
        ("--clip-norm", -1, "--clip-norm is -1.0; it must be a number from 0"),
        ("--warm-up", 2, "--warm-up is 2.0; it must be a number from 0"),
        ("--seed", -1, "--seed is -1; it must be a whole number from 0"),
        ("--momentum", 0.9, "the recipe line has no 'momentum'"),
        ("--data", "digits", "the recipe line has no 'data'"),
    ],
)
def test_a_setting_that_cannot_be_makes_no_folder(
    lenet: Lenet, workplace: Path, flag: str, value: object, message: str
):
    assert message in refuse(lenet("train", "line", flag, value))
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epochs", 12], "is resumed as planned; --epochs was not so"),
        (["--seed", 0], "is resumed as planned; --seed was not so"),
        (["--lr", 0.1], "is resumed as planned; --lr was not so"),
        (["--data", "digits"], "the recipe line has no 'data'"),
    ],
)
def test_a_run_is_resumed_as_planned_or_not_at_all(
    lenet: Lenet, stopped: RunFolder, flags: list[object], message: str
):
    before = {file.name: file.read_bytes() for file in stopped.path.iterdir()}
    assert message in refuse(lenet("train", "--resume", stopped.path, *flags))
    assert "`recipe` was not so" in refuse(lenet("train", "quick", "--resume", stopped.path))
    assert {file.name: file.read_bytes() for file in stopped.path.iterdir()} == before


def test_a_run_is_resumed_and_finished(lenet: Lenet, stopped: RunFolder):
    same = ("--seed", 1, "--epochs", 2, "--quiet")
    outcome = lenet("train", "line", "--resume", stopped.path, *same, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (outcome.json["epochs"], outcome.json["seed"], outcome.json["is_finished"]) == (2, 1, True)
    assert outcome.json["checkpoint"] == str(stopped.path / "line.safetensors")
    again = lenet("train", "--resume", stopped.path, "--quiet", "--json")
    assert again.json == outcome.json
    (row,) = lenet("runs", "--json").json
    assert row == outcome.json
    assert lenet("train", "--resume", stopped.path, "--quiet").out.endswith("trained for 2 epochs\n")


def test_a_run_without_lines_yet_is_one_of_lines(lenet: Lenet, stopped: RunFolder):
    """A stop while the lines are composed; resuming looks for MNIST, which is not here."""
    (stopped.path / "train-lines.safetensors").unlink()
    outcome = lenet("train", "--resume", stopped.path, "--quiet", "--seed", 2)
    assert "--seed was not so" in refuse(outcome)


def test_a_run_that_another_process_trains_is_busy(lenet: Lenet, stopped: RunFolder):
    with stopped.alone():
        assert "is being trained by another process" in refuse(lenet("train", "--resume", stopped.path))


def test_what_is_no_run_is_not_begun(lenet: Lenet, workplace: Path):
    assert "is no run folder" in refuse(lenet("train", "line", "--resume", "nothing"))
    assert list(workplace.iterdir()) == []


def test_a_run_of_lines_is_listed_and_named(lenet: Lenet, stopped: RunFolder):
    text = lenet("runs").out
    assert "resume with --resume" in text
    assert "strips=120 validation=30 epochs=2" in text
    for command in (["doctor"], ["report"], ["runs", "plot"]):
        assert "is a run of the recipe line" in refuse(lenet(*command, stopped.path))
    assert "no runs in runs" in refuse(lenet("runs", "plot"))
