"""What runs have come to: a summary of each, and the runs of a folder."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lenet.errors import LeNetError, RunError
from lenet.training.history import read_history
from lenet.training.line_recipe import LineRecipe
from lenet.training.line_run import LINE, LineEpoch, is_line_run, read_line_plan
from lenet.training.recipes import list_changes
from lenet.training.run_folder import RunFolder


@dataclass(frozen=True)
class RunSummary:
    """The results of a run; None where it has none yet."""

    run: str
    checkpoint: str | None
    """The best epoch's where images were held out, calibrated if the recipe says so, else the last one's."""
    epochs: int
    """Finished ones."""
    train_loss: float | None
    train_accuracy: float | None
    validation_accuracy: float | None
    test_accuracy: float | None
    """Of `checkpoint`, measured once at the end."""
    seconds: float
    examples_per_second: float
    recipe: str
    data: str
    seed: int
    is_finished: bool
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings that are not as the named recipe has them."""
    error: str | None = None
    """Why the run cannot be read; all other results are missing then."""
    best_epoch: int | None = None
    """The best epoch by validation; None where no images are held out."""


UNREADABLE = RunSummary("", None, 0, None, None, None, None, 0.0, 0.0, "", "", 0, is_finished=False)


def summarise_run(folder: RunFolder) -> RunSummary:
    """The results of a run so far. Raises RunError when it is no run or damaged."""
    if is_line_run(folder.path):
        return _summarise_line_run(folder)
    plan, history, evaluation = folder.read_plan(), folder.read_history(), folder.read_evaluation()
    last = history[-1] if history else None
    kept = [file for file in (folder.calibrated, folder.best, folder.last) if file.exists()]
    seconds = sum(epoch.seconds for epoch in history)
    examples = sum(epoch.examples_per_second * epoch.seconds for epoch in history)
    accuracies = [epoch.validation_accuracy for epoch in history if epoch.validation_accuracy is not None]
    best = [epoch.epoch for epoch in history if epoch.is_best and epoch.validation_accuracy is not None]
    return RunSummary(
        run=str(folder.path),
        checkpoint=str(kept[0]) if kept else None,
        epochs=len(history),
        train_loss=last.train_loss if last else None,
        train_accuracy=last.train_accuracy if last else None,
        validation_accuracy=max(accuracies, default=None),
        test_accuracy=evaluation["accuracy"] if evaluation else None,
        seconds=seconds,
        examples_per_second=examples / seconds if seconds else 0.0,
        recipe=plan.recipe.name,
        data=plan.recipe.data,
        seed=plan.seed,
        is_finished=evaluation is not None,
        changes=list_changes(plan.recipe),
        best_epoch=max(best, default=None),
    )


def _summarise_line_run(folder: RunFolder) -> RunSummary:
    """The results of a line network's run so far; no test images belong to it."""
    plan, history = read_line_plan(folder), read_history(folder.history, LineEpoch)
    last = history[-1] if history else None
    checkpoint = folder.path / "line.safetensors"
    seconds = sum(epoch.seconds for epoch in history)
    lines = sum(epoch.strips_per_second * epoch.seconds for epoch in history)
    usual, own = asdict(LineRecipe()), asdict(plan.recipe)
    return RunSummary(
        run=str(folder.path),
        checkpoint=str(checkpoint) if checkpoint.exists() else None,
        epochs=len(history),
        train_loss=last.train_loss if last else None,
        train_accuracy=None,
        validation_accuracy=last.validation_accuracy if last else None,
        test_accuracy=None,
        seconds=seconds,
        examples_per_second=lines / seconds if seconds else 0.0,
        recipe=LINE,
        data="composed lines",
        seed=plan.seed,
        is_finished=len(history) == plan.recipe.epochs,
        changes={name: own[name] for name in own if own[name] != usual[name]},
    )


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """Every run in `runs_dir`, by name; one that cannot be read has an `error`."""
    summaries = []
    for path in sorted(runs_dir.glob("*/recipe.json")):
        folder = RunFolder(path.parent)
        try:
            summaries.append(summarise_run(folder))
        except (LeNetError, OSError) as error:
            reason = " ".join(str(error).split())
            summaries.append(replace(UNREADABLE, run=str(folder.path), error=reason))
    return summaries


def find_run(name: str | Path, runs_dir: Path) -> RunFolder:
    """The run that `name` means: a folder, or the name of one in `runs_dir`.

    Raises RunError when it means none, or one without a finished epoch.
    """
    for path in (Path(name), runs_dir / name):
        if (path / "recipe.json").exists():
            folder = RunFolder(path)
            folder.read_plan()  # raises for a line network's run, which has no curves of this kind
            if not folder.read_history():
                raise RunError(
                    f"{path} has no finished epoch yet; resume it with: lenet train --resume {path}"
                )
            return folder
    raise RunError(f"{name} is no run; `lenet runs` lists them")
