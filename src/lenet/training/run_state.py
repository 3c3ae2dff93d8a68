"""state.safetensors: the weights, averages and optimiser state that resuming needs, tied to their run.

The card holds the epoch and hashes of the plan and the history, so that a state of another run, an edited
plan or an edited history is found. It also names what the bits depend on: the kernel, PyTorch's instruction
set and PyTorch's version. States of older versions hold none of these; what they hold is checked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lenet.errors import CheckpointError, RunError
from lenet.files import escape_unprintable
from lenet.kernels.convolution import explain_backend
from lenet.models.checkpoint import write_tensors
from lenet.models.network import LeNet
from lenet.models.stored import check_fit, read_tensors
from lenet.training.history import hash_json
from lenet.training.start import TrainingState

STATE_FORMAT = "lenet-state/1"
REMEDIES = {
    "kernel": "set LENET_KERNEL={0}",
    "cpu": "set ATEN_CPU_CAPABILITY={1}",
    "torch": "install torch {0}",
}


def hash_plan(values: Mapping[str, Any]) -> str:
    """SHA-256 of the values of recipe.json, without the number of epochs and the path of the data.

    The data are known by their own hash, wherever they are.
    """
    recipe = {name: value for name, value in values["recipe"].items() if name not in ("epochs", "data")}
    return hash_json({**values, "recipe": recipe})


def describe_arithmetic(device: str) -> dict[str, str]:
    """What the bits of a training on `device` depend on besides its plan."""
    kernel = explain_backend().name if device == "cpu" else "torch"
    return {
        "kernel": "off" if kernel == "torch" else kernel,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def write_state(file: Path, state: TrainingState[LeNet], ties: Mapping[str, Any]) -> None:
    """Write `state` to `file`; `ties` are the hashes and `describe_arithmetic` of its run."""
    card = {
        "format": STATE_FORMAT,
        "optimizer": type(state.optimizer).__name__,
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_accuracy": state.best_accuracy,
        "best_loss": state.best_loss,
        **ties,
    }
    write_tensors(file, collect_tensors(state.optimizer, model=state.model, averaged=state.averaged), card)


def read_state(file: Path, state: TrainingState[LeNet], ties: Mapping[str, str] | None = None) -> str | None:
    """Bring `state`, freshly started, to where the run was. Returns the hash of its history, if it holds one.

    Raises CheckpointError when the file is damaged or belongs to another network, RunError as `check_ties`.
    """
    tensors, card = read_tensors(file, STATE_FORMAT)
    if card.get("optimizer") != type(state.optimizer).__name__:
        other = escape_unprintable(str(card.get("optimizer"))[:40])
        raise CheckpointError(f"{file}: the state of another optimizer ({other})")
    check_ties(file, card, ties or {})
    for prefix, model in {"model": state.model, "averaged": state.averaged}.items():
        own = {n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")}
        check_fit(file, own, {name: value.shape for name, value in model.state_dict().items()})
        model.load_state_dict(own)
    try:
        restore_moments(state.optimizer, tensors)
        state.epoch, state.best_epoch = int(card["epoch"]), int(card["best_epoch"])
        state.best_accuracy, state.best_loss = float(card["best_accuracy"]), float(card["best_loss"])
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{file}: not a state of this run ({error}); begin the run again") from None
    return card.get("history_sha256")


def read_state_card(file: Path) -> dict[str, Any]:
    """The card of a state. Raises CheckpointError when the file is damaged or no state."""
    return read_tensors(file, STATE_FORMAT)[1]


def check_ties(file: Path, card: Mapping[str, Any], ties: Mapping[str, str]) -> None:
    """Raise RunError where the card of a state names another plan or other arithmetic than `ties`."""
    if card.get("plan_sha256") not in (None, ties.get("plan_sha256", card.get("plan_sha256"))):
        raise RunError(
            f"{file}: not of the plan in recipe.json: recipe.json was edited, or the state is that of "
            "another run; restore it, or begin a new run"
        )
    for name, remedy in REMEDIES.items():
        begun, here = card.get(name), ties.get(name)
        if begun is not None and here is not None and begun != here:
            begun = escape_unprintable(str(begun)[:40])
            raise RunError(
                f"{file.parent} was begun with {name} {begun}, and here it is {here}, which rounds "
                f"differently; {remedy.format(begun, begun.lower())}, or begin a new run"
            )


def collect_tensors(optimizer: torch.optim.Optimizer, **networks: nn.Module) -> dict[str, Tensor]:
    """Every tensor of some networks and their optimiser, by name."""
    tensors: dict[str, Tensor] = {}
    for prefix, network in networks.items():
        # Cloned, for two of them may be one network: safetensors stores no tensor twice.
        tensors |= {f"{prefix}.{name}": value.clone() for name, value in network.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for key, value in moments.items():
            if value is not None:
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    return tensors


def restore_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring an optimiser to what `collect_tensors` found. Raises KeyError or ValueError for another one's."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
