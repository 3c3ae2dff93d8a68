"""A run that is killed and resumed ends with the same bits."""

import importlib.util
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lenet.errors import RunError
from lenet.kernels.convolution import BackendChoice
from lenet.models.checkpoint import load_checkpoint, write_tensors
from lenet.models.stored import read_tensors
from lenet.training import run_state
from lenet.training.recipe import Recipe
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.run_state import STATE_FORMAT, describe_arithmetic
from lenet.training.runs import begin_run, run_training
from lenet.training.summaries import summarise_run

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


def finish(folder: RunFolder) -> RunFolder:
    for _ in run_training(folder):
        pass
    return folder


def read_checkpoints(folder: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.path.glob("*.safetensors")}


@pytest.fixture(autouse=True)
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record is an epoch, also where a busy machine is so slow that a training reports within one."""
    monkeypatch.setattr("lenet.training.loop.SECONDS_BETWEEN_STEPS", math.inf)


@pytest.fixture(scope="module")
def plan(varied: Recipe, bars_folder: Path) -> Recipe:
    return replace(varied, data=str(bars_folder), epochs=3, schedule="one-cycle")


@pytest.fixture(scope="module")
def undisturbed(plan: Recipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of the plan, only to be read."""
    return finish(begin_run(plan, device="cpu", runs_dir=tmp_path_factory.mktemp("undisturbed")))


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not here")
def test_killed_for_real_at_three_moments(tmp_path: Path):
    """SIGKILL to `python -m lenet train`, at random moments, resumed with another number of threads."""
    spec = importlib.util.spec_from_file_location("kill_and_resume", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    result = benchmark.kill_and_resume(tmp_path, kills=3, seed=0)
    assert result["summary"] == {
        "kills": 3,
        "kills_during_training": 3,
        "bits_are_equal": True,
        "checkpoints_loaded_after_kills": result["summary"]["checkpoints_loaded_after_kills"],
        "parts_left": 0,
        "every_epoch_once": True,
        "exit_code": 0,
    }, result
    assert result["summary"]["checkpoints_loaded_after_kills"] >= 3


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", range(1, 15))
def test_killed_at_every_write(
    plan: Recipe,
    undisturbed: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: int,
    moment: str,
):
    """Just before and just after each file gets its name, wherever in the run that is."""
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

    assert read_checkpoints(folder) == read_checkpoints(undisturbed)
    assert [epoch.epoch for epoch in folder.read_history()] == [1, 2, 3]
    assert not list(folder.path.glob(".*"))
    assert folder.read_evaluation() == undisturbed.read_evaluation()


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


@pytest.fixture
def half(plan: Recipe, tmp_path: Path) -> RunFolder:
    """A run of three epochs that was stopped after the second."""
    folder = begin_run(replace(plan, schedule="constant"), device="cpu", runs_dir=tmp_path / "half")
    for _ in range(2):
        next(run_training(folder))
    return folder


def change_state_card(folder: RunFolder, **changes: object) -> None:
    """Write the state again with other values on its card; None removes one."""
    tensors, card = read_tensors(folder.state, STATE_FORMAT)
    card = {name: value for name, value in (card | changes).items() if value is not None}
    write_tensors(folder.state, tensors, card)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("kernel", "set LENET_KERNEL=elsewhere, or begin a new run"),
        ("cpu", "set ATEN_CPU_CAPABILITY=elsewhere, or begin a new run"),
        ("torch", "install torch Elsewhere, or begin a new run"),
    ],
)
def test_other_arithmetic_is_refused(half: RunFolder, name: str, remedy: str):
    change_state_card(half, **{name: "Elsewhere" if name != "kernel" else "elsewhere"})
    with pytest.raises(RunError, match=f"was begun with {name} [Ee]lsewhere, and here it is .*{remedy}"):
        next(run_training(half))


