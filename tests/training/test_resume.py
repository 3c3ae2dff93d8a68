"""A run that is killed and resumed ends with the same bits."""

import importlib.util
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lenet.errors import RunError
from lenet.models.checkpoint import load_checkpoint
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, open_run, run_training, summarise_run

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


def finish(folder: RunFolder) -> RunFolder:
    for _ in run_training(folder):
        pass
    return folder


def read_checkpoints(folder: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.path.glob("*.safetensors")}


@pytest.fixture
def plan(varied: Recipe, bars_folder: Path) -> Recipe:
    return replace(varied, data=str(bars_folder), epochs=3, schedule="one-cycle")


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not here")
def test_killed_for_real_at_six_moments(tmp_path: Path):
    """SIGKILL to `python -m lenet train`, at random moments, resumed with another number of threads."""
    spec = importlib.util.spec_from_file_location("kill_and_resume", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    result = benchmark.kill_and_resume(tmp_path, kills=6, seed=0)
    assert result["summary"] == {
        "kills": 6,
        "kills_during_training": 6,
        "bits_are_equal": True,
        "checkpoints_loaded_after_kills": result["summary"]["checkpoints_loaded_after_kills"],
        "parts_left": 0,
        "every_epoch_once": True,
        "exit_code": 0,
    }, result
    assert result["summary"]["checkpoints_loaded_after_kills"] >= 6


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", range(1, 15))
def test_killed_at_every_write(
    plan: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int, moment: str
):
    """Just before and just after each file gets its name, wherever in the run that is."""
    alone = finish(begin_run(plan, device="cpu", runs_dir=tmp_path / "alone"))
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path / "killed")
    rename, count = Path.replace, 0

    def rename_and_die(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == write and moment == "before":
            raise Killed
        renamed = rename(self, target)
        if count == write:
            raise Killed
        return renamed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", rename_and_die)
        try:
            finish(folder)
        except Killed:
            (folder.path / ".last.safetensors.abc.part").write_bytes(b"half")
        else:
            pytest.skip(f"the run writes {count} files")
    for name in read_checkpoints(folder).keys() - {"state.safetensors"}:
        load_checkpoint(folder.path / name)
    finish(open_run(folder.path))

    assert read_checkpoints(folder) == read_checkpoints(alone)
    assert [epoch.epoch for epoch in folder.read_history()] == [1, 2, 3]
    assert not list(folder.path.glob(".*"))
    assert folder.read_evaluation() == alone.read_evaluation()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimiser_goes_on_as_it_was(plan: Recipe, tmp_path: Path, optimizer: Any):
    plan = replace(plan, optimizer=optimizer, momentum=0.9 if optimizer == "sgd" else 0.0)
    alone = finish(begin_run(plan, device="cpu", runs_dir=tmp_path / "alone"))
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path / "stopped")
    for _ in range(3):  # one epoch each time
        next(run_training(folder))
        assert read_checkpoints(folder) != read_checkpoints(alone) or _ == 2
    finish(folder)
    assert read_checkpoints(folder) == read_checkpoints(alone)


def test_patience_is_remembered(plan: Recipe, tmp_path: Path):
    plan = replace(plan, lr=1e-30, ema_decay=0.0, epochs=20, patience=3).override({"dropout": 0.0})
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path)
    next(run_training(folder))
    next(run_training(folder))
    finish(folder)
    assert [epoch.is_best for epoch in folder.read_history()] == [True, False, False, False]
    finish(folder)
    assert len(folder.read_history()) == 4


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_more_epochs_than_planned(plan: Recipe, tmp_path: Path, schedule: Any):
    plan = replace(plan, schedule=schedule, step_epochs=2, epochs=2)
    short = finish(begin_run(plan, device="cpu", runs_dir=tmp_path / "short"))
    assert summarise_run(short).is_finished
    long = finish(begin_run(replace(plan, epochs=5), device="cpu", runs_dir=tmp_path / "long"))
    extended = open_run(short.path, epochs=5)
    assert not summarise_run(extended).is_finished
    assert read_checkpoints(finish(extended)) == read_checkpoints(long)
    assert summarise_run(extended).test_accuracy == summarise_run(long).test_accuracy


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_a_schedule_that_was_laid_out_cannot_be_extended(plan: Recipe, tmp_path: Path, schedule: Any):
    folder = finish(begin_run(replace(plan, schedule=schedule), device="cpu", runs_dir=tmp_path))
    before = (folder.path / "recipe.json").read_bytes()
    with pytest.raises(RunError, match=f"its {schedule} schedule was laid out for 3 epochs"):
        open_run(folder.path, epochs=9)
    assert (folder.path / "recipe.json").read_bytes() == before
    open_run(folder.path, epochs=3)  # as planned


def test_fewer_epochs_than_finished(plan: Recipe, tmp_path: Path):
    folder = finish(begin_run(replace(plan, schedule="constant"), device="cpu", runs_dir=tmp_path))
    with pytest.raises(RunError, match="has finished 3 epochs"):
        open_run(folder.path, epochs=2)


def test_data_that_changed(plan: Recipe, tmp_path: Path, bars_folder: Path):
    own = tmp_path / "own"
    own.mkdir()
    for file in bars_folder.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    folder = begin_run(replace(plan, data=str(own)), device="cpu", runs_dir=tmp_path)
    next(run_training(folder))
    images = own / "train-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[100] ^= 1
    images.write_bytes(content)
    with pytest.raises(RunError, match="is not what the run began with; begin a new one"):
        next(run_training(folder))


def test_one_process_at_a_time(plan: Recipe, tmp_path: Path):
    plan = replace(plan, schedule="constant")
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path)
    training = run_training(folder)
    next(training)
    before = (folder.path / "recipe.json").read_bytes()
    with pytest.raises(RunError, match="is being trained by another process; wait for it"):
        next(run_training(RunFolder(folder.path)))
    with pytest.raises(RunError, match="is being trained by another process; wait for it"):
        open_run(folder.path, epochs=50)
    assert (folder.path / "recipe.json").read_bytes() == before
    assert len(list(training)) == 2
    finish(RunFolder(folder.path))


def test_a_state_says_what_it_holds(plan: Recipe, tmp_path: Path, tree: Callable[..., Any]):
    """Resuming a finished run changes nothing but its picture."""
    folder = finish(begin_run(plan, device="cpu", runs_dir=tmp_path))
    before = tree(folder.path)
    finish(open_run(folder.path))
    after = tree(folder.path)
    assert {name for name in before if before[name] != after.get(name)} <= {"curves.png"}
    assert asdict(summarise_run(folder))["is_finished"]
