"""`lenet runs`: what trainings left, side by side; `lenet runs plot`: their curves in one picture."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lenet.apps.tables import name_run, show_runs
from lenet.cli.app import Json, RunsDir, app

runs_app = App(name="runs", help_format="plaintext")
app.command(runs_app)


@runs_app.default
def runs(*, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List the runs in a folder: figures, and what was changed in the recipe of each.

    Example: lenet runs --runs-dir runs
    """
    from lenet.training.runs import list_runs

    summaries = list_runs(runs_dir)
    if json:
        print(json_module.dumps([asdict(summary) for summary in summaries]))
    else:
        print(
            show_runs(summaries) if summaries else f"no runs in {runs_dir}; begin one with: lenet train quick"
        )


@runs_app.command
def plot(
    *names: Annotated[str, Parameter(help="Runs: folders, or their names in --runs-dir. [default: all]")],
    out: Annotated[Path, Parameter(help="The PNG to draw.")] = Path("curves.png"),
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Draw the curves of several runs into one picture: a colour for each run.

    Example: lenet runs plot quick-digits-0 quick-digits-0-2 --out curves.png
    """
    from lenet.errors import RunError
    from lenet.training.curves import plot_comparison, save_figure
    from lenet.training.runs import find_run, list_runs, sum_up

    chosen = names or [run.run for run in list_runs(runs_dir) if run.epochs]
    if not chosen:
        raise RunError(f"no runs in {runs_dir}; begin one with: lenet train quick")
    folders = [find_run(name, runs_dir) for name in chosen]
    histories = {name_run(sum_up(folder)): folder.read_history() for folder in folders}
    save_figure(plot_comparison(histories, f"{len(histories)} runs"), out)
    result = {"picture": str(out), "runs": [str(folder.path) for folder in folders]}
    print(json_module.dumps(result) if json else f"{out}: {len(histories)} runs")
