"""How far a training or a reading is: on standard error, or in the notebook."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lenet.training.loop import Epoch, Step
    from lenet.training.parallel import Outcome
    from lenet.training.trials import TrialResult

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # characters of a curve on a terminal


def show_progress(records: Iterable[Step | Epoch], *, quiet: bool = False) -> Iterator[Epoch]:
    """Pass the epochs on, and show how far the training is and how its curves go.

    In a notebook the curves are a picture that is replaced as epochs end. On a terminal they are lines of
    blocks on standard error, below a bar with loss, accuracy, examples a second and time left; elsewhere
    there is a line an epoch. Works around `train` as it does around a run.
    """
    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_jupyter:
        return _show_on_terminal(records, console)
    from lenet.apps.notebook import show_in_notebook

    return show_in_notebook(records)


def _show_on_terminal(records: Iterable[Step | Epoch], console: Console) -> Iterator[Epoch]:
    from lenet.training.loop import Epoch

    progress = Progress(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}"),
        TextColumn("{task.fields[rate]:,.0f} examples/s"),
        TimeRemainingColumn(compact=True),
        console=console,
    )
    task = progress.add_task("", total=None, epoch=0, epochs=0, loss=0.0, accuracy=0.0, rate=0.0)
    history: list[Epoch] = []
    with Live(progress, console=console, transient=True) if console.is_terminal else nullcontext() as live:
        for record in records:
            if isinstance(record, Epoch):
                loss, accuracy, share = record.train_loss, record.train_accuracy, 1.0
            else:
                loss, accuracy, share = record.loss, record.accuracy, record.step / record.steps
            progress.update(
                task,
                completed=record.epoch - 1 + share,
                total=record.epochs,
                epoch=record.epoch,
                epochs=record.epochs,
                loss=loss,
                accuracy=accuracy,
                rate=record.examples_per_second,
            )
            if isinstance(record, Epoch):
                history.append(record)
                console.print(write_epoch(record), highlight=False, soft_wrap=True)
                if live is not None and not console.options.ascii_only:
                    live.update(Group(draw_lines(history, console.width - 36), progress))
                yield record


def draw_lines(history: Sequence[Epoch], width: int = WIDTH) -> Table:
    """The curves of a training as lines of up to `width` blocks; those of one measure share their scale."""
    from lenet.training.curves import COLOURS, MEASURES, list_values

    table = Table.grid(padding=(0, 2))
    for measure in MEASURES:
        curves = {split: list_values(history, split, measure) for split in COLOURS}
        values = [value for curve in curves.values() for value in curve]
        for split, curve in curves.items():
            if curve:
                line = _draw_line(curve, min(values), max(values), min(max(width, 1), WIDTH))
                ends = (f"{v:.2%}" if measure == "accuracy" else f"{v:.4f}" for v in (curve[0], curve[-1]))
                table.add_row(measure, split, next(ends), Text(line, style=COLOURS[split]), next(ends))
    return table


def _draw_line(values: Sequence[float], least: float, most: float, width: int) -> str:
    """A block for each value, at most `width` of them, as high as it lies between `least` and `most`."""
    count = min(len(values), width)
    shown = [values[(number + 1) * len(values) // count - 1] for number in range(count)]
    heights = ((value - least) / ((most - least) or 1) for value in shown)
    return "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)


def show_outcomes(outcomes: Iterable[Outcome], total: int, *, quiet: bool = False) -> Iterator[Outcome]:
    """Pass the outcomes of trainings on, and show a line for each on standard error."""
    console = Console(stderr=True, quiet=quiet)
    for done, outcome in enumerate(outcomes, start=1):
        accuracy = outcome.test_accuracy
        result = "diverged" if accuracy is None else f"test {accuracy:.2%}"
        console.print(f"{done}/{total}  {outcome.run}  {result}", highlight=False, soft_wrap=True)
        yield outcome


def show_trials(results: Iterable[TrialResult], *, quiet: bool = False) -> Iterator[TrialResult]:
    """Pass the trials of a search on, and show a line for each on standard error."""
    console = Console(stderr=True, quiet=quiet)
    for result in results:
        accuracy = result.validation_accuracy
        figure = "" if accuracy is None else f"  validation {accuracy:.2%}"
        settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
        console.print(
            f"trial {result.number}  {result.state}{figure}  {settings}", highlight=False, soft_wrap=True
        )
        yield result


def show_reading(
    rows: Iterable[dict[str, Any]], total: int, *, quiet: bool = False
) -> Generator[dict[str, Any], None, None]:
    """Pass the rows of pictures on, and show on a terminal's standard error how far the reading is."""
    console = Console(stderr=True, quiet=quiet)
    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f} pictures/s  {task.fields[failed]:,} not read"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=total, rate=0.0, failed=0)
        began, failed = time.monotonic(), 0
        for done, row in enumerate(rows, start=1):
            failed += "error" in row
            rate = done / max(time.monotonic() - began, 1e-9)
            progress.update(task, completed=done, failed=failed, rate=rate)
            yield row


def write_epoch(epoch: Epoch) -> str:
    """A finished epoch in one line of text."""
    width = len(str(epoch.epochs))
    line = (
        f"epoch {epoch.epoch:{width}}/{epoch.epochs}  train {epoch.train_loss:.4f} {epoch.train_accuracy:.2%}"
    )
    if epoch.validation_accuracy is not None:
        line += f"  validation {epoch.validation_loss:.4f} {epoch.validation_accuracy:.2%}"
        line += " best" if epoch.is_best else ""
    if epoch.test_accuracy is not None:
        line += f"  test {epoch.test_loss:.4f} {epoch.test_accuracy:.2%}"
    return f"{line}  {epoch.examples_per_second:,.0f} examples/s"
