"""One training by one process and by two, on the CPU: how fast each is, and that the bits are equal.

    python benchmarks/processes.py [--rounds 3]

Three ways take turns, each a new process of `lenet train` with one thread a process: plain (whole batches),
in slices by one process, in slices by two (as torchrun starts them). Examples a second are those of each
run's fastest epoch, which other work on the machine slows least; ratios are medians over the rounds. With two
free cores, two processes at best are twice as fast as one. Writes benchmarks/results/processes.json.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from lenet.bench.machine import describe_machine

RESULT = Path(__file__).parent / "results" / "processes.json"
CASES = {
    "d2l, batches of 256": ["d2l"],
    "d2l, batches of 2048": ["d2l", "--batch-size", "2048"],
    "best (with distortions), batches of 1024": ["best", "--batch-size", "1024"],
}
WAYS = {"plain": 0, "slices, 1 process": 1, "slices, 2 processes": 2}  # under torchrun


def train(flags: list[str], processes: int, epochs: int, folder: Path) -> tuple[float, str]:
    """Examples a second of the fastest epoch, and the SHA-256 of the last checkpoint."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes else []), "-m", "lenet", "train", *flags]
    command += ["--epochs", str(epochs), "--device", "cpu", "--quiet", "--runs-dir", str(folder)]
    subprocess.run(
        command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    [run] = folder.iterdir()
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    digest = hashlib.sha256((run / "last.safetensors").read_bytes()).hexdigest()
    shutil.rmtree(folder)
    return max(epoch["examples_per_second"] for epoch in history), digest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    cases = {}
    with tempfile.TemporaryDirectory() as scratch:
        for case, flags in CASES.items():
            speeds: dict[str, list[float]] = {way: [] for way in WAYS}
            digests: dict[str, set[str]] = {way: set() for way in WAYS}
            for _ in range(given.rounds):
                for way, processes in WAYS.items():
                    speed, digest = train(flags, processes, given.epochs, Path(scratch) / "runs")
                    speeds[way].append(speed)
                    digests[way].add(digest)
            plain, one, two = speeds.values()
            cases[case] = {
                "command": shlex.join(["lenet", "train", *flags]),
                "examples_per_second": speeds,
                "one_against_plain": median(a / b for a, b in zip(one, plain, strict=True)),
                "two_against_one": median(a / b for a, b in zip(two, one, strict=True)),
                "two_against_plain": median(a / b for a, b in zip(two, plain, strict=True)),
                "sha256": {way: sorted(found) for way, found in digests.items()},
                "one_and_two_have_equal_bits": digests["slices, 1 process"] == digests["slices, 2 processes"]
                and len(digests["slices, 1 process"]) == 1,
            }
            print(case, json.dumps(cases[case]))
    result = {
        "what": "training by several processes",
        "command": shlex.join(["python", "benchmarks/processes.py", *sys.argv[1:]]),
        "epochs": given.epochs,
        "rounds": given.rounds,
        "cases": cases,
        "load_of_machine": os.getloadavg()[2],
        "machine": {**describe_machine(), "threads": 1},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
