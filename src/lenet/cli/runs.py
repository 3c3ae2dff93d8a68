"""`lenet runs`, `lenet runs plot`, `lenet doctor` and `lenet report`: what to do with finished runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lenet.cli.app import LINE, Json, RunsDir, app, name_flags, write_json
from lenet.cli.tables import name_run, show_runs
from lenet.phrases import Phrase

runs_app = App(name="runs", help_format="plaintext")

app.command(runs_app)


@runs_app.default
def runs(*, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List the runs in a folder, with their metrics and the settings that differ from the recipe.

    Example: lenet runs --runs-dir runs
    """
    from lenet.training.summaries import list_runs

    summaries = list_runs(runs_dir)
    if json:
        print(write_json([asdict(summary) for summary in summaries]))
    else:
        print(
            show_runs(summaries) if summaries else f"no runs in {runs_dir}; start one with: lenet train quick"
        )


@runs_app.command
def plot(
    *names: Annotated[str, Parameter(help="Run folders, or names of runs in --runs-dir. [default: all]")],
    out: Annotated[Path, Parameter(help="The PNG file to write.")] = Path("curves.png"),
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Plot the curves of several runs in one figure, with one colour per run.

    Example: lenet runs plot quick-digits-0 quick-digits-0-2 --out curves.png
    """
    from lenet.errors import RunError
    from lenet.insight.plots.canvas import save_figure
    from lenet.insight.plots.curves import plot_runs
    from lenet.training.summaries import find_run, list_runs, summarise_run

    chosen = names or [run.run for run in list_runs(runs_dir) if run.epochs and run.recipe != LINE]
    if not chosen:
        raise RunError(f"no runs in {runs_dir}; start one with: lenet train quick")
    folders = [find_run(name, runs_dir) for name in chosen]
    histories = {name_run(summarise_run(folder)): folder.read_history() for folder in folders}
    title = Phrase("1 run" if len(histories) == 1 else "{count} runs", count=len(histories))
    save_figure(plot_runs(histories, title), out)
    result = {"picture": str(out), "runs": [str(folder.path) for folder in folders]}
    print(write_json(result) if json else f"{out}: {len(histories)} runs")


@app.command
def doctor(
    run: Annotated[Path, Parameter(help="A run folder, finished or not; nothing in it is changed.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Diagnose a run: find its faults and say what to change, from its history and its network.

    The exit code is 1 if there is a fault.

    Example: lenet doctor runs/quick-digits-0
    """
    from lenet.insight.diagnosis import diagnose
    from lenet.training.run_folder import RunFolder

    diagnosis = diagnose(RunFolder(run))
    if json:
        faults = [
            asdict(fault) | {"remedy": name_flags(fault.remedy, ["train"])} for fault in diagnosis.faults
        ]
        print(write_json(diagnosis.to_dict() | {"faults": faults}))
    elif diagnosis.faults:
        for fault in diagnosis.faults:
            print(f"{run}: {name_flags(fault.sentence, ['train'])}")
    else:
        epochs = diagnosis.symptoms.epochs
        print(f"{run}: {epochs} epochs, no fault found" if epochs else f"{run}: no epoch is finished yet")
    return int(bool(diagnosis.faults))


@app.command
def report(
    run: Annotated[Path, Parameter(help="A run folder with a finished epoch.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="The HTML file to write. [default: report.html in the run folder]")
    ] = None,
    language: Annotated[
        Literal["en", "zh"] | None, Parameter(help="The language of the report. [default: by locale]")
    ] = None,
    json: Json = False,
) -> None:
    """Write a report of a run as an HTML file that works offline, and beside it a page to draw digits on.

    Example: lenet report runs/quick-digits-0
    """
    from lenet.files import write_bytes
    from lenet.insight.report import write_report
    from lenet.page.bundle import make_page
    from lenet.training.run_folder import RunFolder

    path = run / "report.html" if out is None else out
    page = path.with_name(f"{path.stem}-page.html")
    write_report(RunFolder(run), path, page.name, language)
    write_bytes(page, make_page([run], language=language or "auto").encode())
    size = path.stat().st_size
    if json:
        print(write_json({"report": str(path), "bytes": size, "page": str(page)}))
    else:
        print(f"{path}: {size:,} bytes; it links to {page}")
