"""Searches: every trial once, whoever is killed and however many processes share it."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from lenet.errors import RunError
from lenet.experiments import storage as storage_module
from lenet.experiments import trials as trials_module
from lenet.experiments.space import Search, read_space
from lenet.experiments.storage import claim_trial, find_storage, lock_storage, open_study
from lenet.experiments.trials import (
    TrialResult,
    hold_out,
    list_results,
    run_next_trial,
    run_search,
    suggest,
)
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run

optuna = pytest.importorskip("optuna", reason="the extra 'study' is not installed")
FrozenTrial, TrialState = optuna.trial.FrozenTrial, optuna.trial.TrialState


@pytest.fixture
def search(recipe: Recipe, bars_folder: Path) -> Search:
    plan = hold_out(replace(recipe, data=str(bars_folder), epochs=2))
    return Search(plan, read_space(plan, ["lr=0.001:0.1:log", "activation=relu,tanh"]), 6)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return find_storage(None, tmp_path)


def run_all(search: Search, folder: Path, url: str) -> list[TrialResult]:
    open_study(search, url)
    return list(iter(lambda: run_next_trial(search, folder, url), None))


def test_a_search_has_its_trials_and_no_more(search: Search, tmp_path: Path, url: str):
    results = run_all(search, tmp_path, url)
    assert [result.number for result in results] == list(range(6))
    assert {result.state for result in results} == {"complete"}  # two epochs, and none is pruned after one
    assert run_all(search, tmp_path, url) == []
    assert list_results(search, url) == results
    more = run_all(replace(search, trials=8), tmp_path, url)
    assert [result.number for result in more] == [6, 7]


def test_a_finished_search_starts_no_workers(
    search: Search, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse(self: SpawnProcess) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(SpawnProcess, "start", refuse)
    short = replace(search, trials=2)
    run_all(short, tmp_path, url)
    assert list(run_search(short, tmp_path, url, workers=2)) == []
    with pytest.raises(AssertionError, match="a process was started"):
        list(run_search(replace(search, trials=3), tmp_path, url, workers=2))


def test_equal_searches_have_equal_trials(search: Search, tmp_path: Path):
    def figures(name: str) -> list[tuple[object, ...]]:
        folder = tmp_path / name
        results = run_all(search, folder, find_storage(None, folder))
        return [(one.settings, one.state, one.validation_accuracy, one.test_accuracy) for one in results]

    assert figures("a") == figures("b")


def test_it_is_judged_by_images_held_out_of_training(search: Search, tmp_path: Path, url: str):
    assert search.recipe.validation == 9  # a tenth
    for result in run_all(search, tmp_path, url):
        assert result.run is not None
        history = RunFolder(Path(result.run)).read_history()
        assert all(epoch.test_accuracy is None for epoch in history)
        if result.state == "complete":
            assert result.validation_accuracy == max(epoch.validation_accuracy or 0 for epoch in history)


def test_settings_that_no_network_has_are_passed_over(search: Search, tmp_path: Path, url: str):
    space = read_space(search.recipe, ["kernel_size=3,5", "input_size=12,8"])
    results = run_all(replace(search, space=space, trials=8), tmp_path, url)
    assert len(results) == 8
    for result in results:
        fits = result.settings != {"kernel_size": "5", "input_size": "8"}
        assert (result.state != "fail") == fits
    assert "fail" in {result.state for result in results}


def test_a_training_that_diverges_is_the_worst(search: Search, tmp_path: Path, url: str):
    recipe = replace(search.recipe, optimizer="sgd", loss="mean-squared-error", lr=500.0)
    results = run_all(Search(recipe, read_space(recipe, ["activation=relu,elu"]), 2), tmp_path, url)
    assert [(one.state, one.validation_accuracy, one.test_accuracy) for one in results] == [
        ("complete", 0.0, None)
    ] * 2


def test_a_trial_whose_process_died_is_tried_again(
    search: Search, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    """The very same trial, with the same settings and in the same run folder."""
    open_study(search, url)
    dead = claim_trial(search, url)
    assert dead is not None
    lr = dead.suggest_float("lr", 0.001, 0.1, log=True)
    assert claim_trial(search, url).number == 1  # type: ignore[union-attr]  # also lost
    storage_module._storage.cache_clear()
    monkeypatch.setattr(storage_module, "GRACE_SECONDS", 1)
    time.sleep(2.1)  # SQLite's clock has whole seconds
    results = {result.number: result for result in run_all(search, tmp_path, url)}
    storage_module._storage.cache_clear()
    assert sorted(results) == list(range(6))
    assert results[0].settings["lr"] == lr


@pytest.fixture
def pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prune every trial after its second epoch, except trial 0."""

    def should_prune(self: optuna.pruners.MedianPruner, study: object, trial: FrozenTrial) -> bool:
        return trial.number > 0 and len(trial.intermediate_values) >= 2

    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", should_prune)


