"""The teachers of a run: checked when it begins, and kept in its folder as teacher-1.safetensors, ….

The run does not depend on files elsewhere then, and goes on with the same teachers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lenet.data.imageset import ImageSet
from lenet.errors import RecipeError, RunError
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_network
from lenet.models.network import LeNet
from lenet.training.plan import Plan
from lenet.training.recipe import Recipe
from lenet.training.run_folder import RunFolder
from lenet.training.start import check_answers


def check_teachers(recipe: Recipe, data: ImageSet, teachers: Sequence[Checkpoint]) -> None:
    """Raise RecipeError where a teacher has other classes than the data, or as `check_answers`."""
    for teacher in teachers:
        if tuple(teacher.classes) != tuple(data.classes):
            raise RecipeError(
                f"a teacher has other classes than {data.name}; take one that was trained on such images"
            )
    check_answers(recipe.model, recipe.distillation, [teacher.model for teacher in teachers])


def write_teachers(folder: RunFolder, teachers: Sequence[Checkpoint]) -> tuple[str, ...]:
    """Write the teachers to a run; returns the SHA-256 of each."""
    for number, teacher in enumerate(teachers, 1):
        save_network(teacher, folder.teacher(number))
    return tuple(_hash(folder, number) for number in range(1, len(teachers) + 1))


def load_teachers(folder: RunFolder, plan: Plan) -> tuple[LeNet, ...]:
    """The teachers of a run, in evaluation mode. Raises RunError where one is not what the run began with."""
    teachers = []
    for number, digest in enumerate(plan.teachers_sha256, 1):
        if _hash(folder, number) != digest:
            raise RunError(
                f"{folder.teacher(number)} is not what the run began with; restore it, or begin a new run"
            )
        teachers.append(load_checkpoint(folder.teacher(number)).model)
    return tuple(teachers)


def _hash(folder: RunFolder, number: int) -> str:
    try:
        return hashlib.sha256(folder.teacher(number).read_bytes()).hexdigest()
    except OSError:
        return ""
