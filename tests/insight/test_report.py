"""The report is one page that needs nothing but itself, says what was measured, and runs nothing."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.data.datasets import load
from lenet.data.idx import write_idx
from lenet.data.imageset import ImageSet, spread
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


@dataclass(frozen=True)
class Visit:
    """What came of opening a page: every request, and whatever the browser complained about."""

    page: Any
    requests: list[str]
    complaints: list[str]

    def ask(self, expression: str) -> Any:
        """The value of some JavaScript in the page."""
        return self.page.evaluate(expression)

    def show(self, width: int, dark: bool) -> None:
        """Lay the page out for a window of this width, in light or in dark colours."""
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.set_viewport_size({"width": width, "height": 900})


Open = Callable[[Path], Visit]


@pytest.fixture
def visit(chromium: Any) -> Iterator[Open]:
    """Opens a file in a browser and waits until all of it is there."""
    context = chromium.new_context(locale="en-US")
    context.set_default_timeout(20_000)

    def opened(path: Path) -> Visit:
        page, requests, complaints = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_timeout(300)  # what is loaded late
        return Visit(page, requests, complaints)

    yield opened
    context.close()


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


def test_it_opens_in_a_browser_and_asks_for_nothing(visit: Open, written: Path):
    visited = visit(written)
    assert visited.complaints == []
    assert {address.partition(":")[0] for address in visited.requests} <= {"file", "data"}
    assert [address for address in visited.requests if address.startswith("file:")] == [written.as_uri()]
    assert visited.ask("document.title") == "quick-digits-0 · LeNet report"
    assert visited.ask("document.scripts.length") == 0
    assert visited.ask("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert visited.ask("document.images.length") > 200


def test_the_browser_would_have_told(visit: Open, tmp_path: Path):
    """The tests beside it can fail: a page that loads and runs things is found out."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('here'); nothing()</script>")
    visited = visit(bad)
    assert "http://127.0.0.1:9/x.png" in visited.requests
    assert len(visited.complaints) >= 3


def test_its_policy_forbids_what_would_be_put_in(visit: Open, written: Path, tmp_path: Path):
    """Even where escaping failed, nothing would be loaded or run."""
    text = written.read_text("utf-8")
    put_in = "<script>document.title='taken'</script><img src='http://127.0.0.1:9/x.png' style='color:red'>"
    (tmp_path / "worse.html").write_text(text.replace("</body>", f"{put_in}</body>"), "utf-8")
    visited = visit(tmp_path / "worse.html")
    assert visited.ask("document.title") != "taken"
    refused = [text for text in visited.complaints if "Content Security Policy" in text]
    assert len(refused) >= 3
    assert visited.ask("[...document.images].filter(image => !image.naturalWidth).length") == 1


@pytest.fixture(scope="session")
def hostile(hostile_run: RunFolder) -> Path:
    return write_report(hostile_run)


def test_hostile_names_are_text(visit: Open, hostile_run: RunFolder, hostile: Path):
    assert hostile == hostile_run.path / "report.html"
    visited = visit(hostile)
    assert visited.complaints == []
    assert {address.partition(":")[0] for address in visited.requests} <= {"file", "data"}
    assert visited.ask("document.scripts.length") == 0
    handlers = (
        "[...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => n.startsWith('on')))"
    )
    assert visited.ask(f"{handlers}.length") == 0
    text = visited.ask("document.body.textContent")
    for name in HOSTILE:
        assert name in text


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_window_and_the_light(visit: Open, written: Path, hostile: Path, width: int):
    for path in (written, hostile):
        visited = visit(path)
        shades = []
        for dark in (False, True):
            visited.show(width, dark)
            assert visited.ask("document.documentElement.scrollWidth") <= width
            pixels = np.asarray(Image.open(io.BytesIO(visited.page.screenshot())).convert("L"))
            assert pixels.shape[1] == width
            shades.append(np.median(pixels))
        assert shades[0] > 240
        assert shades[1] < 40


def test_on_paper(visit: Open, written: Path):
    visited = visit(written)
    visited.show(1280, dark=True)
    content = visited.page.pdf()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3
    visited.page.emulate_media(media="print")
    assert visited.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_it_leads_to_a_page_with_the_checkpoint_of_the_run(visit: Open, lenet: Any, run: RunFolder):
    """The page names the run and reads as many stored images right as its best weights do in Python."""
    told = lenet("report", run.path, "--out", "told.html", "--json").json
    visited = visit(Path("told.html").resolve())
    visited.page.locator("header a").click()
    visited.page.wait_for_selector("body[data-ready=yes]")
    assert visited.page.url.partition("#")[0] == Path(told["page"]).resolve().as_uri()
    assert visited.page.locator("#model").input_value() == run.path.name
    stored = load("digits", "test").subset(spread(360, 100))
    evaluation = evaluate(load_checkpoint(run.best), stored)
    right = sum(row[n] for n, row in enumerate(evaluation.confusion))
    counted = visited.page.locator("#accuracy", has_text=" of 100 ")
    assert int(counted.text_content().split()[0]) == right
    assert visited.complaints == []
    assert {address.partition(":")[0] for address in visited.requests} <= {"file", "data", "blob"}


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
