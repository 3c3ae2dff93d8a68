"""Trains on images that are larger than the memory this process may have; run by `test_beyond_memory.py`.

The bound is RLIMIT_DATA: what a process writes to memory of its own. RLIMIT_AS would count the mapped file.
"""

import resource
import sys
from pathlib import Path

import pytest
import torch

from lenet.data.datasets import load
from lenet.training.recipes import find_recipe
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.summaries import summarise_run


def train(data: str, validation: int) -> RunFolder:
    changes = {"epochs": 1, "data": data, "validation": validation, "fit": "resize", "batch_size": 50}
    run = begin_run(find_recipe("d2l").override(changes), device="cpu", runs_dir=folder / "runs")
    for _ in run_training(run):
        pass
    return run


folder, allowance = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
train("digits", 100)  # all libraries are loaded, and have the memory that they keep
status = Path("/proc/self/status").read_text().split("VmData:")[1]
limit = int(status.split()[0]) * 1024 + allowance
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

images = folder / "train-images-idx3-ubyte"
assert images.stat().st_size > 2 * allowance
with pytest.raises(MemoryError):  # the bound holds
    images.read_bytes()
data = load(folder, "train")
with pytest.raises(RuntimeError, match="memory"):
    data.subset(torch.arange(1, len(data)))  # a copy of nearly everything

summary = summarise_run(train(str(folder), 100))
print(summary.is_finished, summary.train_loss)
