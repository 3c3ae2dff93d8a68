"""The report is one page that needs nothing but itself, says what was measured, and runs nothing."""

import csv
import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.datasets import load
from lenet.data.idx import write_idx
from lenet.data.imageset import ImageSet
from lenet.errors import DataError, RunError
from lenet.insight.diagnosis import diagnose
from lenet.insight.report import list_confusions, write_report
from lenet.models.checkpoint import load_checkpoint
from lenet.training.evaluation import evaluate
from lenet.training.recipes import RECIPES
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training

HOSTILE = (
    "<script>document.title='taken'</script><img src=http://127.0.0.1:9/x.png onerror=alert(1)>",
    "\"' onmouseover='alert(1)' style='background:url(http://127.0.0.1:9/y)'",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; </style></title> ]]> <!-- \u202edesrever",
)


def finish(folder: RunFolder) -> RunFolder:
    for _ in run_training(folder):
        pass
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on digits with validation, three epochs."""
    recipe = RECIPES["quick"].override({"epochs": 3, "validation": 150, "lr": 0.004})
    return finish(begin_run(recipe, device="cpu", runs_dir=tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="session")
def written(run: RunFolder) -> Path:
    """The run's report, in its folder."""
    return write_report(run)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, bars: ImageSet) -> RunFolder:
    """A run whose classes, folder, source and environment are called by somebody who means harm."""
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "bars.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for number, (image, label) in enumerate(zip(bars.images, bars.labels.tolist(), strict=True)):
            Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")
            writer.writerow([f"{number}.png", HOSTILE[label]])
    recipe = RECIPES["quick"].override({"epochs": 2, "data": str(folder / "bars.csv")})
    begun = finish(begin_run(recipe, device="cpu", runs_dir=folder / "runs"))
    renamed = begun.path.rename(folder / "<script>alert(1)<script> & 'run'")
    plan = json.loads((renamed / "recipe.json").read_text())
    plan["recipe"] |= {"name": HOSTILE[1], "source": HOSTILE[0], "published": {HOSTILE[2]: HOSTILE[0]}}
    (renamed / "recipe.json").write_text(json.dumps(plan))
    (renamed / "environment.json").write_text(json.dumps({HOSTILE[0]: HOSTILE[2], "no text": "\udcff"}))
    history = (renamed / "history.jsonl").read_text().splitlines()
    faulty = [json.dumps(json.loads(line) | {"test_loss": float("nan")}) for line in history[:1]]
    (renamed / "history.jsonl").write_text("\n".join([*faulty, *history[1:]]) + "\n")
    return RunFolder(renamed)


