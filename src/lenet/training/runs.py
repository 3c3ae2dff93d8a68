"""Runs: begin, train, evaluate."""

import re
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from lenet.data.cache import list_sources
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet, fingerprint, spread
from lenet.data.sources import resolve_data
from lenet.errors import CheckpointError, DataError, DivergedError, RunError
from lenet.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet.models.stored import find_checkpoint
from lenet.processes import find_device
from lenet.training.evaluation import calibrate, evaluate, match_classes
from lenet.training.initial import (
    check_network,
    load_images,
    make_initial_model,
    write_corrections,
    write_initial,
)
from lenet.training.loop import Epoch, Step, train_steps
from lenet.training.plan import CORRECTIONS, SLICES, Plan
from lenet.training.process_group import ALONE, ProcessGroup
from lenet.training.randomness import check_seed
from lenet.training.recipe import Recipe
from lenet.training.resuming import restore
from lenet.training.run_folder import RunFolder, create_run
from lenet.training.run_state import read_state
from lenet.training.slices import check_slices
from lenet.training.start import check_parts, hold_out_rows, start
from lenet.training.teachers import check_teachers, load_teachers, write_teachers


def begin_run(
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    runs_dir: Path = Path("runs"),
    initial: Checkpoint | None = None,
    corrections: tuple[ImageSet, ImageSet] | None = None,
    teachers: Sequence[Checkpoint] = (),
    group: ProcessGroup = ALONE,
) -> RunFolder:
    """Make the folder of a new run, `RECIPE-DATA-SEED` (and a number where that is taken), with its plan.

    Args:
        recipe: what to train; the network gets as many classes as the data have.
        seed, device: as in `train`.
        runs_dir: where to make the folder.
        initial: the initial weights; the run keeps a copy. Its classes are those of the network.
        corrections: the training and test images, in place of loading the recipe's data, which names them;
            the run keeps a copy.
        teachers: what the recipe's `distillation` learns from; the run keeps copies.
        group: the processes that will train it; called by the first one. Where torchrun started them, the run
            computes batches in slices, each with one thread.

    Raises DataError, RecipeError or DeviceError before anything is written, and RunError where the group
    cannot share the batches.
    """
    check_seed(seed)
    recipe = replace(recipe, data=resolve_data(recipe.data))
    check_network(recipe, initial)
    # The test images are loaded so that a mistake in them shows now.
    data, test = corrections or (load(recipe.data, "train"), load(recipe.data, "test"))
    if initial is not None:
        data, test = match_classes(initial, data), match_classes(initial, test)
    recipe = replace(recipe, model=replace(recipe.model, classes=len(data.classes)))
    check_parts(data, recipe)
    check_teachers(recipe, data, teachers)
    hold_out_rows(data, recipe, seed)
    place = str(find_device(device))
    group.check_device(place)
    slices, threads = (SLICES, 1) if group.is_launched else (1, torch.get_num_threads())
    check_slices(slices, group)
    plan = Plan(recipe, seed, place, threads, fingerprint(data), slices=slices)
    if corrections is not None:
        plan = replace(plan, recipe=replace(recipe, data=CORRECTIONS))
    data_name = re.sub(r"[^\w.-]+", "-", Path(recipe.data).name)
    name = recipe.name.removesuffix(f"-{data_name}")  # of a recipe for one data set, as best-fashion-mnist

    def fill(folder: RunFolder) -> None:
        sha256 = None if initial is None else write_initial(folder, initial)
        if corrections is not None:
            write_corrections(folder, data, test)
        digests = write_teachers(folder, teachers)
        folder.write_plan(replace(plan, initial_sha256=sha256, teachers_sha256=digests))
        folder.write_environment()

    return create_run(runs_dir / f"{name}-{data_name}-{seed}", fill)


