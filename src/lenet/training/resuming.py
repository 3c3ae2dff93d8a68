"""Resumes a run after its last epoch or a kept epoch, and checks that its files belong together."""

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lenet.data.imageset import ImageSet
from lenet.data.sources import resolve_data
from lenet.errors import CheckpointError, DeviceError, RunError
from lenet.files import write_bytes
from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.models.network import LeNet
from lenet.processes import find_device
from lenet.training.history import hash_history, write_history
from lenet.training.plan import Plan
from lenet.training.run_folder import RunFolder, create_run, make_card
from lenet.training.run_state import check_ties, read_state, read_state_card
from lenet.training.start import TrainingState

KEPT = re.compile(r"epoch-([0-9]{3,6})\.safetensors")


def open_run(path: Path, epochs: int | None = None, given: Mapping[str, Any] | None = None) -> RunFolder:
    """The run to resume: the run folder `path`, or a new one that continues after a kept epoch.

    Args:
        path: a run folder; or RUN/epoch-005.safetensors, for which the new folder RUN-from-005 (and a number
            where that is taken) gets the plan, the history, the checkpoints and the state up to this epoch.
        epochs: the number of epochs in all, where it is not the planned one.
        given: values that the caller believes were planned: recipe, data, seed, device, or any setting of
            the recipe; None says nothing.

    Raises RunError when `path` is no run, when something else was planned, or when the schedule depends on
    the number of epochs.
    """
    folder = RunFolder(path if path.is_dir() or not path.is_file() else path.parent)
    if path.is_file() and not (KEPT.fullmatch(path.name) and (folder.path / "recipe.json").exists()):
        raise RunError(f"{path} cannot be resumed; give a run folder, or an epoch-NNN.safetensors in one")
    plan = folder.read_plan()
    _check_given(path, plan, given or {})
    epochs = plan.recipe.epochs if epochs is None else epochs
    replace(plan.recipe, epochs=epochs)  # raises where it is no number of epochs
    if epochs != plan.recipe.epochs and plan.recipe.schedule not in ("constant", "step", "1998"):
        raise RunError(
            f"{path}: its {plan.recipe.schedule} schedule was laid out for {plan.recipe.epochs} epochs; "
            "begin a new run"
        )
    if path.is_file():
        return _branch(folder, path, epochs)
    if epochs != plan.recipe.epochs:
        finished = len(folder.read_history())
        if epochs < finished:
            raise RunError(f"{path} has finished {finished} epochs; `epochs` must be more")
        with folder.alone():
            folder.copy_plan(folder, epochs)
            (path / "evaluation.json").unlink(missing_ok=True)
            folder.calibrated.unlink(missing_ok=True)
    return folder


def restore(folder: RunFolder, state: TrainingState[LeNet], plan: Plan, data: ImageSet) -> None:
    """Bring `state`, freshly started, to the last finished epoch; all files of the run must belong together.

    A kill between two files is repaired: a longer history is cut to the state's epoch, and checkpoints are
    written from the state. Raises RunError when the plan, the history or the best checkpoint are not those of
    the state, or when this machine computes other bits; CheckpointError when the state is damaged.
    """
    history = folder.read_history()
    if not folder.state.exists():
        if len(history) > 1:
            raise RunError(f"{folder.state} is missing, and resuming needs it; begin a new run")
        return  # the first epoch was not finished
    digest, epochs = read_state(folder.state, state, folder.read_ties()), state.epoch
    if len(history) < epochs:
        raise RunError(
            f"{folder.history} holds {len(history)} of {epochs} epochs; restore it, or begin a new run"
        )
    if digest not in (None, hash_history(history[:epochs])):
        raise RunError(f"{folder.history} was edited; restore it, or begin a new run")
    if len(history) > epochs:
        write_history(folder.history, history[:epochs])
    if epochs and not _holds(folder.last, state):
        save_checkpoint(folder.last, state.averaged, make_card(history[epochs - 1], plan, data))
    if epochs and plan.recipe.validation:
        _restore_best(folder, state, plan)


def _check_given(path: Path, plan: Plan, given: Mapping[str, Any]) -> None:
    """Raise RunError where a value was not planned so."""
    planned = {"recipe": plan.recipe.name, "data": plan.recipe.data, "seed": plan.seed, "device": plan.device}
    for name, value in given.items():
        if value is None:
            continue
        if name == "data":
            value = resolve_data(value)  # as the plan spells it
        if name == "device":
            with suppress(DeviceError):  # a device that is not here is none that was planned
                value = str(find_device(value))
        is_same = (
            value == planned[name] if name in planned else plan.recipe.override({name: value}) == plan.recipe
        )
        if not is_same:
            raise RunError(f"{path} is resumed as planned, with more epochs at most; `{name}` was not so")


def _branch(run: RunFolder, checkpoint: Path, epochs: int) -> RunFolder:
    """A new run folder that continues `run` after the epoch of `checkpoint`."""
    number = int(checkpoint.stem.removeprefix("epoch-"))
    state = run.kept(number, "state")
    if not state.exists():
        raise RunError(f"{checkpoint}: the state of this epoch was not kept; resume {run.path} instead")
    check_ties(state, card := read_state_card(state), run.read_ties())
    history = run.read_history(number)
    if card.get("epoch") != number or card.get("history_sha256") != hash_history(history):
        raise RunError(f"{state} does not belong to {run.history}; begin a new run")
    if number >= epochs:
        raise RunError(f"{checkpoint} is the last of {epochs} epochs; give more with `epochs={number + 1}`")

    def fill(folder: RunFolder) -> None:
        folder.copy_plan(run, epochs)
        folder.write_environment()
        if run.initial.exists():
            shutil.copyfile(run.initial, folder.initial)
        for teacher in run.path.glob("teacher-*.safetensors"):
            shutil.copyfile(teacher, folder.path / teacher.name)
        if run.corrections.is_dir():
            shutil.copytree(run.corrections, folder.corrections)
        for epoch in range(1, number + 1):
            for kind in ("epoch", "state"):
                if run.kept(epoch, kind).exists():
                    shutil.copyfile(run.kept(epoch, kind), folder.kept(epoch, kind))
        write_history(folder.history, history)
        shutil.copyfile(state, folder.state)

    path = run.path.resolve()
    branch = create_run(path.with_name(f"{path.name}-from-{number:03d}"), fill)
    return RunFolder(run.path.parent / branch.path.name) if run.path.name else branch


def _holds(file: Path, state: TrainingState[LeNet]) -> bool:
    """True where a checkpoint holds the epoch and the weights of the state."""
    try:
        kept = load_checkpoint(file)
    except CheckpointError:
        return False
    own = kept.model.state_dict()
    weights = {name: value.cpu() for name, value in state.averaged.state_dict().items()}
    is_equal = own.keys() == weights.keys() and all(torch.equal(own[name], weights[name]) for name in own)
    return is_equal and kept.card.get("epoch") == state.epoch


def _restore_best(folder: RunFolder, state: TrainingState[LeNet], plan: Plan) -> None:
    """Check that best.safetensors is that of the best epoch; write it again where that epoch is kept."""
    epoch = state.best_epoch
    card = load_checkpoint(folder.best).card if folder.best.exists() else {}
    # After a kill it may be that of the epoch to repeat.
    if card.get("epoch") in (epoch, state.epoch + 1) and card.get("seed") == plan.seed:
        return
    kept = folder.last if epoch == state.epoch else folder.kept(epoch)
    if not kept.exists():
        raise RunError(f"{folder.best} is not that of epoch {epoch}; restore it, or begin a new run")
    write_bytes(folder.best, kept.read_bytes())