def test_another_kernel_is_refused_in_one_line(
    half: RunFolder, monkeypatch: pytest.MonkeyPatch, lenet: Callable[..., Any]
):
    begun = describe_arithmetic("cpu")["kernel"]
    monkeypatch.setattr(run_state, "explain_backend", lambda: BackendChoice("another", "for this test"))
    outcome = lenet("train", "--resume", half.path)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert f"set LENET_KERNEL={begun}, or begin a new run" in outcome.err
    assert describe_arithmetic("cuda")["kernel"] == "off"  # the kernel is for the CPU


def test_an_edited_plan_is_refused(half: RunFolder):
    file = half.path / "recipe.json"
    values = json.loads(file.read_text())
    for change in ({"lr": 0.5}, {"batch_size": 7}, {"momentum": 0.5}):
        file.write_text(json.dumps({**values, "recipe": {**values["recipe"], **change}}))
        with pytest.raises(RunError, match=r"recipe.json was edited, or the state is that of another run"):
            next(run_training(half))
    file.write_text(json.dumps({**values, "seed": 1}))
    with pytest.raises(RunError, match=r"recipe.json was edited"):
        next(run_training(half))
    file.write_text(json.dumps(values))  # spaces are not settings
    assert len(finish(half).read_history()) == 3


def test_the_state_of_another_run_is_refused(half: RunFolder, tmp_path: Path):
    other = begin_run(half.read_plan().recipe, seed=1, device="cpu", runs_dir=tmp_path / "other")
    next(run_training(other))
    half.state.write_bytes(other.state.read_bytes())
    with pytest.raises(RunError, match=r"state.safetensors: not of the plan in recipe.json"):
        next(run_training(half))


def test_a_history_that_is_not_the_states(half: RunFolder):
    whole = half.history.read_text()
    rows = [json.loads(line) for line in whole.splitlines()]
    half.history.unlink()
    with pytest.raises(RunError, match=r"history.jsonl holds 0 of 2 epochs; restore it"):
        next(run_training(half))
    half.history.write_text(whole.splitlines()[0] + "\n")
    with pytest.raises(RunError, match=r"history.jsonl holds 1 of 2 epochs"):
        next(run_training(half))
    half.history.write_text("".join(json.dumps({**row, "train_loss": 0.5}) + "\n" for row in rows))
    with pytest.raises(RunError, match=r"history.jsonl was edited"):
        next(run_training(half))
    half.history.write_text(whole + json.dumps({**rows[1], "epoch": 3}) + "\n")  # a kill before the state
    assert [epoch.epoch for epoch in finish(half).read_history()] == [1, 2, 3]


def test_a_state_that_is_gone_is_missed(half: RunFolder):
    half.state.unlink()
    with pytest.raises(RunError, match=r"state.safetensors is missing"):
        next(run_training(half))


def test_checkpoints_of_other_weights_are_written_again(half: RunFolder, plan: Recipe, tmp_path: Path):
    other = finish(begin_run(half.read_plan().recipe, seed=1, device="cpu", runs_dir=tmp_path / "other"))
    half.last.write_bytes(other.last.read_bytes())
    finish(half)
    assert load_checkpoint(half.last).card["seed"] == 0
    last, best = half.last.read_bytes(), half.best.read_bytes()
    half.last.write_bytes(other.last.read_bytes())
    half.kept(load_checkpoint(half.best).card["epoch"]).write_bytes(best)
    half.best.write_bytes(other.best.read_bytes())
    finish(half)  # nothing is left to train
    assert (half.last.read_bytes(), half.best.read_bytes()) == (last, best)


def test_a_best_checkpoint_of_another_run_is_refused(plan: Recipe, tmp_path: Path):
    plan = replace(plan, lr=1e-30, ema_decay=0.0, epochs=2).override({"dropout": 0.0})
    runs = [finish(begin_run(plan, seed=seed, device="cpu", runs_dir=tmp_path)) for seed in (0, 1)]
    assert runs[0].read_history()[1].is_best is False
    runs[0].best.write_bytes(runs[1].best.read_bytes())
    with pytest.raises(RunError, match=r"best.safetensors is not that of epoch 1; restore it"):
        finish(runs[0])


