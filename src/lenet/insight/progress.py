"""Consumers of a training's records: the terminal, the notebook, TensorBoard and curves.png.

Each function takes the iterator of a training and yields its epochs, so that they can be chained.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lenet.errors import RunError
from lenet.insight.plots.canvas import COLOURS, render_figure
from lenet.insight.plots.charts import MEASURES, SPLITS, list_values
from lenet.insight.plots.curves import draw_curves, plot_curves
from lenet.kernels.convolution import explain_backend
from lenet.phrases import Phrase
from lenet.training.loop import Epoch, Step
from lenet.training.run_folder import RunFolder

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # characters of a curve on a terminal
POINTS_IN_EPOCH = 5  # of the curves, as d2l's Animator has
SECONDS_BETWEEN_PICTURES = 2.0  # in a notebook; drawing one takes 0.4 s
SECONDS_BETWEEN_DRAWINGS = 20  # of curves.png during training; drawing it takes 0.5 s


def show_progress(records: Iterable[Step | Epoch], *, quiet: bool = False) -> Iterator[Epoch]:
    """Yield the epochs, and show the progress and the curves of the training.

    In a notebook the curves are a picture that is replaced after each epoch. On a terminal they are lines of
    blocks on standard error, above a bar with loss, accuracy, examples a second and time left; elsewhere
    each epoch is a line of text. Takes the records of `train` or of a run.
    """
    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_jupyter:
        return _show_on_terminal(records, console)

    return show_in_notebook(records)


def _show_on_terminal(records: Iterable[Step | Epoch], console: Console) -> Iterator[Epoch]:
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
                    live.update(Group(draw_sparklines(history, console.width - 36), progress))
                yield record


def draw_sparklines(history: Sequence[Epoch], width: int = WIDTH) -> Table:
    """The curves of a training as lines of up to `width` blocks; those of one measure share their scale."""
    table = Table.grid(padding=(0, 2))
    for measure in MEASURES:
        curves = {split: list_values(history, split, measure) for split in SPLITS}
        values = [value for curve in curves.values() for value in curve]
        for split, curve in curves.items():
            if curve:
                line = _draw_line(curve, min(values), max(values), min(max(width, 1), WIDTH))
                ends = (f"{v:.2%}" if measure == "accuracy" else f"{v:.4f}" for v in (curve[0], curve[-1]))
                table.add_row(measure, split, next(ends), Text(line, style=COLOURS[split]), next(ends))
    return table


def _draw_line(values: Sequence[float], low: float, high: float, width: int) -> str:
    """A block for each value, at most `width` of them, as high as it lies between `low` and `high`."""
    count = min(len(values), width)
    shown = [values[(number + 1) * len(values) // count - 1] for number in range(count)]
    heights = ((value - low) / ((high - low) or 1) for value in shown)
    return "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)


def write_epoch(epoch: Epoch) -> Phrase:
    """A finished epoch in one line of text."""
    template = "epoch {epoch:{width}}/{epochs}  train {train_loss:.4f} {train_accuracy:.2%}"
    line = Phrase(template, width=len(str(epoch.epochs)), **asdict(epoch))
    if epoch.validation_accuracy is not None:
        line = Phrase(
            "{line}  validation {validation_loss:.4f} {validation_accuracy:.2%}", line=line, **asdict(epoch)
        )
        line = Phrase("{line} best", line=line) if epoch.is_best else line
    if epoch.test_accuracy is not None:
        line = Phrase("{line}  test {test_loss:.4f} {test_accuracy:.2%}", line=line, **asdict(epoch))
    return Phrase("{line}  {rate:,.0f} examples/s", line=line, rate=epoch.examples_per_second)


def show_in_notebook(records: Iterable[Step | Epoch]) -> Iterator[Epoch]:
    """Yield the epochs, and keep one picture of their curves, with points within the epoch, in the output.

    The last picture shows every epoch, also when the loop is left with `break`.
    """
    from IPython.display import Image, display  # installed where a notebook runs

    history: list[Epoch] = []
    steps: list[Step] = []
    handle, drawn, drawn_at = None, (0, 0), -math.inf

    def show(title: str) -> None:
        nonlocal handle, drawn, drawn_at
        picture = Image(render_figure(plot_curves(history, title, steps)), width=900)
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)
        drawn, drawn_at = (len(history), len(steps)), time.monotonic()

    try:
        for record in records:
            if isinstance(record, Epoch):
                history.append(record)
            elif not note_step(steps, record):
                continue
            if time.monotonic() - drawn_at > SECONDS_BETWEEN_PICTURES:
                show(write_epoch(record) if isinstance(record, Epoch) else write_step(record))
            if isinstance(record, Epoch):
                yield record
    finally:
        if history and drawn != (len(history), len(steps)):
            show(write_epoch(history[-1]))


def note_step(steps: list[Step], step: Step) -> bool:
    """Append a step to the points of the curves, POINTS_IN_EPOCH an epoch; False where it is none of them."""
    share = POINTS_IN_EPOCH * step.step // step.steps
    earlier = steps[-1] if steps and steps[-1].epoch == step.epoch else None
    if share <= (0 if earlier is None else POINTS_IN_EPOCH * earlier.step // earlier.steps):
        return False
    steps.append(step)
    return True


def write_step(step: Step) -> Phrase:
    """How far an epoch is, in one line of text."""
    template = "epoch {epoch}/{epochs}, {share:.0%}  train {loss:.4f} {accuracy:.2%}"
    return Phrase(template, share=step.step / step.steps, **asdict(step))


def find_writer() -> Any:
    """TensorBoard's writer of events. Raises RunError where tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise RunError(
            "events need tensorboardX; install it with: pip install 'lenet[tensorboard]'"
        ) from None
    return SummaryWriter


