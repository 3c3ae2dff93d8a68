"""How long from the start of a process to 99 % on MNIST's test images, with 61,706 parameters, on a CPU.

    python benchmarks/sprint.py

Each seed is a fresh process, `lenet train sprint --seed N`, timed from outside: Python and torch imported,
data read and checked, trained, every file of the run written, the test images measured. 'cold' are runs with
the file caches of the system emptied before (as root on Linux), 'warm' those after. Results go to
benchmarks/results/sprint.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lenet.bench.machine import describe_machine
from lenet.training.recipes import RECIPES

CACHES = Path("/proc/sys/vm/drop_caches")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cold", type=int, default=3, help="how many of them start with empty caches")
    given = parser.parse_args()
    runs = []
    for seed in range(given.seeds):
        is_cold = seed < given.cold and empty_caches()
        runs.append({"seed": seed, "cold": is_cold, **run_once(seed)})
        print(runs[-1], file=sys.stderr)
    accuracies = [run["test_accuracy"] for run in runs]
    result = {
        "what": "sprint",
        "command": f"python benchmarks/sprint.py --seeds {given.seeds}",
        "recipe": RECIPES["sprint"].to_dict(),
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_standard_deviation": statistics.stdev(accuracies),
        "seconds_cold": [run["seconds"] for run in runs if run["cold"]],
        "seconds_warm_median": statistics.median(run["seconds"] for run in runs if not run["cold"]),
        "seconds_of_training_median": statistics.median(run["seconds_of_training"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
    }
    file = Path(__file__).parent / "results" / "sprint.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{file}: {result['accuracy_mean']:.2%}, warm {result['seconds_warm_median']:.2f} s")


def run_once(seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "lenet", "train", "sprint", "--seed", str(seed), "--quiet", "--json"]
        began = time.perf_counter()
        done = subprocess.run([*command, "--runs-dir", scratch], check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    summary = json.loads(done.stdout)
    return {
        "seconds": seconds,
        "seconds_of_training": summary["seconds"],
        "test_accuracy": summary["test_accuracy"],
    }


def empty_caches() -> bool:
    """Drop the system's file caches, so that all is read from the disk; False where not allowed."""
    try:
        os.sync()
        CACHES.write_text("3\n")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
