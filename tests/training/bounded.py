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
from lenet.training.runs import begin_run, run_training, summarise_run

folder, allowance = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
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

changes = {"epochs": 1, "data": str(folder), "validation": 100, "fit": "resize", "batch_size": 50}
run = begin_run(find_recipe("d2l").override(changes), device="cpu", runs_dir=folder / "runs")
for record in run_training(run):
    last = record
print(summarise_run(run).is_finished, last.train_loss)