def test_it_opens_in_a_browser_and_asks_for_nothing(browser: Any, written: Path):
    page = browser.open(written.as_uri())
    assert page.complaints == []
    assert {address.partition(":")[0] for address in page.requests} <= {"file", "data"}
    assert [address for address in page.requests if address.startswith("file:")] == [written.as_uri()]
    assert page.ask("document.title") == "quick-digits-0 · LeNet report"
    assert page.ask("document.scripts.length") == 0
    assert page.ask("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert page.ask("document.images.length") > 200


def test_the_browser_would_have_told(browser: Any, tmp_path: Path):
    """The two tests above it can fail: a page that loads and runs things is found out."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('here'); nothing()</script>")
    page = browser.open(bad.as_uri())
    assert "http://127.0.0.1:9/x.png" in page.requests
    assert len(page.complaints) >= 3


def test_its_policy_forbids_what_would_be_put_in(browser: Any, written: Path, tmp_path: Path):
    """Even where escaping failed, nothing would be loaded or run."""
    text = written.read_text("utf-8")
    put_in = "<script>document.title='taken'</script><img src='http://127.0.0.1:9/x.png' style='color:red'>"
    (tmp_path / "worse.html").write_text(text.replace("</body>", f"{put_in}</body>"), "utf-8")
    page = browser.open((tmp_path / "worse.html").as_uri())
    assert page.ask("document.title") != "taken"
    refused = [text for text in page.complaints if "Content Security Policy" in text]
    assert len(refused) >= 3
    assert page.ask("[...document.images].filter(image => !image.naturalWidth).length") == 1


@pytest.fixture(scope="session")
def hostile(hostile_run: RunFolder) -> Path:
    return write_report(hostile_run)


def test_hostile_names_are_text(browser: Any, hostile_run: RunFolder, hostile: Path):
    assert hostile == hostile_run.path / "report.html"
    page = browser.open(hostile.as_uri())
    assert page.complaints == []
    assert {address.partition(":")[0] for address in page.requests} <= {"file", "data"}
    assert page.ask("document.scripts.length") == 0
    handlers = (
        "[...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => n.startsWith('on')))"
    )
    assert page.ask(f"{handlers}.length") == 0
    text = page.ask("document.body.textContent")
    for name in HOSTILE:
        assert name in text


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_window_and_the_light(browser: Any, written: Path, hostile: Path, width: int):
    for path in (written, hostile):
        page = browser.open(path.as_uri())
        shades = []
        for dark in (False, True):
            page.show(width, dark)
            assert page.ask("document.documentElement.scrollWidth") <= width
            pixels = np.asarray(Image.open(io.BytesIO(page.photograph())).convert("L"))
            assert pixels.shape[1] == width
            shades.append(np.median(pixels))
        assert shades[0] > 240
        assert shades[1] < 40


def test_on_paper(browser: Any, written: Path):
    page = browser.open(written.as_uri())
    page.show(1280, dark=True)
    content = page.print()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3
    page.browser.call("Emulation.setEmulatedMedia", page.session, media="print")
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_it_says_what_was_measured(run: RunFolder, written: Path):
    text = written.read_text("utf-8")
    evaluation = evaluate(load_checkpoint(run.best), load("digits", "test"))
    told = run.read_evaluation()
    assert told is not None
    assert told["accuracy"] == evaluation.accuracy
    assert f"{100 * evaluation.accuracy:.2f}&nbsp;%" in text
    wrong = evaluation.count - sum(row[n] for n, row in enumerate(evaluation.confusion))
    assert f"360 images, {wrong} read wrong" in text
    assert "lenet train quick --epochs 3 --lr 0.004 --validation 150 --seed 0 --device cpu" in text
    assert "have changed since" not in text
    assert str(run.path.parent) not in text
    assert text.count("<tr>") >= 20


def test_it_shows_what_the_doctor_finds(written: Path, tmp_path: Path):
    assert "No fault" in written.read_text("utf-8")
    recipe = RECIPES["quick"].override({"epochs": 2, "lr": 0.3})
    faulty = finish(begin_run(recipe, device="cpu", runs_dir=tmp_path))
    (fault,) = diagnose(faulty).faults
    text = unescape(write_report(faulty).read_text("utf-8"))
    assert "No fault" not in text
    assert fault.what[1:] in text
    assert fault.remedy in text


def test_equal_runs_have_equal_reports(run: RunFolder, written: Path, tmp_path: Path):
    one = written.read_bytes()
    assert one == write_report(run, tmp_path / "again.html").read_bytes()
    assert len(one) < 1_000_000
    assert b"http:" not in one.replace(b"http-equiv", b"")
    assert b"https:" not in one


def test_other_figures_than_the_run_noted_are_told(run: RunFolder, tmp_path: Path):
    noted = (run.path / "evaluation.json").read_text()
    try:
        (run.path / "evaluation.json").write_text(json.dumps(json.loads(noted) | {"accuracy": 0.5}))
        assert "have changed since" in write_report(run, tmp_path / "a.html").read_text("utf-8")
    finally:
        (run.path / "evaluation.json").write_text(noted)


def test_the_most_frequent_confusions_come_first(run: RunFolder):
    evaluation = evaluate(load_checkpoint("mnist"), load("digits", "train"))
    rows = list_confusions(evaluation)
    counts = np.array(evaluation.confusion)
    np.fill_diagonal(counts, 0)
    assert rows[0][2] == counts.max()
    assert [row[2] for row in rows] == sorted(counts.ravel(), reverse=True)[: len(rows)]
    for true, called, count, share in rows:
        assert counts[int(true), int(called)] == count
        assert share == count / evaluation.per_class[int(true)].count


def test_what_has_no_epoch_has_no_report(tmp_path: Path):
    begun = begin_run(RECIPES["quick"], device="cpu", runs_dir=tmp_path)
    with pytest.raises(RunError, match="no epoch is finished"):
        write_report(begun)
    with pytest.raises(RunError, match="no run folder"):
        write_report(RunFolder(tmp_path))
    assert not list(tmp_path.rglob("report.html"))


def test_data_that_have_gone(run: RunFolder, tmp_path: Path, bars_folder: Path):
    recipe = RECIPES["quick"].override({"epochs": 1, "data": str(bars_folder)})
    own = finish(begin_run(recipe, device="cpu", runs_dir=tmp_path / "runs"))
    plan = (own.path / "recipe.json").read_text()
    (own.path / "recipe.json").write_text(plan.replace(str(bars_folder), str(tmp_path / "gone")))
    with pytest.raises(DataError, match="gone"):
        write_report(own)


def test_a_full_disk_leaves_the_old_report(run: RunFolder, tmp_path: Path, full_disk: Any):
    path = tmp_path / "report.html"
    path.write_text("the old one")
    with full_disk(20_000), pytest.raises(OSError, match=r"large|space"):
        write_report(run, path)
    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_many_classes_and_maps_are_cut_and_it_says_so(tmp_path: Path):
    """Of forty classes no matrix, of forty maps the first; and the page stays of a size to send."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 400), ("t10k", 120)):
        images = torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)
        write_idx(tmp_path / f"many/{split}-images-idx3-ubyte", images)
        labels = torch.arange(count, dtype=torch.uint8) % 40
        write_idx(tmp_path / f"many/{split}-labels-idx1-ubyte", labels)
    changes = {"epochs": 1, "data": str(tmp_path / "many"), "channels": (40, 12), "hidden": (500,)}
    recipe = RECIPES["quick"].override(changes)
    text = write_report(finish(begin_run(recipe, device="cpu", runs_dir=tmp_path))).read_text("utf-8")
    assert 'class="matrix"' not in text
    assert "conv1: 40 maps" in text
    assert "the first 32 maps" in text
    assert "kernels over the first 8 of 40 maps" in text
    assert len(text) < 1_500_000
