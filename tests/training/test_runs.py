"""Run folders: written whole, readable by anyone, refused in one line when damaged."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lenet.data.datasets import load
from lenet.data.imageset import fingerprint
from lenet.errors import DataError, DeviceError, DivergedError, LeNetError, RecipeError, RunError
from lenet.insight.progress import keep_curves
from lenet.models.checkpoint import load_checkpoint
from lenet.training.evaluation import compute_logits, evaluate
from lenet.training.history import read_history, write_history
from lenet.training.loop import Epoch
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.summaries import list_runs, summarise_run


def finish(folder: RunFolder) -> RunFolder:
    for _ in keep_curves(run_training(folder), folder):
        pass
    return folder


@pytest.fixture
def plan(recipe: Recipe, bars_folder: Path) -> Recipe:
    return replace(recipe, data=str(bars_folder))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, bars_folder: Path) -> RunFolder:
    """A finished run that nobody changes."""
    from lenet.models.config import LeNetConfig

    small = LeNetConfig(input_size=12, channels=(2, 3), kernel_size=3, padding=1, hidden=(8,), classes=3)
    recipe = Recipe(
        name="bars", model=small, data=str(bars_folder), epochs=3, batch_size=20, optimizer="adam", lr=0.01,
        validation=30, ema_decay=0.5, keep_every_epoch=True,
    )  # fmt: skip
    return finish(begin_run(recipe, seed=7, device="cpu", runs_dir=tmp_path_factory.mktemp("runs")))


@pytest.fixture
def damaged(finished: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the finished run, to be damaged."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in finished.path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return RunFolder(copy)


def test_a_run_folder_holds_what_it_says(finished: RunFolder, more_bars: Any):
    assert {file.name for file in finished.path.iterdir()} == {
        "recipe.json", "environment.json", "history.jsonl", "last.safetensors", "best.safetensors",
        "state.safetensors", "evaluation.json", "curves.png",
        "epoch-001.safetensors", "epoch-002.safetensors", "epoch-003.safetensors",
        "state-001.safetensors", "state-002.safetensors", "state-003.safetensors",
    }  # fmt: skip
    assert finished.path.name.startswith("bars-bars")
    assert finished.path.name.endswith("-7")
    plan = json.loads((finished.path / "recipe.json").read_text())
    assert plan["seed"] == 7
    assert plan["recipe"]["epochs"] == 3
    assert plan["recipe"]["model"]["classes"] == 3
    environment = json.loads((finished.path / "environment.json").read_text())
    assert environment["torch"] == torch.__version__
    history = [json.loads(line) for line in (finished.path / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(row["test_accuracy"] is None for row in history)  # images are held out, so test waits
    evaluation = json.loads((finished.path / "evaluation.json").read_text())
    assert evaluation["checkpoint"] == "best.safetensors"
    with Image.open(finished.path / "curves.png") as curves:
        assert curves.size[0] > 500
    measured = evaluate(load_checkpoint(finished.best), replace(more_bars, classes=("0", "1", "2")))
    assert evaluation["accuracy"] == measured.accuracy
    card = load_checkpoint(finished.path / "epoch-002.safetensors").card
    assert card["epoch"] == 2
    assert card["classes"] == ["0", "1", "2"]
    assert "seconds" not in json.dumps(card)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_run_folder_is_readable_by_others(finished: RunFolder):
    assert stat.S_IMODE(finished.path.stat().st_mode) == 0o755


def test_the_best_checkpoint_is_that_of_the_best_epoch(finished: RunFolder):
    best = max(epoch.epoch for epoch in finished.read_history() if epoch.is_best)
    assert finished.best.read_bytes() == (finished.path / f"epoch-{best:03d}.safetensors").read_bytes()
    assert finished.last.read_bytes() == (finished.path / "epoch-003.safetensors").read_bytes()


def test_a_run_is_summed_up(finished: RunFolder):
    summary = summarise_run(finished)
    history = finished.read_history()
    assert summary.epochs == 3
    assert summary.train_loss == history[-1].train_loss
    assert summary.validation_accuracy == max(epoch.validation_accuracy or 0 for epoch in history)
    assert summary.seconds == pytest.approx(sum(epoch.seconds for epoch in history))
    assert summary.examples_per_second == pytest.approx(3 * 60 / summary.seconds)
    assert summary.checkpoint == str(finished.best)
    assert (summary.is_finished, summary.seed, summary.recipe) == (True, 7, "bars")


def test_without_held_out_images_the_last_weights_count(plan: Recipe, tmp_path: Path):
    folder = finish(begin_run(plan, device="cpu", runs_dir=tmp_path))
    assert not folder.best.exists()
    assert summarise_run(folder).checkpoint == str(folder.last)
    assert folder.read_evaluation() is not None
    assert all(epoch.test_accuracy is not None for epoch in folder.read_history())


def test_a_calibrated_run_is_the_best_with_other_probabilities(plan: Recipe, tmp_path: Path):
    calibrated = replace(plan, validation=30, calibrate=True)
    folder = finish(begin_run(calibrated, device="cpu", runs_dir=tmp_path))
    assert summarise_run(folder).checkpoint == str(folder.calibrated)
    best, chosen = load_checkpoint(folder.best), load_checkpoint(folder.path)
    images = load(plan.data, "test").images
    ratio = compute_logits(best.model, images) / compute_logits(chosen.model, images)
    torch.testing.assert_close(ratio, torch.full_like(ratio, chosen.card["temperature"]), rtol=1e-3, atol=0)
    assert chosen.card["rejection"]["validation_count"] == 30
    assert {**chosen.card, **best.card} == chosen.card
    evaluation = folder.read_evaluation()
    assert evaluation is not None
    assert evaluation["checkpoint"] == "calibrated.safetensors"
    longer = open_run(folder.path, epochs=9)  # what it was fitted to is no longer the last word
    assert not longer.calibrated.exists()


def test_runs_of_one_name_get_numbers(plan: Recipe, tmp_path: Path):
    names = [begin_run(plan, device="cpu", runs_dir=tmp_path).path.name for _ in range(3)]
    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]
    assert not list(tmp_path.glob(".*"))


def test_a_plan_that_cannot_be_makes_no_folder(plan: Recipe, tmp_path: Path):
    runs_dir = tmp_path / "runs"
    attempts: list[tuple[type[LeNetError], Callable[[], RunFolder]]] = [
        (RecipeError, lambda: begin_run(plan, seed=-1, runs_dir=runs_dir)),
        (RecipeError, lambda: begin_run(plan, seed=2**64, runs_dir=runs_dir)),
        (DeviceError, lambda: begin_run(plan, device="cuda:99", runs_dir=runs_dir)),
        (DataError, lambda: begin_run(replace(plan, data="mnits"), runs_dir=runs_dir)),
        (DataError, lambda: begin_run(replace(plan, validation=90), runs_dir=runs_dir)),
        (RecipeError, lambda: begin_run(plan.override({"flip": True}), runs_dir=runs_dir)),
        (
            RecipeError,
            lambda: begin_run(replace(plan, class_weights=(1.0, 2.0, 3.0, 4.0)), runs_dir=runs_dir),
        ),
    ]
    for kind, attempt in attempts:
        with pytest.raises(kind):
            attempt()
    assert not runs_dir.exists()


def test_large_seeds_are_seeds(plan: Recipe, tmp_path: Path):
    folder = begin_run(
        replace(plan, epochs=1, validation=30), seed=2**63 - 1, device="cpu", runs_dir=tmp_path
    )
    assert summarise_run(finish(folder)).is_finished


@pytest.fixture
def explosive(plan: Recipe) -> Recipe:
    """Squared errors grow by a factor a step, until they are larger than any number."""
    return replace(plan, optimizer="sgd", lr=5.0, epochs=100, loss="mean-squared-error").override(
        {"activation": "sigmoid"}
    )


def test_a_diverged_run_keeps_its_last_good_checkpoint(explosive: Recipe, tmp_path: Path):
    folder = begin_run(explosive, device="cpu", runs_dir=tmp_path)
    with pytest.raises(DivergedError, match=r"last.safetensors holds epoch \d+$") as error:
        finish(folder)
    kept = load_checkpoint(folder.last)
    assert f"holds epoch {kept.card['epoch']}" in str(error.value)
    assert len(folder.read_history()) == kept.card["epoch"]
    assert not summarise_run(folder).is_finished
    with pytest.raises(DivergedError) as again:
        finish(open_run(folder.path))
    assert str(again.value) == str(error.value)
    assert load_checkpoint(folder.last).card == kept.card


def test_a_run_that_diverges_at_once_has_no_checkpoint(explosive: Recipe, tmp_path: Path):
    folder = begin_run(replace(explosive, lr=1000.0, batch_size=1), device="cpu", runs_dir=tmp_path)
    with pytest.raises(DivergedError, match="no epoch was finished"):
        finish(folder)
    assert summarise_run(folder).checkpoint is None


def test_a_full_disk_loses_nothing(plan: Recipe, tmp_path: Path, full_disk: Callable[[int], Any]):
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path)
    next(run_training(folder))
    before = {file.name: file.read_bytes() for file in folder.path.iterdir()}
    with full_disk(1500), pytest.raises(OSError, match="too large"):
        finish(folder)
    assert {file.name: file.read_bytes() for file in folder.path.iterdir()} == before
    assert summarise_run(finish(folder)).epochs == 3


def test_runs_are_listed_and_broken_ones_named(finished: RunFolder, damaged: RunFolder, tmp_path: Path):
    assert [run.run for run in list_runs(finished.path.parent)] == [str(finished.path)]
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "recipe.json").write_text("{}")
    good, odd = list_runs(tmp_path)
    assert (good.run, good.error) == (str(damaged.path), None)
    assert odd.run == str(tmp_path / "odd")
    assert "recipe.json: not a plan of this version" in str(odd.error)
    assert list_runs(tmp_path / "missing") == []


def test_equal_data_have_equal_fingerprints(bars: Any, more_bars: Any):
    assert fingerprint(bars) == fingerprint(replace(bars, name="elsewhere"))
    others = [more_bars, replace(bars, classes=("a", "b", "c")), replace(bars, labels=bars.labels.flip(0))]
    assert len({fingerprint(data) for data in (bars, *others)}) == 4


def test_what_is_no_run(tmp_path: Path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match="is no run folder: it has no recipe"):
            open_run(path)


def refuse(folder: RunFolder) -> str:
    """The one line that resuming the run is refused with, or nothing where it goes through."""
    try:
        finish(open_run(folder.path))
        summarise_run(folder)
    except LeNetError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["recipe.json", "history.jsonl", "evaluation.json", "state.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"[1]", b"5", b"\xff\xfe", b"null", b'{"a": 1}', b"[" * 99999]
)
def test_a_damaged_file_is_named(damaged: RunFolder, name: str, content: bytes):
    (damaged.path / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:  # the evaluation would be written anew
        if name == "evaluation.json":
            patched.setattr(RunFolder, "write_evaluation", lambda *_: None)
        message = refuse(damaged)
    assert name in message
    assert "\n" not in message


JSON_VALUES = [None, True, -1, 0, 1, 2.5, 10**30, 1e999, "", "x", [], {}]


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_value_in_a_plan_is_refused_or_trains(
    finished: RunFolder, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    plan = json.loads((finished.path / "recipe.json").read_text())
    key = data.draw(st.sampled_from([*plan, "extra"]))
    plan[key] = data.draw(st.sampled_from(JSON_VALUES))
    folder = RunFolder(tmp_path_factory.mktemp("plan"))
    (folder.path / "recipe.json").write_text(json.dumps(plan))
    folder.write_environment()
    try:
        message = refuse(folder)
    finally:
        torch.set_num_threads(1)
    assert "\n" not in message


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_value_in_a_history_is_refused_or_taken(
    finished: RunFolder, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    rows = [json.loads(line) for line in (finished.path / "history.jsonl").read_text().splitlines()]
    rows[1][data.draw(st.sampled_from([*rows[1], "extra"]))] = data.draw(st.sampled_from(JSON_VALUES))
    folder = RunFolder(tmp_path_factory.mktemp("history"))
    (folder.path / "recipe.json").write_bytes((finished.path / "recipe.json").read_bytes())
    (folder.path / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        assert summarise_run(folder).epochs == 3
    except RunError as error:
        assert "history.jsonl: damaged" in str(error)  # noqa: PT017


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=80)
def test_a_changed_bit_in_a_state_is_noticed(
    finished: RunFolder, tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
):
    content = bytearray((finished.path / "state.safetensors").read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    folder = RunFolder(tmp_path_factory.mktemp("state"))
    for name in ("recipe.json", "environment.json", "history.jsonl"):
        (folder.path / name).write_bytes((finished.path / name).read_bytes())
    (folder.path / "state.safetensors").write_bytes(content)
    folder.best.write_bytes(finished.best.read_bytes())
    assert "state.safetensors" in refuse(folder) or folder.read_evaluation() == finished.read_evaluation()


def test_a_state_of_another_network_is_refused(plan: Recipe, damaged: RunFolder, tmp_path: Path):
    other = finish(begin_run(plan.override({"hidden": (9,)}), device="cpu", runs_dir=tmp_path / "other"))
    (damaged.path / "state.safetensors").write_bytes((other.path / "state.safetensors").read_bytes())
    assert "state.safetensors" in refuse(damaged)


def test_a_state_of_another_optimiser_is_refused(damaged: RunFolder, plan: Recipe, tmp_path: Path):
    for optimizer in ("sgd", "adamw"):
        other = replace(plan, optimizer=optimizer, epochs=1, momentum=0.0)
        folder = finish(begin_run(other, device="cpu", runs_dir=tmp_path / optimizer))
        target = begin_run(plan, device="cpu", runs_dir=tmp_path / "target")
        (target.path / "state.safetensors").write_bytes((folder.path / "state.safetensors").read_bytes())
        message = refuse(target)
        assert "state of another optimizer" in message


def test_names_of_folders_may_be_any_bytes(plan: Recipe, tmp_path: Path, bars_folder: Path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xffrs \n"))
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("this system takes no such names")
    for file in bars_folder.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    folder = finish(begin_run(replace(plan, data=str(odd)), device="cpu", runs_dir=tmp_path / "runs"))
    assert summarise_run(folder).is_finished
    assert finish(open_run(folder.path)).read_plan().recipe.data == str(odd)


def test_a_folder_of_that_name_beside_does_not_hide_a_named_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    run = begin_run(RECIPES["quick"], device="cpu", runs_dir=tmp_path / "runs")
    assert run.read_plan().recipe.data == "digits"


def test_the_data_set_stands_once_in_the_name_of_a_run(tmp_path: Path):
    recipe = replace(RECIPES["quick"], name="quick-digits")
    assert begin_run(recipe, device="cpu", runs_dir=tmp_path).path.name == "quick-digits-0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", b'{"accuracy": 5.0}'),
        ("evaluation.json", b'{"accuracy": "0.5"}'),
        ("evaluation.json", b'{"accuracy": NaN}'),
        ("evaluation.json", b'{"accuracy": true}'),
        ("evaluation.json", b'{"accuracy": 0.5, "per_class": 5}'),
        ("evaluation.json", b'{"accuracy": 0.5, "per_class": [5]}'),
        ("evaluation.json", b'{"accuracy": 0.5, "per_class": [{"name": "a", "recall": 7}]}'),
    ],
)
def test_results_that_cannot_be_are_refused(damaged: RunFolder, name: str, content: bytes):
    (damaged.path / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name}: not what this package wrote"):
        summarise_run(damaged)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", 10**3999), ("epoch", 1), ("epochs", 2.5), ("seconds", 1e999), ("seconds", -1.0),
        ("train_loss", float("nan")), ("examples_per_second", 10**300), ("is_best", 1), ("train_loss", True),
    ],
)  # fmt: skip
def test_epochs_that_cannot_be_are_refused(damaged: RunFolder, name: str, value: Any):
    rows = [json.loads(line) for line in damaged.history.read_text().splitlines()]
    rows[1][name] = value
    damaged.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RunError, match=r"history.jsonl: damaged \(line 2") as caught:
        summarise_run(damaged)
    assert len(str(caught.value)) < 500


def test_a_loss_that_is_not_finite_is_null_in_json(damaged: RunFolder):
    history = damaged.read_history()
    write_history(damaged.history, [replace(history[0], validation_loss=float("inf"))])
    assert json.loads(damaged.history.read_text())["validation_loss"] is None
    assert damaged.read_history()[0].validation_loss is None


@pytest.mark.parametrize("value", [5, None, [], {}])
def test_a_hash_that_is_none_is_refused(damaged: RunFolder, value: Any):
    file = damaged.path / "recipe.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data_sha256": value}))
    with pytest.raises(RunError, match="data_sha256 is"):
        damaged.read_plan()


def test_a_message_of_other_bytes_is_read(damaged: RunFolder):
    (damaged.path / "diverged.txt").write_bytes(b"the loss\xff\nis lost\n")
    assert damaged.read_divergence() == "the loss\ufffd is lost"


def test_a_history_of_more_epochs_than_a_recipe_allows_is_refused(tmp_path: Path):
    file = tmp_path / "history.jsonl"
    file.write_text("{}\n" * 100_001)
    with pytest.raises(RunError, match="100,001 epochs; a recipe has at most 100,000"):
        read_history(file, Epoch)
