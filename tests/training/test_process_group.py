"""Several processes train one run: the same bits for any number, killed and resumed with another number."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from lenet.cli import launching
from lenet.models.checkpoint import load_checkpoint
from lenet.training.process_group import ProcessGroup
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training

EPOCHS = 3
CHANGES: dict[str, Any] = {  # all that is random, and all that has to be remembered
    "epochs": EPOCHS, "batch_size": 50, "validation": 200, "calibrate": True, "ema_decay": 0.9,
    "dropout": 0.2, "elastic": 1.0, "degrees": 10.0, "coarseness": 0.3, "noise": 0.1, "lr": 0.003,
    "class_weights": "balanced", "clip_norm": 1.0,
}  # fmt: skip
FLAGS = [
    part
    for name, value in CHANGES.items()
    for part in ([f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)]))
]
BEGIN = ["train", "quick", *FLAGS, "--device", "cpu", "--quiet"]


def torchrun(size: int) -> list[str]:
    command = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={size}",
        "--monitor-interval=0.1",
    ]
    return [sys.executable, *command, "-m", "lenet"]


def start_ranks(size: int, arguments: list[str], folder: Path) -> list[subprocess.Popen[str]]:
    """Processes as torchrun starts them, with nobody to watch over them."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={
                **os.environ,
                **{k: str(v) for k, v in common.items()},
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            },
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finish(processes: list[subprocess.Popen[str]], seconds: float = 200) -> list[tuple[int, str, str]]:
    """Exit codes and outputs; none is left running."""
    ended = time.monotonic() + seconds
    with ExitStack() as opened:
        for process in processes:
            opened.enter_context(process)
            opened.callback(process.kill)
        outputs = [process.communicate(timeout=max(0, ended - time.monotonic())) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def find_processes_of(parent: int) -> dict[int, int]:
    """The processes that torchrun started, by rank."""
    found = {}
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [int(entry[5:]) for entry in environment if entry.startswith(b"RANK=")]
        found |= dict.fromkeys(ranks, int(child))
    return found


def hash_files(folder: RunFolder) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.path.glob("*.safetensors")
    }


@pytest.fixture(scope="module")
def plan() -> Recipe:
    return find_recipe("quick").override(CHANGES)


@pytest.fixture(scope="module")
def alone(plan: Recipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of one process in slices."""
    folder = begin_run(
        plan, device="cpu", runs_dir=tmp_path_factory.mktemp("alone"), group=ProcessGroup(is_launched=True)
    )
    for _ in run_training(folder):
        pass
    return folder


def test_a_run_in_slices_says_so(alone: RunFolder):
    assert (alone.read_plan().slices, alone.read_plan().threads) == (8, 1)
    assert load_checkpoint(alone.last).card["slices"] == 8


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_killed_with_two_processes_and_resumed_with_four(alone: RunFolder, tmp_path: Path):
    run = RunFolder(tmp_path / "runs" / alone.path.name)
    launcher = subprocess.Popen(
        [*torchrun(2), *BEGIN], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not run.history.exists() and launcher.poll() is None:
        time.sleep(0.005)
    os.kill(find_processes_of(launcher.pid)[1], signal.SIGKILL)
    [(code, out, err)] = finish([launcher], seconds=45)
    assert (code, out) == (1, ""), err
    ours = [line for line in err.splitlines() if line.startswith("lenet: ")]
    assert ours == [] or ours[0].startswith(
        ("lenet: another process of this training", "lenet: stopped; resume")
    )
    assert len(ours) <= 1
    assert 1 <= len(run.read_history()) < EPOCHS

    resumed = finish(start_ranks(4, ["-m", "lenet", "train", "--resume", str(run.path), "--quiet"], tmp_path))
    assert [code for code, _, _ in resumed] == [0] * 4, resumed
    assert "test accuracy" in resumed[0][1]
    assert {(out, err) for _, out, err in resumed[1:]} == {("", "")}
    assert hash_files(run) == hash_files(alone)
    assert run.read_evaluation() == alone.read_evaluation()
    assert [epoch.epoch for epoch in run.read_history()] == list(range(1, EPOCHS + 1))
    assert not list(run.path.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 8])  # 2 and 4 took part in the run above
def test_any_number_of_processes_ends_with_the_same_bits(alone: RunFolder, tmp_path: Path, size: int):
    [(code, _, err)] = finish([subprocess.Popen([*torchrun(size), *BEGIN], cwd=tmp_path)])
    assert code == 0, err
    run = RunFolder(tmp_path / "runs" / alone.path.name)
    assert hash_files(run) == hash_files(alone)
    assert run.read_evaluation() == alone.read_evaluation()


def test_resumed_without_torchrun(alone: RunFolder, plan: Recipe, tmp_path: Path):
    """The plan remembers the slices, and one process computes them all."""
    folder = begin_run(plan, device="cpu", runs_dir=tmp_path, group=ProcessGroup(is_launched=True))
    for record in run_training(folder):
        if type(record).__name__ == "Epoch" and record.epoch == EPOCHS - 1:
            break
    for _ in run_training(open_run(folder.path)):
        pass
    assert hash_files(folder) == hash_files(alone)


def test_two_processes_tell_each_other(tmp_path: Path):
    """Figures, texts, errors, shared evaluation, and the death of one, which the other notices by itself."""
    outcomes = finish(start_ranks(2, [str(Path(__file__).with_name("partners.py"))], tmp_path), seconds=60)
    assert [code for code, _, _ in outcomes] == [5, 9], outcomes


def test_all_gpus_of_a_machine_without_one(lenet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    outcome = lenet("train", "quick", "--device", "all")
    assert (outcome.code, outcome.err) == (
        2,
        "lenet: this machine has no GPU for --device all; take --device cpu\n",
    )


@pytest.mark.parametrize(("gpus", "processes"), [(1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (16, 8)])
def test_as_many_processes_as_can_share_a_batch(monkeypatch: pytest.MonkeyPatch, gpus: int, processes: int):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert launching.count_processes() == processes


def test_launched_processes_give_their_exit_code(workplace: Path, capfd: pytest.CaptureFixture[str]):
    """As `--device all` starts them, on the CPU. A mistake of one process ends all, and is told once."""
    assert launching.launch(2, ["train", "--data", "nothing.csv"]) == 2
    assert capfd.readouterr().err == "lenet: nothing.csv: there is no such folder or CSV\n"