@pytest.mark.usefixtures("pruned")
def test_a_pruned_trial_trains_no_further(search: Search, tmp_path: Path, url: str):
    plan = replace(search, recipe=replace(search.recipe, epochs=5), trials=2)
    whole, stopped = run_all(plan, tmp_path, url)
    assert (whole.state, stopped.state) == ("complete", "pruned")
    assert whole.run is not None
    assert stopped.run is not None
    folders = [RunFolder(Path(run)) for run in (whole.run, stopped.run)]
    assert [len(folder.read_history()) for folder in folders] == [5, 2]
    assert folders[1].read_evaluation() is None
    assert stopped.test_accuracy is None
    assert not folders[1].is_held()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial counts as silent at once."""

    def list_running(self: object, study_id: int) -> list[int]:
        trials = self.get_all_trials(study_id, deepcopy=False)  # type: ignore[attr-defined]
        return [trial._trial_id for trial in trials if trial.state == TrialState.RUNNING]

    monkeypatch.setattr(optuna.storages.RDBStorage, "_get_stale_trial_ids", list_running)


@pytest.mark.usefixtures("impatient")
def test_a_silent_trial_whose_run_is_held_is_left_alone(search: Search, tmp_path: Path, url: str):
    """As that of a process that is stopped: no heartbeat, but it holds its run."""
    open_study(search, url)
    trial = claim_trial(search, url)
    assert trial is not None
    run = begin_run(search.recipe, device="cpu", runs_dir=tmp_path)
    trial.set_user_attr("run", str(run.path))
    with run.alone():
        other = claim_trial(search, url)
        assert other is not None
        assert other.number == 1
    again = claim_trial(search, url)
    assert again is not None
    assert again.number == 0  # its process is gone


@pytest.mark.usefixtures("impatient")
def test_the_loser_of_a_trial_takes_another(
    search: Search, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    """The owner wakes between the claim and the training."""
    monkeypatch.setattr(trials_module, "POLL_SECONDS", 0.0)
    open_study(search, url)
    owner = claim_trial(search, url)
    assert owner is not None
    recipe = search.recipe.override(suggest(search, owner))
    run = begin_run(replace(recipe, name="trial-0000"), device="cpu", runs_dir=tmp_path)
    with run.alone():
        claims = iter([owner])
        monkeypatch.setattr(
            trials_module, "claim_trial", lambda *given: next(claims, None) or claim_trial(*given)
        )
        result = run_next_trial(search, tmp_path, url)
    assert result is not None
    assert (result.number, result.state) == (1, "complete")


def test_a_trial_that_another_process_ended_keeps_its_result(
    search: Search, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    """A process wakes and continues a trial that was taken over and finished."""
    open_study(search, url)
    trial = claim_trial(search, url)
    assert trial is not None
    suggest(search, trial)
    trial.study.tell(trial, 0.25)
    monkeypatch.setattr(trials_module, "claim_trial", lambda *_: trial)
    result = run_next_trial(search, tmp_path, url)
    assert result is not None
    assert (result.number, result.state, result.validation_accuracy) == (0, "complete", 0.25)


def test_storages_that_are_not_there(search: Search, tmp_path: Path):
    for address in ("mysql://here", "trials.sqlite"):
        with pytest.raises(RunError, match="neither sqlite:///FILE nor postgresql://"):
            find_storage(address, tmp_path)
    url = find_storage("postgresql://me:secret@127.0.0.1:9/none?connect_timeout=2", tmp_path)
    with pytest.raises(RunError, match="cannot be opened") as caught:
        open_study(search, url)
    assert "secret" not in str(caught.value)
    with pytest.raises(RunError, match="cannot be opened"):
        open_study(search, f"sqlite:///{tmp_path}/no/folder/trials.sqlite")


TRIALS, EPOCHS = 8, 8
SPACE = ["lr=0.0001:0.01:log", "activation=relu,tanh"]


def command(runs: Path, data: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "lenet", "study", "--over", *SPACE,
        "--recipe", "quick", "--data", str(data), "--epochs", str(EPOCHS), "--trials", str(TRIALS),
        "--runs-dir", str(runs), *more,
    ]  # fmt: skip


def check_trials(rows: list[dict[str, Any]]) -> None:
    """All trials, once each, and each in the state that its run shows.

    Which trials are pruned depends on the order in which they end, and so on the moment of a kill. The pruner
    waits for five complete trials.
    """
    assert [row["number"] for row in rows] == list(range(TRIALS)), "none lost, none twice"
    assert len({json.dumps(row["settings"]) for row in rows}) == TRIALS
    complete = [row for row in rows if row["state"] == "complete"]
    assert len(complete) >= 5
    for row in rows:
        trained = len(RunFolder(Path(row["run"])).read_history())
        if row in complete:
            assert (trained, row["test_accuracy"] is None) == (EPOCHS, False)
        else:
            assert (row["state"], row["test_accuracy"]) == ("pruned", None)
            assert trained >= 2, "after one epoch no trial is judged"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_three_times_it_ends_with_the_trials_it_would_have_had(tmp_path: Path, bars_folder: Path):
    """SIGKILL to the command with its workers at work; one worker, so that what is drawn can be compared."""
    base = find_recipe("quick", str(bars_folder)).override({"data": str(bars_folder), "epochs": EPOCHS})
    undisturbed = Search(hold_out(base), read_space(base, SPACE), TRIALS)
    whole = run_all(undisturbed, tmp_path / "whole", find_storage(None, tmp_path / "whole"))
    for _ in range(3):
        process = subprocess.Popen(
            command(tmp_path / "killed", bars_folder, "--workers", "1"), stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("trial ")
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL
    ended = subprocess.run(
        command(tmp_path / "killed", bars_folder, "--workers", "1", "--json"), capture_output=True, check=True
    )
    rows = [[asdict(result) for result in whole], json.loads(ended.stdout)["trials"]]
    for trials in rows:
        check_trials(trials)
    for planned, done in zip(*rows, strict=True):
        assert planned["settings"] == done["settings"]
        if (planned["state"], done["state"]) == ("complete", "complete"):  # others are done before they are
            assert planned["test_accuracy"] == done["test_accuracy"]  # resumed to the same bits


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own, on a socket in a folder; the tests are skipped where there is none."""
    pytest.importorskip("psycopg")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(programs[-1]) if programs else shutil.which("initdb")
    if found is None:
        pytest.skip("no PostgreSQL server is installed")
    # Not pytest's own folder: the server's user has to get in, and a socket's path is short.
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/lenet-pg-XXXXXX"], text=True).strip())
    user: str | None = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres"
        try:
            owner = pwd.getpwnam(user)
        except KeyError:
            pytest.skip("no user to run a PostgreSQL server as")
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        path = Path(found).with_name(program)
        subprocess.run(
            [path, "-D", folder / "data", *arguments], check=True, user=user, cwd=folder,
            stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    run("initdb", "-A", "trust", "-U", "lenet", "--no-sync")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses='' -F", "start")
    try:
        yield f"postgresql://lenet@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_share_a_study_on_postgresql(tmp_path: Path, bars_folder: Path, postgres: str):
    """Begun at the same moment, each in its own folder, as on two machines; a third dies amid its work."""
    dying = subprocess.Popen(
        command(tmp_path / "dying", bars_folder, "--storage", postgres, "--workers", "2"),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    both = [
        subprocess.Popen(
            command(tmp_path / name, bars_folder, "--storage", postgres, "--workers", "1", "--json"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    assert dying.stderr is not None
    dying.stderr.readline()
    dying.kill()
    dying.stderr.close()
    dying.wait()
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    rows = [json.loads(out)["trials"] for out, _ in outputs]
    assert rows[0] == rows[1]
    check_trials(rows[0])
    done = [{line.split()[1] for line in err.splitlines() if line.startswith("trial ")} for _, err in outputs]
    assert done[0]
    assert done[1]
    assert not done[0] & done[1], "each trial was done by one of them"


@pytest.mark.slow
def test_the_lock_of_postgresql_is_held_by_one(postgres: str):
    url = find_storage(postgres, Path())
    code = (
        "from lenet.experiments.storage import lock_storage\n"
        "print('waits', flush=True)\n"
        f"with lock_storage({url!r}): print('in', flush=True)"
    )
    with lock_storage(url):
        waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waits\n"
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    assert waiting.communicate(timeout=60)[0] == "in\n"


@pytest.mark.slow
def test_workers_share_a_search(search: Search, tmp_path: Path, url: str):
    results = list(run_search(search, tmp_path, url, workers=2))
    assert sorted(result.number for result in results) == list(range(6))
