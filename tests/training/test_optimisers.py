"""PyTorch's optimisers, without the compiler that their methods import."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from lenet.training.optimisation import omit_compiler

CODE = """
import sys
from lenet.cli.app import main

sys.argv = ["lenet", "train", "quick", "--epochs", "1", "--quiet"]
try:
    main()
except SystemExit as end:
    assert not end.code
assert "torch" in sys.modules
assert "torch._dynamo" not in sys.modules
"""


def test_a_training_imports_no_compiler(workplace: Any):
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"weight_decay": 0.1}),
    ],
)
def test_steps_and_states_are_those_of_pytorch(kind: Any, options: dict[str, Any]):
    torch.manual_seed(0)
    networks = [nn.Linear(3, 2) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    optimisers = [
        make(network.parameters(), lr=0.1, **options)
        for make, network in zip((kind, omit_compiler(kind)), networks, strict=True)
    ]
    assert isinstance(optimisers[1], kind)
    assert type(optimisers[1]).__name__ == kind.__name__
    images = torch.randn(5, 3)
    for _ in range(3):
        for network, optimiser in zip(networks, optimisers, strict=True):
            optimiser.zero_grad()
            network(images).square().mean().backward()
            optimiser.step()
            optimiser.load_state_dict(optimiser.state_dict())
    assert torch.equal(networks[0].weight, networks[1].weight)
    theirs, ours = (optimiser.state_dict() for optimiser in optimisers)
    assert theirs["param_groups"] == ours["param_groups"]
    for key, moments in theirs["state"].items():
        for name, value in moments.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(ours["state"][key][name]))
