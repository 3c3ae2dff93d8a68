"""`lenet train`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from lenet.cli.app import LINE, Json, Quiet, RunsDir, app, name_flags, write_json
from lenet.cli.flags import list_more_settings, make_flags, read_changes, read_whole
from lenet.cli.launching import ALL, count_processes, launch
from lenet.cli.stopping import stop_with
from lenet.cli.tables import show_change, show_published, show_run
from lenet.errors import RecipeError, RunError
from lenet.processes import find_rank
from lenet.training.recipes import find_recipe

if TYPE_CHECKING:
    from lenet.training.loop import Epoch, Step
    from lenet.training.process_group import ProcessGroup
    from lenet.training.recipe import Recipe
    from lenet.training.run_folder import RunFolder

Flags = make_flags()
Record = TypeVar("Record")


@app.command(help_epilogue=list_more_settings())
def train(
    recipe: Annotated[
        str | None,
        Parameter(
            help="A recipe's name; `lenet recipes` lists them. `line` trains the network that reads lines of "
            "writing. [default: quick]"
        ),
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
        str | None,
        Parameter(
            help="Where to compute: auto, cpu, cuda, cuda:N, mps, or all: one process for each GPU of this "
            "machine. [default: auto]"
        ),
    ] = None,
    initial: Annotated[
        str | None,
        Parameter(
            name="--from",
            help="Begin with the weights of this checkpoint: a file, a run folder or shipped weights. The "
            "default recipe is then `adapt`, for a few dozen corrected pictures of one writer.",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="With `--distillation`: learn from this checkpoint's answers, too. Several may be given; "
            "the mean of their probabilities counts.",
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
) -> int | None:
    """Train a recipe and write a run folder. Flags change the recipe's settings.

    Example: lenet train d2l --epochs 3 --lr 0.5 --seed 1
    """
    from lenet.insight.progress import describe_device, find_writer, keep_curves, show_progress, write_events
    from lenet.models.checkpoint import load_checkpoint
    from lenet.training.initial import measure_change
    from lenet.training.line_run import is_line_run
    from lenet.training.process_group import join_group
    from lenet.training.resuming import open_run
    from lenet.training.run_folder import RunFolder
    from lenet.training.runs import begin_run, run_training
    from lenet.training.summaries import summarise_run

    if device == ALL:
        if find_rank() is None:
            return launch(count_processes(), sys.argv[1:])
        device = "cuda"
    changes = read_changes(flags)
    if is_line_run(resume) if resume is not None else recipe == LINE:
        given: dict[str, Any] = {"recipe": recipe, "seed": seed, "data": data, "device": device}
        given |= {"from": initial, "teacher": teacher, "tensorboard": tensorboard or None}
        summary = summarise_run(train_lines(changes, given, resume, runs_dir, quiet=quiet))
        text = f"{summary.checkpoint}: trained for {summary.epochs} epochs"
        print(write_json(asdict(summary)) if json else text)
        return None
    if tensorboard:
        find_writer()  # raises before a run begins

    def open_folder(group: ProcessGroup) -> RunFolder:
        if resume is not None:
            if initial is not None or teacher:
                raise RunError(
                    f"{resume} keeps the checkpoints that it began with; leave `from` and `teacher` out"
                )
            epochs = changes.pop("epochs", None)
            asked = {"recipe": recipe, "data": data, "seed": seed, "device": device}
            return open_run(resume, epochs, asked | changes)
        usual = "quick" if initial is None else "adapt"
        chosen = find_recipe(usual if recipe is None else recipe, data)
        begin = partial(
            begin_run,
            seed=seed or 0,
            device="auto" if device is None else device,
            runs_dir=runs_dir,
            teachers=[load_checkpoint(name) for name in teacher or ()],
            group=group,
        )
        if initial is None:
            return begin(chosen.override(changes))
        return continue_from(initial, chosen, changes, begin)

    with join_group() as group:
        with group.together():
            path = str(open_folder(group).path) if group.leads else ""
        run = RunFolder(Path(group.tell(path)[0]))
        records: Iterator[Step | Epoch] = run_training(run, group)
        if group.leads:
            records = keep_curves(records, run)
            if not quiet:
                records = announce(records, f"lenet: {describe_device(run, group.size)}")
        shown = show_progress(records, quiet=quiet or not group.leads)
        if tensorboard and group.leads:
            shown = write_events(shown, run.path / "events", run.read_history())
        with stop_with(f"stopped; resume with: lenet train --resume {run.path}"):
            warn_of_faults(shown, run, quiet=quiet or not group.leads)
        if not group.leads:
            return None
    summary = summarise_run(run)
    if json:
        print(write_json(asdict(summary)))
    else:
        change = None if summary.checkpoint is None else measure_change(run, summary.checkpoint)
        print("\n".join((show_run(summary), *show_change(change), *show_published(summary))))
    return None


def warn_of_faults(epochs: Iterable[Epoch], run: RunFolder, *, quiet: bool) -> None:
    """Train to the end; print the first fault that shows, if any."""
    from lenet.insight.diagnosis import watch

    for epoch in epochs:
        if not quiet and (fault := watch(run, epoch)) is not None:
            print(f"lenet: warning: {name_flags(fault.sentence, ['train'])}", file=sys.stderr)
            quiet = True


def train_lines(
    changes: dict[str, Any], given: dict[str, Any], resume: Path | None, runs_dir: Path, *, quiet: bool
) -> RunFolder:
    """`lenet train line`: begin or resume the training of a line network, and train to the end."""
    from lenet.processes import count_cores
    from lenet.training.line import train_line
    from lenet.training.line_recipe import SETTINGS_OF_LINES, LineRecipe
    from lenet.training.line_run import begin_line_run, open_line_run

    if find_rank() is not None:
        raise RecipeError("the recipe line is trained by one process; leave torchrun out")
    names = {*SETTINGS_OF_LINES, "validation"}
    foreign = [name for name, value in given.items() if value is not None and name not in ("recipe", "seed")]
    if wrong := [*(changes.keys() - names), *foreign]:
        raise RecipeError(
            f"the recipe line has no {min(wrong)!r}; it has {', '.join(sorted(names))} and seed"
        )
    if resume is None:
        run = begin_line_run(LineRecipe(**changes), seed=given["seed"] or 0, runs_dir=runs_dir)
    else:
        run = open_line_run(resume, given | changes)
    if not quiet:
        print(f"lenet: lines of writing are composed and learnt from in {run.path}", file=sys.stderr)
    with stop_with(f"stopped; resume with: lenet train --resume {run.path}"):
        for epoch in train_line(run, count_cores()):
            if not quiet:
                print(
                    f"lenet: epoch {epoch.epoch} of {epoch.epochs}: loss {epoch.train_loss:.3f}, "
                    f"{epoch.validation_accuracy:.2%} of held-out lines without an error",
                    file=sys.stderr,
                )
    return run


def continue_from(
    initial: str, recipe: Recipe, changes: dict[str, Any], begin: Callable[..., RunFolder]
) -> RunFolder:
    """Begin a run with the weights of a checkpoint; a recipe that rehearses takes its network, too."""
    from lenet.data.sources import SOURCES
    from lenet.experiments.corrections import frame_corrections
    from lenet.models.checkpoint import load_checkpoint

    checkpoint, corrections = load_checkpoint(initial), None
    if recipe.rehearsal:
        recipe = replace(recipe, model=checkpoint.model.config)
        if recipe.data not in SOURCES:
            corrections = frame_corrections(Path(recipe.data), checkpoint)
    return begin(recipe.override(changes), initial=checkpoint, corrections=corrections)


def announce(records: Iterator[Record], line: str) -> Iterator[Record]:
    """Pass records on; print a line on standard error before the first, so earlier errors stand alone."""
    for number, record in enumerate(records):
        if not number:
            print(line, file=sys.stderr)
        yield record
