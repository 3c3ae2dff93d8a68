"""A run on disk: one folder. Every file is written whole and can be read without this package.

recipe.json           what is trained: the recipe, seed, device, threads and the hash of the data
environment.json      where it is trained: versions and processor
history.jsonl         one line per epoch
last.safetensors      the weights after the last finished epoch
best.safetensors      the weights of the best epoch by validation, where images are held out
calibrated.safetensors  the best weights with calibrated probabilities, where the recipe calibrates
epoch-001.safetensors … the weights of each epoch, where the recipe keeps every epoch
state-001.safetensors … the state of each of these epochs, to resume from it
teacher-1.safetensors …  where the run learns from teachers: see `teachers`
initial.safetensors, corrections  where the run begins with a checkpoint: see `initial`
state.safetensors     what resuming needs in addition: weights, averages, optimiser state, epoch
evaluation.json       the result of the checkpoint on the test images
diverged.txt          the message of a training that diverged
curves.png
report.html           all of it on one page, by `lenet report`
"""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lenet
from lenet.data.imageset import ImageSet
from lenet.errors import BusyError, RecipeError, RunError
from lenet.files import locked, write_text
from lenet.models.checkpoint import save_checkpoint
from lenet.models.network import LeNet
from lenet.training.history import hash_history, read_history, write_history
from lenet.training.line_recipe import is_line_plan
from lenet.training.loop import Epoch
from lenet.training.plan import CORRECTIONS, Plan
from lenet.training.recipe import Recipe
from lenet.training.run_state import describe_arithmetic, hash_plan, read_state, write_state
from lenet.training.start import TrainingState


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: reads and writes its files."""

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

    @property
    def history(self) -> Path:
        """The file of the finished epochs."""
        return self.path / "history.jsonl"

    @property
    def state(self) -> Path:
        """What resuming needs in addition, after the last finished epoch."""
        return self.path / "state.safetensors"

    @property
    def initial(self) -> Path:
        """The checkpoint whose weights the run began with."""
        return self.path / "initial.safetensors"

    def teacher(self, number: int) -> Path:
        """The checkpoint of a teacher, counted from 1."""
        return self.path / f"teacher-{number}.safetensors"

    @property
    def corrections(self) -> Path:
        """The framed images of a run that adapts to corrected pictures."""
        return self.path / CORRECTIONS

    def kept(self, epoch: int, kind: str = "epoch") -> Path:
        """Checkpoint of an epoch, where the recipe keeps every epoch, or its "state"."""
        return self.path / f"{kind}-{epoch:03d}.safetensors"

    def write_plan(self, plan: Plan) -> None:
        """Write recipe.json."""
        self.write_json("recipe.json", plan.to_dict())

    def read_plan(self) -> Plan:
        """Read recipe.json. Raises RunError when this is no run folder, or that of a line network."""
        values = self.read_json("recipe.json")
        if is_line_plan(values):
            raise RunError(
                f"{self.path} is a run of the recipe line, which only `lenet train` and `lenet runs` take"
            )
        try:
            recipe = Recipe.from_dict(values["recipe"])
            if recipe.data == CORRECTIONS and self.corrections.is_dir():
                recipe = replace(recipe, data=str(self.corrections))
            return Plan(**{**values, "recipe": recipe})
        except (TypeError, KeyError, RecipeError) as error:
            raise RunError(f"{self.path / 'recipe.json'}: not a plan of this version ({error})") from None

    def copy_plan(self, source: "RunFolder", epochs: int) -> None:
        """Write the recipe.json of `source` with another number of epochs, and nothing else changed."""
        values = source.read_json("recipe.json")
        values["recipe"]["epochs"] = epochs
        self.write_json("recipe.json", values)

    def read_ties(self) -> dict[str, str]:
        """What ties a state to this run and to this machine's arithmetic."""
        plan_sha256 = hash_plan(self.read_json("recipe.json"))
        return {"plan_sha256": plan_sha256, **describe_arithmetic(self.read_plan().device)}

    def write_environment(self) -> None:
        """Write environment.json: what the results and the bits depend on in addition to the plan."""
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
        self.write_json("environment.json", versions)

    def read_environment(self) -> dict[str, Any]:
        """What `write_environment` wrote. Raises RunError when this is no run folder."""
        return self.read_json("environment.json")

    def write_epoch(self, state: TrainingState[LeNet], epoch: Epoch, plan: Plan, data: ImageSet) -> None:
        """Write all files of a finished epoch; the state last: a kill in between repeats the epoch."""
        card = make_card(epoch, plan, data)
        names = [self.last]
        if plan.recipe.keep_every_epoch:
            names.append(self.kept(epoch.epoch))
        if plan.recipe.validation and epoch.is_best:
            names.append(self.best)
        for name in names:
            save_checkpoint(name, state.averaged, card)
        history = [*self.read_history(epoch.epoch - 1), epoch]
        ties = {**self.read_ties(), "history_sha256": hash_history(history)}
        if plan.recipe.keep_every_epoch:
            write_state(self.kept(epoch.epoch, "state"), state, ties)
        write_history(self.history, history)
        write_state(self.state, state, ties)

    def read_history(self, epochs: int | None = None) -> list[Epoch]:
        """The finished epochs, up to `epochs` of them. Raises RunError when the file is damaged."""
        return read_history(self.history, Epoch)[:epochs]

    def read_state(self, state: TrainingState[LeNet]) -> None:
        """Bring `state`, freshly started, to where the run was; unchanged before the first epoch's end.

        Raises CheckpointError when the file is damaged or belongs to another network.
        """
        if self.state.exists():
            read_state(self.state, state)

    def write_evaluation(self, values: dict[str, Any]) -> None:
        """Write evaluation.json."""
        self.write_json("evaluation.json", values)

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, or None where the run has not finished."""
        if not (self.path / "evaluation.json").exists():
            return None
        values = self.read_json("evaluation.json")
        try:
            shares = [values["accuracy"], *(row["recall"] for row in values.get("per_class", []))]
            names = [row["name"] for row in values.get("per_class", [])]
            is_ours = all(isinstance(share, float) and 0 <= share <= 1 for share in shares)
            is_ours = is_ours and all(isinstance(name, str) for name in names)
        except (KeyError, TypeError):
            is_ours = False
        if not is_ours:
            raise RunError(f"{self.path / 'evaluation.json'}: not what this package wrote; delete it")
        return values

    def write_divergence(self, message: str) -> None:
        """Write diverged.txt."""
        write_text(self.path / "diverged.txt", message + "\n")

    def read_divergence(self) -> str | None:
        """The message of a training that diverged; None for any other run."""
        file = self.path / "diverged.txt"
        return " ".join(file.read_text("utf-8", "replace").split()) if file.exists() else None

    def sweep(self) -> None:
        """Remove what a killed process or a diverged training left behind."""
        (self.path / "diverged.txt").unlink(missing_ok=True)
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the run for this process in a block. Raises BusyError when another process holds it."""
        with locked(self._lock(), wait=False) as is_ours:
            if not is_ours:
                raise BusyError(f"{self.path} is being trained by another process; wait for it")
            yield

    def is_held(self) -> bool:
        """True while a process trains the run."""
        with locked(self._lock(), wait=False) as is_ours:
            return not is_ours

    def _lock(self) -> Path:
        file = self.path / "environment.json"
        if not file.is_file():
            raise RunError(
                f"{self.path} is no run folder: it has no environment.json; `lenet runs` lists them"
            )
        return file

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Write values to the file called `name`."""
        write_text(self.path / name, json.dumps(values, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """The values in the file called `name`. Raises RunError when it is missing or damaged."""
        file = self.path / name
        try:
            values = json.loads(file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(
                f"{self.path} is no run folder: it has no {name}; `lenet runs` lists them"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{file}: cannot be read ({error})") from None
        if not isinstance(values, dict):
            raise RunError(f"{file}: not what this package wrote")
        return values


def create_run(wanted: Path, fill: Callable[[RunFolder], None]) -> RunFolder:
    """Make a run folder with the files that `fill` writes: `wanted`, or `wanted-2` … where that is taken.

    It is written aside and renamed, so that a folder without its plan is never seen.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    aside = RunFolder(Path(tempfile.mkdtemp(prefix=".run-", dir=wanted.parent)))
    try:
        aside.path.chmod(0o755)
        fill(aside)
        return RunFolder(_claim(aside.path, wanted))
    except BaseException:
        shutil.rmtree(aside.path, ignore_errors=True)
        raise


def _claim(aside: Path, wanted: Path) -> Path:
    """Rename `aside` to `wanted`, or to the first `wanted-2`, `wanted-3` … that is free; never over a run."""
    number = 1
    while True:
        target = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            if not target.exists():
                return aside.rename(target)  # a folder with files in it is never replaced
        except OSError:
            if not target.exists():
                raise
        number += 1


def make_card(epoch: Epoch, plan: Plan, data: ImageSet) -> dict[str, Any]:
    """The card of an epoch's checkpoint; without times, so that equal trainings give equal files."""
    figures = asdict(epoch)
    for measured in ("seconds", "examples_per_second", "epochs", "epoch"):
        del figures[measured]
    return {
        "classes": data.classes,
        "whole_pictures": data.full_image,
        "recipe": plan.recipe.to_dict() | {"data": Path(plan.recipe.data).name},
        "seed": plan.seed,
        **({} if plan.slices == 1 else {"slices": plan.slices}),
        "epoch": epoch.epoch,
        "figures": figures,
        "lenet": lenet.__version__,
    }
