"""What two processes tell each other; run by `test_team.py`, once for each rank."""

import os
import sys

import pytest
import torch

from lenet.data.datasets import load
from lenet.errors import DataError, RunError
from lenet.training.evaluation import compute_logits, evaluate
from lenet.training.process_group import ALONE, join_group
from lenet.training.recipes import find_recipe
from lenet.training.start import make_model

torch.set_num_threads(1)
with join_group() as group:
    assert (group.size, group.leads) == (2, group.rank == 0)
    assert group.gather(torch.tensor([group.rank, 7])).tolist() == [[0, 7], [1, 7]]
    assert group.tell("é" * 3 * group.rank) == ["", "ééé"]

    with group.together():
        pass
    expected = RunError if group.leads else DataError
    with pytest.raises(expected, match="the second one found a fault"), group.together():  # noqa: PT012
        if not group.leads:
            raise DataError("the second one found a fault")

    # 1,437 images are two batches of evaluation, one for each process.
    data, model = load("digits", "train"), make_model(find_recipe("quick"), 0)
    alone = compute_logits(model, data.images)
    shared = compute_logits(model, data.images, group)
    assert torch.equal(shared.view(torch.int32), alone.view(torch.int32))
    assert evaluate(model, data, group=group) == evaluate(model, data, group=ALONE)

    if not group.leads:
        os._exit(9)  # as a kill: nothing is told to the other
    with pytest.raises(RunError, match="another process of this training has ended"):  # noqa: PT012
        while True:
            group.gather(torch.zeros(1))
    sys.exit(5)
