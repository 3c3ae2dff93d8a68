"""The run of a line network on disk: begun, resumed as planned, and read.

It is a run folder as the others are, with other files in it:

recipe.json                  the plan: `LineRecipe` and the seed
train-lines.safetensors, validation-lines.safetensors   the composed lines
line.safetensors             the averaged, folded network of the last epoch
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenet.errors import RecipeError, RunError
from lenet.training.line_recipe import LineRecipe, is_line_plan
from lenet.training.randomness import check_seed
from lenet.training.run_folder import RunFolder, create_run

LINE = "line"  # the name of the recipe and of its run folders


@dataclass(frozen=True)
class LinePlan:
    """What a run trains: fixed when it begins. Raises RecipeError for a seed that is none."""

    recipe: LineRecipe
    seed: int

    def __post_init__(self) -> None:
        check_seed(self.seed)


@dataclass(frozen=True)
class LineEpoch:
    """One finished pass; accuracies are shares of lines that are read without an error."""

    epoch: int
    epochs: int
    train_loss: float
    validation_accuracy: float
    validation_digit_accuracy: float | None
    """Of lines of one digit; None where none is held out."""
    seconds: float
    strips_per_second: float


def begin_line_run(recipe: LineRecipe, *, seed: int = 0, runs_dir: Path = Path("runs")) -> RunFolder:
    """Make the folder of a new run, `line` (and a number where that is taken), with its plan."""
    plan = LinePlan(recipe, seed)

    def fill(folder: RunFolder) -> None:
        folder.write_json("recipe.json", asdict(plan))
        folder.write_environment()

    return create_run(runs_dir / LINE, fill)


def open_line_run(path: Path, given: Mapping[str, Any] | None = None) -> RunFolder:
    """The run to resume, without what a killed process left behind.

    `given` holds values that the caller believes were planned: recipe, seed, or any setting; None says
    nothing. Raises RunError when `path` is no run of a line network or something else was planned; the
    learning rate depends on the number of epochs. Raises BusyError when another process trains it.
    """
    folder = RunFolder(path)
    plan = read_line_plan(folder)
    planned = {"recipe": LINE, "seed": plan.seed, **asdict(plan.recipe)}
    for name, value in (given or {}).items():
        if value not in (None, planned.get(name)):
            raise RunError(f"{path} is resumed as planned; `{name}` was not so")
    if not (path / "environment.json").exists():  # begun by a version that wrote none
        folder.write_environment()
    with folder.alone():
        folder.sweep()
    return folder


def is_line_run(path: Path) -> bool:
    """True for the folder of a line network's run. Raises RunError when its plan cannot be read."""
    return (path / "recipe.json").is_file() and is_line_plan(RunFolder(path).read_json("recipe.json"))


def read_line_plan(folder: RunFolder) -> LinePlan:
    """Read recipe.json. Raises RunError when this is no run of a line network."""
    values = folder.read_json("recipe.json")
    try:
        return LinePlan(LineRecipe(**values["recipe"]), values["seed"])
    except (KeyError, TypeError, RecipeError) as error:
        raise RunError(f"{folder.path / 'recipe.json'}: not a plan of this version ({error})") from None
