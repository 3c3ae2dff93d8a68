"""How far a training or a reading is, on standard error."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from lenet.training.loop import Epoch, Step


def show_progress(records: Iterable[Step | Epoch], *, quiet: bool = False) -> Iterator[Epoch]:
    """Pass the epochs on, and show on standard error how far the training is.

    On a terminal a bar with loss, accuracy, examples a second and time left; elsewhere a line an epoch.
    """
    from lenet.training.loop import Epoch

    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}"),
        TextColumn("{task.fields[rate]:,.0f} examples/s"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None, epoch=0, epochs=0, loss=0.0, accuracy=0.0, rate=0.0)
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
                console.print(_epoch_line(record), highlight=False, soft_wrap=True)
                yield record


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


def _epoch_line(epoch: Epoch) -> str:
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
