"""`lenet study`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from lenet.cli.app import Json, Quiet, RunsDir, app, write_json
from lenet.cli.flags import read_whole
from lenet.cli.stopping import stop_with
from lenet.cli.tables import align
from lenet.errors import RecipeError
from lenet.experiments.space import Choice, Range, Search, make_grid, read_space, write_value
from lenet.experiments.studies import STUDIES, Study, find_study
from lenet.training.recipe import Recipe
from lenet.training.recipes import find_recipe

if TYPE_CHECKING:
    from lenet.experiments.pool import Outcome
    from lenet.experiments.trials import TrialResult


@app.command
def study(
    name: Annotated[str | None, Parameter(help="The name of a study; without it, list the studies.")] = None,
    /,
    *,
    data: Annotated[str | None, Parameter(help="A data set, in place of the study's.")] = None,
    epochs: Annotated[
        int | None, Parameter(help="The number of epochs, in place of the study's.", converter=read_whole)
    ] = None,
    seeds: Annotated[int, Parameter(help="Runs per variant.", converter=read_whole)] = 3,
    over: Annotated[
        list[str] | None,
        Parameter(
            help="Settings to try: lr=0.01:0.9:log activation=relu,sigmoid hidden=120-84,64.",
            consume_multiple=True,
            negative=(),
        ),
    ] = None,
    recipe: Annotated[str, Parameter(help="With --over: the recipe to change.")] = "quick",
    trials: Annotated[
        int | None,
        Parameter(
            help="With --over: search with this many trials. [default: a grid of all combinations]",
            converter=read_whole,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        Parameter(help="With --trials: a shared database, postgresql://…. [default: a SQLite file]"),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="Parallel runs, with one thread each. [default: one per core]", converter=read_whole),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare variants of a recipe over several seeds: mean, standard deviation and a conclusion.

    If it is killed, the same command keeps the finished runs and resumes.

    Example: lenet study pooling --seeds 3
    Example: lenet study --over lr=0.001,0.01 activation=relu,tanh --recipe quick
    Example: lenet study --over lr=0.0001:0.1:log hidden=120-84,64 --trials 50
    """
    for label, number in (("seeds", seeds), ("workers", workers), ("trials", trials)):
        if number is not None and not 1 <= number <= 100_000:
            raise RecipeError(f"{label} is {number}; it must be a number from 1 to 100,000")
    given = {"data": data, "epochs": epochs}
    changes = {key: value for key, value in given.items() if value is not None}
    if over is None and (trials is not None or storage is not None):
        raise RecipeError("--trials and --storage are for a search; say what to try: --over lr=0.01:0.9:log")
    if over is not None:
        if name is not None:
            raise RecipeError(f"--over makes a study of its own; leave {name!r} out, or --over")
        if storage is not None and trials is None:
            raise RecipeError("--storage is for a search; say how often to try with --trials 50")
        base = find_recipe(recipe, data).override(changes)
        space = read_space(base, over)
        if trials is not None:
            search(base, space, trials, storage, workers, runs_dir, quiet=quiet, json=json)
            return
        chosen = make_grid(base, space)
    elif name is None:
        show_studies(json=json)
        return
    else:
        chosen = find_study(name).with_changes(changes)
    conduct(chosen, seeds, workers, runs_dir / "studies", quiet=quiet, json=json)


def search(
    base: Recipe,
    space: tuple[Range | Choice, ...],
    trials: int,
    storage: str | None,
    workers: int | None,
    runs_dir: Path,
    *,
    quiet: bool,
    json: bool,
) -> None:
    """Search, draw, print the best trials and the command that trains the best."""
    from lenet.experiments.figures import draw_search
    from lenet.experiments.storage import find_storage
    from lenet.experiments.trials import hold_out, list_results, run_search
    from lenet.processes import count_cores

    plan = Search(hold_out(base), space, trials)
    folder = runs_dir / plan.name
    url = find_storage(storage, folder)
    running = run_search(plan, folder, url, workers or count_cores())
    with stop_with("stopped; finished trials are kept, and the same command resumes"):
        for _ in show_trials(running, quiet=quiet):
            pass
    results = list_results(plan, url)
    draw_search(plan, results, folder / "trials.png")
    ranked = sorted(
        (result for result in results if result.state == "complete"),
        key=lambda result: -(result.validation_accuracy or 0),
    )
    if json:
        print(write_json({"study": plan.name, "trials": [asdict(result) for result in results]}))
        return
    counts = Counter(result.state for result in results)
    names = [part.name for part in space]
    rows = [
        [
            row.number,
            *(write_value(row.settings[name]) for name in names),
            f"{row.validation_accuracy or 0:.2%}",
            f"{row.test_accuracy:.2%}" if row.test_accuracy is not None else "diverged",
        ]
        for row in ranked[:10]
    ]
    print(f"{len(results)} trials: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    print(align([["trial", *names, "validation", "test"], *rows], right=(0,)))
    print(folder / "trials.png")


def show_studies(*, json: bool) -> None:
    """The table of studies."""
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "question": entry.question,
            "data": entry.recipe.data,
            "epochs": entry.recipe.epochs,
            "variants": {label: dict(changes) for label, changes in entry.variants.items()},
        }
        for entry in STUDIES.values()
    ]
    if json:
        print(write_json(rows))
        return
    table = [[row["name"], len(row["variants"]), row["data"], row["epochs"], row["question"]] for row in rows]
    print(align([["study", "variants", "data", "epochs", "question"], *table], right=(1, 3)))


def conduct(chosen: Study, seeds: int, workers: int | None, folder: Path, *, quiet: bool, json: bool) -> None:
    """Train, compare, print."""
    from lenet.experiments.comparison import compare, prepare, run_study
    from lenet.experiments.figures import write_comparison
    from lenet.processes import count_cores

    chosen = prepare(chosen, folder)
    running = run_study(chosen, seeds, folder, workers or count_cores())
    with stop_with(f"stopped; {folder} keeps the finished runs, and the same command resumes"):
        outcomes = list(show_outcomes(running, seeds * len(chosen.variants), quiet=quiet))
    comparison = compare(chosen, seeds, outcomes)
    write_comparison(comparison, folder)
    if json:
        print(write_json(comparison.to_dict()))
        return
    names = comparison.conditions
    rows = [[v.label, *(v.write(condition) for condition in names)] for v in comparison.variants]
    print(comparison.question)
    print(align([["variant", *names], *rows], right=range(1, len(names) + 1)))
    print(f"{comparison.conclusion}\n{folder / (comparison.study + '.png')}")


def show_outcomes(outcomes: Iterable[Outcome], total: int, *, quiet: bool = False) -> Iterator[Outcome]:
    """Pass the outcomes of runs on, and print a line for each on standard error."""
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    for done, outcome in enumerate(outcomes, start=1):
        accuracy = outcome.test_accuracy
        result = "diverged" if accuracy is None else f"test {accuracy:.2%}"
        console.print(f"{done}/{total}  {outcome.run}  {result}", highlight=False, soft_wrap=True)
        yield outcome


def show_trials(results: Iterable[TrialResult], *, quiet: bool = False) -> Iterator[TrialResult]:
    """Pass the trials of a search on, and print a line for each on standard error."""
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    for result in results:
        accuracy = result.validation_accuracy
        figure = "" if accuracy is None else f"  validation {accuracy:.2%}"
        settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
        console.print(
            f"trial {result.number}  {result.state}{figure}  {settings}", highlight=False, soft_wrap=True
        )
        yield result
