"""`lenet train`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from lenet.cli.app import Json, Quiet, RunsDir, app, name_flags, write_json
from lenet.cli.flags import list_more_settings, make_flags, read_changes, read_whole
from lenet.cli.stopping import stop_with
from lenet.cli.tables import show_change, show_published, show_run
from lenet.errors import RunError
from lenet.training.recipes import find_recipe

if TYPE_CHECKING:
    from lenet.training.recipe import Recipe
    from lenet.training.run_folder import RunFolder

Flags = make_flags()
Record = TypeVar("Record")


@app.command(help_epilogue=list_more_settings())
def train(
    recipe: Annotated[
        str | None, Parameter(help="A recipe's name; `lenet recipes` lists them. [default: quick]")
    ] = None,
    /,
    *,
    data: Annotated[
        str | None, Parameter(help="The name of a data set, or a folder or CSV of your own images.")
    ] = None,
    seed: Annotated[
        int | None,
        Parameter(
            help="Seed of the initial weights, the order and the distortions. [default: 0]",
            converter=read_whole,
        ),
    ] = None,
    device: Annotated[
        str | None, Parameter(help="Where to compute: auto, cpu, cuda, cuda:N or mps. [default: auto]")
    ] = None,
    initial: Annotated[
        str | None,
        Parameter(
            name="--from",
            help="Begin with the weights of this checkpoint: a file, a run folder or shipped weights. The "
            "default recipe is then `adapt`, for a few dozen corrected pictures of one writer.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        Parameter(
            help="Resume this run, bit for bit. With RUN/epoch-005.safetensors, a new run continues after "
            "that epoch."
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    tensorboard: Annotated[
        bool, Parameter(negative=(), help="Also write TensorBoard events, to the folder events of the run.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # type: ignore[valid-type]  # noqa: B008
) -> None:
    """Train a recipe and write a run folder. Flags change the recipe's settings.

    Example: lenet train d2l --epochs 3 --lr 0.5 --seed 1
    """
    from lenet.insight.diagnosis import watch
    from lenet.insight.progress import (
        describe_device,
        find_writer,
        keep_curves,
        show_progress,
        write_events,
    )
    from lenet.training.initial import measure_change
    from lenet.training.resuming import open_run
    from lenet.training.runs import begin_run, run_training, summarise_run

    if tensorboard:
        find_writer()  # raises before a run begins
    changes = read_changes(flags)
    if resume is not None:
        if initial is not None:
            raise RunError(f"{resume} keeps the weights that it began with; leave `from` out")
        epochs = changes.pop("epochs", None)
        given = {"recipe": recipe, "data": data, "seed": seed, "device": device}
        run = open_run(resume, epochs, given | changes)
    else:
        if recipe is None:
            recipe = "quick" if initial is None else "adapt"
        chosen = find_recipe(recipe, data)
        place = "auto" if device is None else device
        if initial is None:
            run = begin_run(chosen.override(changes), seed=seed or 0, device=place, runs_dir=runs_dir)
        else:
            run = continue_from(initial, chosen, changes, seed or 0, place, runs_dir)
    records = keep_curves(run_training(run), run)
    if not quiet:
        records = announce(records, f"lenet: {describe_device(run)}")
    epochs_shown = show_progress(records, quiet=quiet)
    if tensorboard:
        epochs_shown = write_events(epochs_shown, run.path / "events", run.read_history())
    warned = quiet
    with stop_with(f"stopped; resume with: lenet train --resume {run.path}"):
        for epoch in epochs_shown:
            if not warned and (fault := watch(run, epoch)) is not None:
                print(f"lenet: warning: {name_flags(fault.sentence, ['train'])}", file=sys.stderr)
                warned = True
    summary = summarise_run(run)
    if json:
        print(write_json(asdict(summary)))
    else:
        change = None if summary.checkpoint is None else measure_change(run, summary.checkpoint)
        print("\n".join((show_run(summary), *show_change(change), *show_published(summary))))


def continue_from(
    initial: str, recipe: Recipe, changes: dict[str, Any], seed: int, device: str, runs_dir: Path
) -> RunFolder:
    """Begin a run with the weights of a checkpoint; a recipe that rehearses takes its network, too."""
    from lenet.data.sources import SOURCES
    from lenet.experiments.corrections import frame_corrections
    from lenet.models.checkpoint import load_checkpoint
    from lenet.training.runs import begin_run

    checkpoint, corrections = load_checkpoint(initial), None
    if recipe.rehearsal:
        recipe = replace(recipe, model=checkpoint.model.config)
        if recipe.data not in SOURCES:
            corrections = frame_corrections(Path(recipe.data), checkpoint)
    return begin_run(
        recipe.override(changes),
        seed=seed,
        device=device,
        runs_dir=runs_dir,
        initial=checkpoint,
        corrections=corrections,
    )


def announce(records: Iterator[Record], line: str) -> Iterator[Record]:
    """Pass records on; print a line on standard error before the first, so earlier errors stand alone."""
    for number, record in enumerate(records):
        if not number:
            print(line, file=sys.stderr)
        yield record