def test_a_run_of_an_older_version_resumes(half: RunFolder, plan: Recipe, tmp_path: Path):
    change_state_card(half, plan_sha256=None, history_sha256=None, kernel=None, cpu=None, torch=None)
    history = half.history.read_bytes()
    half.history.unlink()
    with pytest.raises(RunError, match="holds 0 of 2 epochs"):
        next(run_training(half))
    half.history.write_bytes(history)
    alone = begin_run(half.read_plan().recipe, device="cpu", runs_dir=tmp_path / "alone")
    assert read_checkpoints(finish(half)) == read_checkpoints(finish(alone))


def test_every_kept_epoch_can_be_resumed(plan: Recipe, tmp_path: Path):
    plan = replace(plan, schedule="one-cycle", epochs=4, keep_every_epoch=True)
    run = finish(begin_run(plan, device="cpu", runs_dir=tmp_path))
    for epoch in (1, 2, 3):
        branch = open_run(run.kept(epoch))
        assert branch.path == tmp_path / f"{run.path.name}-from-{epoch:03d}"
        assert [row.epoch for row in branch.read_history()] == list(range(1, epoch + 1))
        assert read_checkpoints(finish(branch)) == read_checkpoints(run)
        assert branch.read_evaluation() == run.read_evaluation()
    assert open_run(run.kept(2)).path.name == f"{run.path.name}-from-002-2"
    with pytest.raises(RunError, match="is the last of 4 epochs"):
        open_run(run.kept(4))
    with pytest.raises(RunError, match="one-cycle schedule was laid out for 4 epochs"):
        open_run(run.kept(2), epochs=6)


def test_a_kept_epoch_can_be_resumed_for_longer(plan: Recipe, tmp_path: Path):
    plan = replace(plan, schedule="constant", keep_every_epoch=True)
    long = finish(begin_run(replace(plan, epochs=4), device="cpu", runs_dir=tmp_path / "long"))
    run = finish(begin_run(plan, device="cpu", runs_dir=tmp_path))
    before = read_checkpoints(run)
    branch = finish(open_run(run.kept(3), epochs=4))
    for file in (long.last, long.state, long.kept(4), long.kept(4, "state"), long.best):
        assert (branch.path / file.name).read_bytes() == file.read_bytes()
    assert read_checkpoints(run) == before
    with pytest.raises(RunError, match="`seed` was not so"):
        open_run(run.kept(3), epochs=4, given={"seed": 5})


def test_resumed_with_the_words_it_was_begun_with(plan: Recipe, tmp_path: Path, bars_folder: Path):
    """The plan has the whole path and the device that was found."""
    own = os.path.relpath(bars_folder)
    run = begin_run(replace(plan, data=own), device="auto", runs_dir=tmp_path)
    assert open_run(run.path, given={"data": own, "device": "auto"}).path == run.path
    with pytest.raises(RunError, match="`data` was not so"):
        open_run(run.path, given={"data": str(tmp_path)})


def test_epochs_that_cannot_be_resumed(plan: Recipe, tmp_path: Path):
    plan = replace(plan, schedule="constant", keep_every_epoch=True, epochs=2)
    run = finish(begin_run(plan, device="cpu", runs_dir=tmp_path))
    stray = tmp_path / "epoch-001.safetensors"
    stray.write_bytes(run.kept(1).read_bytes())
    for file in (stray, run.last, run.state, run.path / "recipe.json"):
        with pytest.raises(RunError, match="cannot be resumed; give a run folder, or an epoch-NNN"):
            open_run(file)
    with pytest.raises(RunError, match="is no run folder"):
        open_run(run.path / "epoch-009.safetensors")
    run.kept(1, "state").write_bytes(run.kept(2, "state").read_bytes())
    with pytest.raises(RunError, match="does not belong to"):
        open_run(run.kept(1))
    run.kept(1, "state").unlink()
    with pytest.raises(RunError, match="the state of this epoch was not kept"):
        open_run(run.kept(1))
    assert [path for path in tmp_path.iterdir() if "-from-" in path.name or path.name.startswith(".")] == []
