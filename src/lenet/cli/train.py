"""`lenet train`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from lenet.cli.app import Json, Quiet, RunsDir, app, name_flags, write_json
from lenet.cli.flags import list_more_settings, make_flags, read_changes, read_whole
from lenet.cli.stopping import stop_with
from lenet.cli.tables import show_published, show_run
from lenet.training.recipes import find_recipe

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
    from lenet.training.resuming import open_run
    from lenet.training.runs import begin_run, run_training, summarise_run

    if tensorboard:
        find_writer()  # raises before a run begins
    changes = read_changes(flags)
    if resume is not None:
        epochs = changes.pop("epochs", None)
        given = {"recipe": recipe, "data": data, "seed": seed, "device": device}
        run = open_run(resume, epochs, given | changes)
    else:
        chosen = find_recipe("quick" if recipe is None else recipe, data).override(changes)
        place = "auto" if device is None else device
        run = begin_run(chosen, seed=seed or 0, device=place, runs_dir=runs_dir)
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
        print("\n".join((show_run(summary), *show_published(summary))))


def announce(records: Iterator[Record], line: str) -> Iterator[Record]:
    """Pass records on; print a line on standard error before the first, so earlier errors stand alone."""
    for number, record in enumerate(records):
        if not number:
            print(line, file=sys.stderr)
        yield record