def run_training(folder: RunFolder, group: ProcessGroup = ALONE) -> Generator[Step | Epoch, None, None]:
    """Train a run from where it is to its end, writing each epoch; then measure it on the test images.

    Killed at any point and resumed, it ends with the same bits: the plan fixes seed, threads and data. Every
    process of a group calls this, and the first one writes.
    Raises DivergedError, naming the last good checkpoint, when the loss is no longer finite, BusyError when
    another process trains the run, and RunError when its data or its files have changed since it began, when
    the group cannot share its batches, or when a process of the group has ended.
    """
    with ExitStack() as held:
        with group.together():
            if group.leads:
                held.enter_context(folder.alone())
                folder.sweep()
            plan = folder.read_plan()
            check_slices(plan.slices, group)
            group.check_device(plan.device)
            recipe, data = plan.recipe, load_images(folder, plan, "train")
            if fingerprint(data) != plan.data_sha256:
                raise RunError(
                    f"{folder.path}: {recipe.data} is not what the run began with; begin a new one"
                )
            test = load_images(folder, plan, "test")
            rows, validation = hold_out_rows(data, recipe, plan.seed)
            if torch.get_num_threads() != plan.threads:
                torch.set_num_threads(plan.threads)  # sums round differently with another number
            device = find_device(plan.device)
            teachers = [teacher.to(device) for teacher in load_teachers(folder, plan)]
            state = start(make_initial_model(folder, plan).to(device), recipe, teachers)
            if group.leads:
                restore(folder, state, plan, data)
        with group.together():
            if not group.leads and folder.state.exists():
                read_state(folder.state, state, folder.read_ties())
        try:
            for record in train_steps(
                state,
                data,
                recipe,
                seed=plan.seed,
                rows=rows,
                validation=validation,
                test=None if validation else test,
                is_sliced=plan.slices > 1,
                group=group,
            ):
                if group.leads and isinstance(record, Epoch):
                    folder.write_epoch(state, record, plan, data)
                yield record
        except DivergedError as error:
            if group.leads:
                folder.write_divergence(str(error))
            kept = (
                f"{folder.last} holds epoch {state.epoch}"
                if folder.last.exists()
                else "no epoch was finished"
            )
            raise DivergedError(f"{error}; {kept}") from None
        _finish(folder, plan, validation, test, group)


def _finish(
    folder: RunFolder, plan: Plan, validation: ImageSet | None, test: ImageSet, group: ProcessGroup
) -> None:
    """Calibrate the chosen checkpoint, where the recipe says so, and evaluate it on the test images."""
    chosen = folder.best if validation else folder.last
    with group.together():  # the first process has written it
        if group.leads and plan.recipe.calibrate and validation:
            calibrated = calibrate(load_checkpoint(chosen, plan.device), validation)
            save_checkpoint(folder.calibrated, calibrated.model, calibrated.card)
    if plan.recipe.calibrate and validation:
        chosen = folder.calibrated
    evaluation = evaluate(load_checkpoint(chosen, plan.device), test, group=group)
    if group.leads:
        folder.write_evaluation({"checkpoint": chosen.name, "split": "test", **evaluation.to_dict()})


def find_training_data(name: str | Path, checkpoint: Checkpoint) -> str:
    """The data set, or the path of one's own, that the checkpoint called `name` was trained on.

    The plan beside it knows the whole path; the card, which holds no places, the last part of it. Raises
    CheckpointError when neither says.
    """
    folder = RunFolder(find_checkpoint(name).parent)
    return folder.read_plan().recipe.data if (folder.path / "recipe.json").exists() else checkpoint.data


def find_test_images(name: str | Path, checkpoint: Checkpoint, most: int) -> ImageSet | None:
    """At most `most` test images for the checkpoint called `name`, evenly spread: files may be sorted.

    They are those of its own data, with its classes. None where these are not on this machine or have other
    classes; nothing is downloaded.
    """
    try:
        source = find_training_data(name, checkpoint)
        if source in {listing.name for listing in list_sources() if listing.found == "missing"}:
            return None
        data = match_classes(checkpoint, load(source, "test"))
    except (CheckpointError, DataError, RunError):
        return None
    return data.subset(spread(len(data), most))