def write_events(epochs: Iterable[Epoch], folder: Path, earlier: Sequence[Epoch] = ()) -> Iterator[Epoch]:
    """Yield the epochs, and write each to a TensorBoard events file in `folder`, which holds nothing else.

    `earlier` are finished epochs of the same run: they are written first, and the folder's old files are
    removed, so that a resumed run has one curve, not two. Raises what `find_writer` raises.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with find_writer()(str(folder)) as writer:
        for epoch in earlier:
            _write(writer, epoch)
        for epoch in epochs:
            _write(writer, epoch)
            writer.flush()
            yield epoch


def _write(writer: Any, epoch: Epoch) -> None:
    for measure in MEASURES:
        for split in SPLITS:
            value = getattr(epoch, f"{split}_{measure}")
            if value is not None:
                writer.add_scalar(f"{measure}/{split}", value, epoch.epoch)
    writer.add_scalar("learning_rate", epoch.learning_rate, epoch.epoch)


def keep_curves(records: Iterable[Step | Epoch], folder: RunFolder) -> Iterator[Step | Epoch]:
    """Yield the records of a run, and draw its curves.png during training and at its end."""

    steps: list[Step] = []

    def draw() -> None:
        draw_curves(folder.read_history(), folder.path / "curves.png", folder.path.name, steps)

    drawn_at = time.monotonic()
    for record in records:
        if isinstance(record, Step):
            note_step(steps, record)
        elif time.monotonic() - drawn_at > SECONDS_BETWEEN_DRAWINGS:
            draw()
            drawn_at = time.monotonic()
        yield record
    draw()


def describe_device(folder: RunFolder, processes: int = 1) -> str:
    """Where a run is trained, in one line: device, processes, threads, and what computes the layers."""
    plan = folder.read_plan()
    shared = "" if plan.slices == 1 else f" in {processes} process" + "es" * (processes > 1)
    if plan.slices > 1:
        shared += f", batches in {plan.slices} slices"
    if plan.device.startswith("cuda"):
        name = torch.cuda.get_device_name(plan.device)
        return f"training on {plan.device} ({name}){shared}, PyTorch's operators"
    threads = "1 thread" if plan.threads == 1 else f"{plan.threads} threads"
    threads = f"{threads} each" if processes > 1 else threads
    name, reason = explain_backend()
    kernel = f"the compiled kernel ({name})"
    if name == "torch" or plan.device != "cpu":
        kernel = "PyTorch's operators" + f" ({reason})" * (plan.device == "cpu")
    return f"training on {plan.device}{shared}, {threads}, {kernel}"
