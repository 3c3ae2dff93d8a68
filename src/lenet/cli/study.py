"""`lenet study`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from lenet.apps.flags import read_whole
from lenet.apps.tables import align
from lenet.cli.app import Json, Quiet, RunsDir, app, end
from lenet.errors import RecipeError
from lenet.training.studies import STUDIES, Study, find_study


@app.command
def study(
    name: Annotated[str | None, Parameter(help="A study's name; without one, they are listed.")] = None,
    /,
    *,
    data: Annotated[str | None, Parameter(help="Another data set than the study's.")] = None,
    epochs: Annotated[
        int | None, Parameter(help="Another number of epochs than the study's.", converter=read_whole)
    ] = None,
    seeds: Annotated[int, Parameter(help="Runs of each variant.", converter=read_whole)] = 3,
    workers: Annotated[
        int | None,
        Parameter(help="Trainings at once, with a thread each. [default: one a core]", converter=read_whole),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Answer a question by training: one thing varied, several seeds, mean and spread, a conclusion.

    Killed at any time, the same command keeps the runs that are finished and goes on.

    Example: lenet study pooling --seeds 3
    """
    if name is None:
        show_studies(json=json)
        return
    chosen = find_study(name)
    changes = {"data": data, "epochs": epochs}
    chosen = chosen.with_changes({key: value for key, value in changes.items() if value is not None})
    for label, number in (("seeds", seeds), ("workers", 1 if workers is None else workers)):
        if not 1 <= number <= 1000:
            raise RecipeError(f"{label} is {number}; it must be a number from 1 to 1000")
    conduct(chosen, seeds, workers, runs_dir / f"study-{name}", quiet=quiet, json=json)


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
        print(json_module.dumps(rows))
        return
    table = [[row["name"], len(row["variants"]), row["data"], row["epochs"], row["question"]] for row in rows]
    print(align([["study", "variants", "data", "epochs", "question"], *table], right=(1, 3)))


def conduct(chosen: Study, seeds: int, workers: int | None, folder: Path, *, quiet: bool, json: bool) -> None:
    """Train, compare, print."""
    from lenet.apps.progress import show_outcomes
    from lenet.inference.bulk import count_cores
    from lenet.insight.studies import carry_out_study, compare, prepare, write_comparison

    chosen = prepare(chosen, folder)
    running = carry_out_study(chosen, seeds, folder, workers or count_cores())
    try:
        outcomes = list(show_outcomes(running, seeds * len(chosen.variants), quiet=quiet))
    except KeyboardInterrupt:
        end(f"stopped; {folder} keeps what is finished, the same command goes on with it", code=130)
    comparison = compare(chosen, seeds, outcomes)
    write_comparison(comparison, folder)
    if json:
        print(json_module.dumps(comparison.to_dict()))
        return
    names = comparison.conditions
    rows = [[v.label, *(v.write(condition) for condition in names)] for v in comparison.variants]
    print(comparison.question)
    print(align([["variant", *names], *rows], right=range(1, len(names) + 1)))
    print(f"{comparison.conclusion}\n{folder / 'comparison.png'}")
