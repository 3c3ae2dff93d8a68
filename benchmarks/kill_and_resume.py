"""Kill a training again and again, at moments nobody chose, and compare what it ends with.

    python benchmarks/kill_and_resume.py --kills 20

The run has everything that is random (shuffling, distortions, dropout) or has to be remembered (the
optimiser, averaged weights, the best epoch). It is killed with SIGKILL, checked (every checkpoint that is
there must load) and resumed, with another number of threads each time. At the end its checkpoints must be
those of a run that was left alone, bit for bit.
"""

import argparse
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lenet.models.checkpoint import load_checkpoint
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe
from lenet.training.runs import begin_run, run_training

RESULT = Path(__file__).parent / "results" / "kill-and-resume.json"
CHANGES = {"validation": 200, "ema_decay": 0.99, "dropout": 0.2, "keep_every_epoch": True}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = kill_and_resume(Path(scratch), given.kills, given.seed)

    from lenet.bench.machine import describe_machine

    result["command"] = shlex.join(["python", "benchmarks/kill_and_resume.py", *sys.argv[1:]])
    RESULT.write_text(json.dumps({**result, "machine": describe_machine()}, indent=2) + "\n")
    print(json.dumps(result["summary"]))
    sys.exit(0 if result["summary"]["bits_are_equal"] else 1)


def kill_and_resume(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Train twice in `folder`, once undisturbed and once killed `kills` times; what was seen."""
    chance = random.Random(seed)
    recipe = find_recipe("quick").override({**CHANGES, "epochs": 5 * kills})
    alone = begin_run(recipe, device="cpu", runs_dir=folder / "alone")
    began = time.monotonic()
    for _ in run_training(alone):
        pass
    epoch_seconds = (time.monotonic() - began) / recipe.epochs

    flags = ["--epochs", recipe.epochs, "--validation", 200, "--ema-decay", 0.99, "--dropout", 0.2]
    begin = [
        "train",
        "quick",
        *flags,
        "--keep-every-epoch",
        "--device",
        "cpu",
        "--runs-dir",
        folder / "killed",
    ]
    run = folder / "killed" / alone.path.name
    seen = []
    for number in range(kills):
        command = ["train", "--resume", run] if number else begin
        delay = chance.uniform(0, 1.5 * epoch_seconds)
        seen.append(run_and_kill(command, run, threads=1 + number % 2, delay=delay, first=not number))
    finished = start_lenet(["train", "--resume", run], threads=2)
    _, err = finished.communicate(timeout=600)

    hashes = [hash_checkpoints(path, recipe) for path in (alone.path, run)]
    history = [json.loads(line)["epoch"] for line in (run / "history.jsonl").read_text().splitlines()]
    summary = {
        "kills": kills,
        "kills_during_training": sum(kill["was_running"] for kill in seen),
        "bits_are_equal": hashes[0] == hashes[1],
        "checkpoints_loaded_after_kills": sum(len(kill["loaded"]) for kill in seen),
        "parts_left": len(list(run.glob(".*.part"))),
        "every_epoch_once": history == list(range(1, recipe.epochs + 1)),
        "exit_code": finished.returncode,
    }
    return {
        "what": "kill and resume",
        "summary": summary,
        "kills": seen,
        "sha256": hashes[1],
        "last_words": err[-500:],
    }


def run_and_kill(
    command: list[object], run: Path, threads: int, delay: float, first: bool
) -> dict[str, object]:
    """Start or resume a run, kill it at a random moment of its training, and load what it left behind."""
    process = start_lenet(command, threads)
    assert process.stderr is not None
    if first:  # before the first epoch has ended, as soon as there is a run
        while not run.exists() and process.poll() is None:
            time.sleep(0.01)
    else:  # some time after an epoch: within the next one, or while its files are written
        process.stderr.readline()
    time.sleep(delay)
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    loaded = sorted(file.name for file in run.glob("*.safetensors") if not file.name.startswith("state"))
    for name in loaded:
        load_checkpoint(run / name)
    parts = [part.name for part in run.glob(".*.part")]
    return {
        "seconds_after_an_epoch": round(delay, 3),
        "was_running": was_running,
        "loaded": loaded,
        "parts_found": len(parts),
    }


def start_lenet(arguments: list[object], threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lenet", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def hash_checkpoints(run: Path, recipe: Recipe) -> dict[str, str]:
    names = ["last", "best", *(f"epoch-{epoch:03d}" for epoch in range(1, recipe.epochs + 1))]
    return {name: hashlib.sha256((run / f"{name}.safetensors").read_bytes()).hexdigest() for name in names}


if __name__ == "__main__":
    main()
