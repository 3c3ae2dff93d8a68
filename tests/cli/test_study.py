"""`lenet study` and `lenet doctor`, as they are typed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lenet = Callable[..., Any]


def test_studies_are_listed(lenet: Lenet):
    rows = lenet("study", "--json").json
    assert len(rows) >= 14
    assert {"name", "question", "data", "epochs", "variants"} <= set(rows[0])
    assert "pooling" in lenet("study").out


@pytest.mark.slow
def test_a_study_of_ones_own(lenet: Lenet, bars_folder: Path, workplace: Path):
    command = [
        "study", "--over", "lr=0.01,0.001", "pooling=avg,max", "--data", bars_folder, "--epochs", 2,
        "--seeds", 2,
    ]  # fmt: skip
    outcome = lenet(*command)
    assert outcome.code == 0
    assert outcome.err.count("test ") == 8
    assert "lr 0.01, pooling avg" in outcome.out
    assert (workplace / "runs/studies/quick-lr-pooling.png").stat().st_size > 10_000
    comparison = lenet(*command, "--json").json
    assert len(comparison["variants"]) == 4
    assert comparison["conclusion"] in outcome.out
    assert len(list((workplace / "runs/studies").glob("*/recipe.json"))) == 8


@pytest.mark.slow
def test_a_search(lenet: Lenet, bars_folder: Path, workplace: Path):
    pytest.importorskip("optuna")
    command = ["study", "--over", "lr=0.001:0.1:log", "--trials", 3, "--data", bars_folder, "--epochs", 2]
    command += ["--workers", 1]  # several: tests/experiments/test_trials.py
    outcome = lenet(*command)
    assert outcome.code == 0
    assert outcome.out.startswith("3 trials: ")
    assert sum(line.startswith("trial ") for line in outcome.err.splitlines()) == 3
    (folder,) = (workplace / "runs").iterdir()
    assert (folder / "trials.png").stat().st_size > 10_000
    assert len(lenet(*command, "--json").json["trials"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["poling"], "did you mean 'pooling'?"),
        (["pooling", "--trials", 3], "--trials and --storage are for a search"),
        (["pooling", "--over", "lr=1,2"], "--over makes a study of its own"),
        (["--over", "lr=0.1:0.2"], "lr is a range; say how often to try with --trials 50"),
        (["--over", "lr=0.1,0.2", "--storage", "sqlite:///a"], "--storage is for a search"),
        (["--over", "lr=0.1:0.2", "--trials", 3, "--storage", "mysql://a"], "neither sqlite"),
        (["--over", "lr=0.1,0.10"], "lr is to be 0.1 twice; give each value once"),
        (["pooling", "--seeds", 0], "seeds is 0"),
        (["pooling", "--workers", -1], "workers is -1"),
        (["pooling", "--epochs", 0], "epochs is 0"),
        (["pooling", "--data", "nothing"], "nothing"),
    ],
)
def test_mistakes_get_one_line(lenet: Lenet, words: list[object], message: str):
    outcome = lenet("study", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_the_doctor(lenet: Lenet, bars_folder: Path, workplace: Path):
    flags = ["--data", bars_folder, "--input-size", 12, "--epochs", 3, "--device", "cpu", "--json"]
    good = lenet("train", "quick", *flags).json["run"]
    outcome = lenet("doctor", good)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{good}: 3 epochs, no fault found\n", "")
    trained = lenet("train", "quick", *flags, "--optimizer", "sgd", "--schedule", "constant", "--lr", "1e-9")
    assert "lenet: warning: learning rate too small: " in trained.err
    assert trained.err.count("warning") == 1
    bad = trained.json["run"]
    outcome = lenet("doctor", bad)
    assert outcome.code == 1
    assert outcome.out.startswith(f"{bad}: learning rate too small: ")
    values = lenet("doctor", bad, "--json").json
    assert values["faults"][0]["name"] == "learning rate too small"
    assert re.match(r"take --lr [\d.e-]+$", values["faults"][0]["remedy"])
    assert "; take --lr " in outcome.out
    assert "; take --lr " in trained.err
    assert set(values) >= {"run", "symptoms", "faults"}
    assert "warning" not in lenet("train", "quick", *flags, "--lr", "1e-9", "--quiet").err
    assert lenet("doctor", "nowhere").err.startswith("lenet: nowhere is no run folder")


def test_a_run_that_diverged_says_so(lenet: Lenet, bars_folder: Path, workplace: Path):
    flags = ["--data", bars_folder, "--input-size", 12, "--device", "cpu"]
    outcome = lenet(
        "train", "d2l-relu", *flags, "--optimizer", "sgd", "--lr", 900, "--loss", "mean-squared-error"
    )
    assert outcome.code == 2
    (run,) = (workplace / "runs").iterdir()
    assert "diverged: the loss is not finite in epoch" in lenet("doctor", run).out
