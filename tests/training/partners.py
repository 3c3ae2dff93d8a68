"""What two processes tell each other; run by `test_team.py`, once for each rank."""

import os
import sys

import pytest
import torch

from lenet.data.datasets import load
from lenet.errors import DataError, RunError
from lenet.training.evaluation import compute_logits, evaluate
from lenet.training.recipes import find_recipe
from lenet.training.start import make_model
from lenet.training.team import ALONE, join_team

torch.set_num_threads(1)
with join_team() as team:
    assert (team.size, team.leads) == (2, team.rank == 0)
    assert team.gather(torch.tensor([team.rank, 7])).tolist() == [[0, 7], [1, 7]]
    assert team.tell("é" * 3 * team.rank) == ["", "ééé"]

    with team.together():
        pass
    expected = RunError if team.leads else DataError
    with pytest.raises(expected, match="the second one found a fault"), team.together():  # noqa: PT012
        if not team.leads:
            raise DataError("the second one found a fault")

    # 1,437 images are two batches of evaluation, one for each process.
    data, model = load("digits", "train"), make_model(find_recipe("quick"), 0)
    alone = compute_logits(model, data.images)
    shared = compute_logits(model, data.images, team)
    assert torch.equal(shared.view(torch.int32), alone.view(torch.int32))
    assert evaluate(model, data, team=team) == evaluate(model, data, team=ALONE)

    if not team.leads:
        os._exit(9)  # as a kill: nothing is told to the other
    with pytest.raises(RunError, match="another process of this training has ended"):  # noqa: PT012
        while True:
            team.gather(torch.zeros(1))
    sys.exit(5)
