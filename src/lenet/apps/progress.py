"""How far a training is, on standard error."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lenet.training.loop import Epoch, Step


def show_progress(records: Iterable[Step | Epoch], *, quiet: bool = False) -> Iterator[Epoch]:
    """Pass the epochs on, and show on standard error how far the training is.

    On a terminal a bar with loss, accuracy, examples a second and time left; elsewhere a line an epoch.
    """
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
