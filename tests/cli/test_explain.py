"""`lenet explain` and `lenet report`: what they print, what they write, what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lenet.training.recipes import RECIPES
from lenet.training.runs import begin_run, run_training

Lenet = Callable[..., Any]
PICTURE = Path(__file__).parents[2] / "examples/pictures/7-blue-ink.png"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    begun = begin_run(
        RECIPES["quick"].override({"epochs": 3}), device="cpu", runs_dir=tmp_path_factory.mktemp("runs")
    )
    for _ in run_training(begun):
        pass
    return begun.path


def test_a_picture_is_explained(lenet: Lenet, workplace: Path):
    outcome = lenet("explain", PICTURE)
    assert (outcome.code, outcome.err) == (0, "")
    first, last = outcome.out.splitlines()
    assert first.startswith(f"{PICTURE}: read as 7 (")
    assert last == "look at explained/layers.png, explained/attribution.png, explained/filters.png"
    for name in ("layers", "attribution", "filters"):
        with Image.open(workplace / f"explained/{name}.png") as picture:
            assert picture.width > 1000


def test_a_sample_is_explained_for_programs(lenet: Lenet, run: Path, workplace: Path):
    told = lenet("explain", "--checkpoint", run, "--index", 15, "--out", "four", "--json").json
    assert [Path(path).name for path in told["figures"]] == [
        "layers.png", "attribution.png", "filters.png", "patches.png",
    ]  # fmt: skip
    assert all((workplace / path).is_file() for path in told["figures"])
    (subject,) = told["subjects"]
    assert (subject["name"], subject["label"]) == ("image 15, 4", "4")
    assert 0 < subject["rival_probability"] <= 1


def test_two_classes_are_compared(lenet: Lenet, workplace: Path):
    outcome = lenet("explain", "--data", "digits", "--compare", "4", "9", "--out", "pair")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["relu1", "relu2"]
    assert lines[2] == "look at pair/compare.png"
    assert [path.name for path in (workplace / "pair").iterdir()] == ["compare.png"]
    told = lenet("explain", "--data", "digits", "--compare", "4", "9", "--json").json
    assert told["classes"] == ["4", "9"]
    assert len(told["layers"]["relu2"]) == 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a picture, a --label, an --index or two classes to --compare"),
        ((PICTURE, "--label", "7"), "one of them"),
        (("--data", "digits", "--label", "pullover"), "no class 'pullover'"),
        (("--data", "digits", "--index", "360"), "there is no image 360"),
        (("--data", "digits", "--compare", "7", "7"), "the same class"),
        (("--data", "fashion-mnist", "--label", "7"), "no mirror gave it"),
        (("--labels", "7"), "--labels"),
        (("gone.png",), "gone.png"),
        ((*(PICTURE,) * 7,), "7 digits are too many"),
        ((PICTURE, "--checkpoint", "gone"), "gone"),
    ],
)
def test_mistakes_end_in_one_line(lenet: Lenet, workplace: Path, words: tuple[object, ...], said: str):
    outcome = lenet("explain", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("lenet: ")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err
    assert not list(workplace.rglob("*.png"))


def test_a_run_is_reported(lenet: Lenet, run: Path, workplace: Path):
    outcome = lenet("report", run)
    size = (run / "report.html").stat().st_size
    page = run / "report-page.html"
    assert outcome.out == f"{run / 'report.html'}: {size:,} bytes; it links to {page}\n"
    told = lenet("report", run, "--out", "elsewhere.html", "--json").json
    other = workplace / "elsewhere-page.html"
    assert told == {"report": "elsewhere.html", "bytes": size + 3, "page": other.name}  # a longer link
    assert other.read_bytes() == page.read_bytes()


def test_what_is_no_run_is_not_reported(lenet: Lenet, workplace: Path):
    (workplace / "empty").mkdir()
    for name in ("gone", "empty"):
        outcome = lenet("report", name)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.count("\n") == 1
        assert "no run folder" in outcome.err
    begun = begin_run(RECIPES["quick"], device="cpu", runs_dir=workplace / "runs")
    assert "no epoch is finished; resume it with: lenet train --resume" in lenet("report", begun.path).err
