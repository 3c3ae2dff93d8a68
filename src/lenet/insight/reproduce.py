"""The command that makes a run again."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from lenet.data.sources import SOURCES
from lenet.training.folder import Plan
from lenet.training.recipes import RECIPES, find_recipe, list_changes


def write_command(plan: Plan) -> str:
    """The `lenet train` command, for a shell, that plans the same as `plan`.

    Data of one's own are called by the last part of their path, as on cards: run it where they lie. A
    recipe without a name of ours is told from `quick`.
    """
    name = plan.recipe.name if plan.recipe.name in RECIPES else "quick"
    words = ["lenet", "train", name]
    if plan.recipe.data != RECIPES[name].data:
        data = Path(plan.recipe.data).name
        words += ["--data", data if data in SOURCES else f"./{data}"]
        name = find_recipe(name, plan.recipe.data).name
    for setting, value in list_changes(replace(plan.recipe, name=name)).items():
        words += _flag(setting, value)
    return shlex.join([*words, "--seed", str(plan.seed), "--device", plan.device])


def _flag(setting: str, value: Any) -> list[str]:
    """The words that set one value."""
    name = setting.replace("_", "-")
    match value:
        case bool():
            return [f"--{name}" if value else f"--no-{name}"]
        case tuple():
            return [f"--{name}={','.join(map(str, value))}"]
        case int() | float() if value < 0:
            return [f"--{name}={value}"]
        case _:
            return [f"--{name}", str(value)]
