"""A run on disk: one folder, every file in it whole, and readable without this package.

recipe.json           what is trained: the recipe, seed, device, threads and the data's fingerprint
environment.json      on what: versions and processor
history.jsonl         one line an epoch
last.safetensors      the weights after the last finished epoch
best.safetensors      the weights of the best epoch by validation, where images are held out
calibrated.safetensors  the best, its probabilities made to fit the held-out images, where the recipe says so
epoch-001.safetensors … where the recipe keeps every epoch
state.safetensors     what resuming needs besides: optimiser, averages, the epoch
evaluation.json       the checkpoint measured on the test images
diverged.txt          what was said when the loss was no longer finite, if it came to that
curves.png
report.html           all of it on one page, by `lenet report`
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lenet
from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError, RecipeError, RunError
from lenet.files import write_text
from lenet.models.checkpoint import check_fit, read_tensors, save_checkpoint, write_tensors
from lenet.models.network import LeNet
from lenet.training.loop import Epoch
from lenet.training.randomness import check_seed
from lenet.training.recipe import Recipe
from lenet.training.start import TrainingState

STATE_FORMAT = "lenet-state/1"
MOST_THREADS = 4096


@dataclass(frozen=True)
class Plan:
    """What a run trains, decided when it begins. Raises RecipeError on values that cannot be."""

    recipe: Recipe
    seed: int
    device: str
    threads: int
    data_sha256: str

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if type(self.threads) is not int or not 1 <= self.threads <= MOST_THREADS:
            raise RecipeError(f"threads is {self.threads!r}; it must be a number from 1 to {MOST_THREADS}")
        if not isinstance(self.device, str):
            raise RecipeError(f"device is {self.device!r}; it must be a name, such as cpu")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "recipe": self.recipe.to_dict()}


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, and where things are in it."""

    path: Path

    @property
    def last(self) -> Path:
        """Checkpoint of the last finished epoch."""
        return self.path / "last.safetensors"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch by validation."""
        return self.path / "best.safetensors"

    @property
    def calibrated(self) -> Path:
        """The best checkpoint with calibrated probabilities, written at the end."""
        return self.path / "calibrated.safetensors"

    def write_plan(self, plan: Plan) -> None:
        """Write recipe.json."""
        self._write_json("recipe.json", plan.to_dict())

    def read_plan(self) -> Plan:
        """Read recipe.json. Raises RunError when this is no run folder."""
        values = self._read_json("recipe.json")
        try:
            return Plan(**{**values, "recipe": Recipe.from_dict(values["recipe"])})
        except (TypeError, KeyError, RecipeError) as error:
            raise RunError(f"{self.path / 'recipe.json'}: not a plan of this version ({error})") from None

    def write_environment(self) -> None:
        """Write environment.json: what the figures and the bits depend on besides the plan."""
        versions = {
            "lenet": lenet.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "system": platform.platform(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "cuda": torch.version.cuda,
        }
        self._write_json("environment.json", versions)

    def read_environment(self) -> dict[str, Any]:
        """What `write_environment` wrote. Raises RunError when this is no run folder."""
        return self._read_json("environment.json")

    def write_epoch(self, state: TrainingState[LeNet], epoch: Epoch, plan: Plan, data: ImageSet) -> None:
        """Write all that belongs to a finished epoch; the state last, so a kill in between repeats it."""
        figures = asdict(epoch)
        for measured in ("seconds", "examples_per_second", "epochs", "epoch"):
            del figures[measured]  # equal trainings shall give equal files
        card = {
            "classes": data.classes,
            "whole_pictures": data.full_image,
            "recipe": plan.recipe.to_dict() | {"data": Path(plan.recipe.data).name},
            "seed": plan.seed,
            "epoch": epoch.epoch,
            "figures": figures,
            "lenet": lenet.__version__,
        }
        names = [self.last]
        if plan.recipe.keep_every_epoch:
            names.append(self.path / f"epoch-{epoch.epoch:03d}.safetensors")
        if plan.recipe.validation and epoch.is_best:
            names.append(self.best)
        for name in names:
            save_checkpoint(name, state.averaged, card)
        history = [*self.read_history(epoch.epoch - 1), epoch]
        lines = (json.dumps(asdict(epoch)) + "\n" for epoch in history)
        write_text(self.path / "history.jsonl", "".join(lines))
        self.write_state(state)

    def read_history(self, epochs: int | None = None) -> list[Epoch]:
        """The finished epochs, up to `epochs` of them."""
        file = self.path / "history.jsonl"
        if not file.exists():
            return []
        try:
            history = [_parse_epoch(line) for line in file.read_text("utf-8").splitlines()]
        except (ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{file}: damaged ({error}); delete it to go on without its curves") from None
        return history[:epochs]

    def write_state(self, state: TrainingState[LeNet]) -> None:
        """Write state.safetensors."""
        card = {
            "format": STATE_FORMAT,
            "optimizer": type(state.optimizer).__name__,
            "epoch": state.epoch,
            "best_epoch": state.best_epoch,
            "best_accuracy": state.best_accuracy,
            "best_loss": state.best_loss,
        }
        write_tensors(self.path / "state.safetensors", _collect(state), card)

    def read_state(self, state: TrainingState[LeNet]) -> None:
        """Bring `state`, freshly started, to where the run was; nothing to do before its first epoch's end.

        Raises CheckpointError when the file is damaged or belongs to another network.
        """
        file = self.path / "state.safetensors"
        if not file.exists():
            return
        tensors, card = read_tensors(file, STATE_FORMAT)
        prefixes = {"model": state.model, "averaged": state.averaged}
        for prefix, model in prefixes.items():
            own = {n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")}
            check_fit(file, own, {name: value.shape for name, value in model.state_dict().items()})
            model.load_state_dict(own)
        if card.get("optimizer") != type(state.optimizer).__name__:
            raise CheckpointError(f"{file}: the state of another optimizer ({card.get('optimizer')})")
        moments: dict[int, dict[str, Tensor]] = {}
        try:
            for name, tensor in tensors.items():
                if name.startswith("optimizer."):
                    _, index, key = name.split(".")
                    moments.setdefault(int(index), {})[key] = tensor
            groups = state.optimizer.state_dict()["param_groups"]
            state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            state.epoch, state.best_epoch = int(card["epoch"]), int(card["best_epoch"])
            state.best_accuracy, state.best_loss = float(card["best_accuracy"]), float(card["best_loss"])
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{file}: not a state of this run ({error}); begin the run again") from None

    def write_evaluation(self, values: dict[str, Any]) -> None:
        """Write evaluation.json."""
        self._write_json("evaluation.json", values)

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, or None where the run has not come to its end."""
        if not (self.path / "evaluation.json").exists():
            return None
        values = self._read_json("evaluation.json")
        if not isinstance(values.get("accuracy"), float):
            raise RunError(f"{self.path / 'evaluation.json'}: not what this package wrote; delete it")
        return values

    def write_divergence(self, message: str) -> None:
        """Write diverged.txt."""
        write_text(self.path / "diverged.txt", message + "\n")

    def read_divergence(self) -> str | None:
        """What was said when the loss was no longer finite; None where it is, or was never seen not to be."""
        file = self.path / "diverged.txt"
        return file.read_text("utf-8").strip() if file.exists() else None

    def sweep(self) -> None:
        """Remove what a process that was killed, or a training that diverged, left behind."""
        (self.path / "diverged.txt").unlink(missing_ok=True)
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the run for this process; the system lets go of it however the process ends."""
        try:
            import fcntl
        except ImportError:  # Windows has no such lock
            yield
            return
        with (self.path / "environment.json").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{self.path} is being trained by another process; wait for it") from None
            yield

    def _write_json(self, name: str, values: dict[str, Any]) -> None:
        write_text(self.path / name, json.dumps(values, indent=2) + "\n")

    def _read_json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        try:
            values = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"{self.path} is no run folder: it has no {name}; `lenet runs` lists them"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{file}: cannot be read ({error})") from None
        if not isinstance(values, dict):
            raise RunError(f"{file}: not what this package wrote")
        return values


def _parse_epoch(line: str) -> Epoch:
    """One line of history.jsonl. Raises ValueError or TypeError on anything else."""
    epoch = Epoch(**json.loads(line))
    for name, value in asdict(epoch).items():
        may_lack = name.startswith(("validation", "test"))
        if not isinstance(value, int | float) and not (value is None and may_lack):
            raise ValueError(f"{name} is {value!r}")
    return epoch


def _collect(state: TrainingState[LeNet]) -> dict[str, Tensor]:
    """Everything in a training state that is a tensor, by name."""
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    # Cloned where it is the model itself: safetensors stores no tensor twice.
    tensors |= {f"averaged.{name}": value.clone() for name, value in state.averaged.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        for key, value in moments.items():
            if value is not None:
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    return tensors
