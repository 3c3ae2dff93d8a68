"""`lenet predict`."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from lenet.cli.app import (
    LINE,
    SHIPPED,
    CheckpointName,
    Json,
    Quiet,
    app,
    check_output,
    end,
    read_stdin,
    report,
    write_json,
)
from lenet.cli.flags import read_share, read_whole
from lenet.errors import PictureError, RecipeError, ResultsError
from lenet.files import escape_unprintable
from lenet.phrases import Phrase

MAX_SAMPLES = 400  # in a larger grid the images are too small to see


@app.command
def predict(
    *pictures: Annotated[
        str,
        Parameter(
            help="Pictures, or with --out also folders; - is standard input.", allow_leading_hyphen=True
        ),
    ],
    checkpoint: CheckpointName = LINE,
    max_error: Annotated[
        float | None,
        Parameter(
            help="Reject readings so that at most this share of the others is wrong: 0.5%.",
            converter=read_share,
        ),
    ] = None,
    length: Annotated[
        int | None, Parameter(help="The number of digits in each picture, if known.", converter=read_whole)
    ] = None,
    pattern: Annotated[
        str | None, Parameter(help="The format of the number, # for each digit: '#####-####'.")
    ] = None,
    amount: Annotated[
        bool,
        Parameter(help="Read amounts of money: no leading zero, separators are left out.", negative=""),
    ] = False,
    turned: Annotated[
        bool,
        Parameter(help="Where nothing is read upright, also try 90, 180 and 270 degrees.", negative=""),
    ] = False,
    explain: Annotated[
        Path | None, Parameter(help="Draw the steps of the reading to this PNG, SVG or PDF.")
    ] = None,
    sample: Annotated[
        int, Parameter(help="Read this many random test images of --data instead.", converter=read_whole)
    ] = 0,
    data: Annotated[str | None, Parameter(help="The data set for --sample.")] = None,
    seed: Annotated[int, Parameter(help="Seed for --sample.", converter=read_whole)] = 0,
    out: Annotated[
        Path | None,
        Parameter(
            help="Write results to this .csv (.excel.csv: for Excel) or .jsonl, or resume it. "
            "With --sample: the plot."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="Worker processes for --out. [default: one per core]", converter=read_whole),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Read the digits in each picture; print one line per picture.

    Example: lenet predict photo.jpg --explain steps.png
    Example: lenet predict zip.png --length 5
    Example: lenet predict photos --out results.csv
    Example: lenet predict --sample 50 --data mnist --out grid.png
    """
    for name in pictures:
        if name.startswith("-") and name != "-":
            raise PictureError(f"unknown option {name}; `lenet predict --help` shows what there is")
    from lenet.reading.transcription import check_constraints

    check_constraints(length, pattern, amount)
    known: dict[str, Any] = {"length": length, "pattern": pattern, "amount": amount}
    if sample and any(known.values()):
        raise PictureError("--sample reads single digits; leave --length, --pattern and --amount out")
    if out is not None and not sample:
        if explain is not None or not pictures:
            raise PictureError(
                "--out writes the results of pictures and folders; name some, and leave --explain out"
            )
        known["turned"] = turned
        return read_into(out, pictures, checkpoint, workers, max_error, quiet=quiet, json=json, **known)
    if workers is not None:
        raise PictureError("--workers needs --out; add --out results.csv, or leave --workers out")
    if sample:
        from lenet.models.checkpoint import load_checkpoint

        if pictures or explain is not None:
            raise PictureError("--sample draws from a data set; leave the pictures and --explain out")
        from lenet.training.runs import find_training_data

        loaded = load_checkpoint(SHIPPED if checkpoint == LINE else checkpoint)
        source = find_training_data(checkpoint, loaded) if data is None else data
        return predict_sample(loaded, source, sample, seed, out or Path("sample.png"), json=json)
    if not pictures:
        raise PictureError("no picture was given; name one or more, or draw from a data set with --sample 50")
    from lenet.reading.reader import Reader

    if explain is not None and len(pictures) > 1:
        raise PictureError("--explain draws one picture's steps; give one picture")
    if explain is not None:
        check_output(explain, [*pictures, checkpoint])
    reader = Reader(checkpoint, max_error, turned)
    failed = 0
    for name in pictures:
        content = read_stdin() if name == "-" else Path(name)
        try:
            if explain is None:
                reading = reader.read(content, **known)
            else:
                reading, steps = reader.explain(content, **known)
        except PictureError as error:
            failed += 1
            if json:
                print(write_json({"picture": name, "error": str(error)}))
            else:
                report(str(error))
            continue
        if explain is not None:
            from lenet.insight.plots.figures import draw_steps

            said = Phrase("{text} ({share:.1%})", text=reading.text, share=reading.confidence)
            title = Phrase(
                "{name}: read as {said}", name=name, said=said if reading.text else Phrase("nothing")
            )
            draw_steps(steps, explain, title)
        text = reading.text or "nothing to read"
        row = {"picture": name, **reading.to_dict()}
        doubt = f"; rejected: {reading.reason}" if reading.digits and reading.rejected else ""
        print(
            write_json(row)
            if json
            else f"{escape_unprintable(name)}: {text} ({reading.confidence:.1%}){doubt}"
        )
    return 2 if failed == len(pictures) and not json else min(failed, 1)


def predict_sample(loaded: Any, data: str, count: int, seed: int, out: Path, *, json: bool) -> int:
    """`lenet predict --sample`: a grid of random test images with their predictions."""
    import torch

    from lenet.data.datasets import load
    from lenet.insight.plots.figures import draw_sample
    from lenet.training.evaluation import match_classes
    from lenet.training.randomness import check_seed

    if not 1 <= count <= MAX_SAMPLES:
        raise RecipeError(f"sample is {count}; it must be a number from 1 to {MAX_SAMPLES}")
    check_seed(seed)
    images = match_classes(loaded, load(data, "test"))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    errors = draw_sample(loaded.model, images, order[:count], out)
    drawn = min(count, len(images))
    result = {"picture": str(out), "count": drawn, "errors": errors}
    print(write_json(result) if json else f"{out}: {drawn} images of {data}, {errors} read wrong")
    return 0


def read_into(
    out: Path,
    given: Sequence[str],
    checkpoint: str,
    workers: int | None,
    max_error: float | None,
    *,
    quiet: bool,
    json: bool,
    **options: Any,
) -> int:
    """Read the pictures that are not in `out` yet, append their rows, print what the file holds.

    Returns 0 when all of its pictures were read, 1 when some were not, 2 when none was.
    """
    from lenet.batch.folders import find_pictures
    from lenet.batch.pool import read_in_bulk
    from lenet.batch.results import Results

    if "-" in given:
        raise PictureError("standard input has no name for a results file; give a file or a folder")
    if workers is not None and workers < 1:
        raise PictureError(f"workers is {workers}; it must be 1 or more")
    for name in given:
        if not Path(name).exists():
            raise PictureError(f"{name}: there is no such file or folder; check the path")
    check_output(out, [*given, checkpoint])
    if next(find_pictures(given), None) is None:
        raise PictureError(f"no pictures in {', '.join(given)}; check the path")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops it as Ctrl-C does
    with Results(out) as results:
        kept = results.count
        total = sum(name not in results for name, _ in find_pictures(given))
        new = ((name, path) for name, path in find_pictures(given) if results.claim(name))
        rows = read_in_bulk(new, checkpoint, workers=workers, max_error=max_error, **options)
        try:
            with closing(show_reading(rows, total, quiet=quiet)) as shown:
                for row in shown:
                    results.append(row)
        except KeyboardInterrupt:
            end(f"stopped; {out} holds {results.count:,} pictures; the same command resumes it", code=130)
        except ResultsError as error:
            raise ResultsError(f"{error}; the same command resumes {out}") from error
    summary = {"out": str(out), "pictures": results.count, "new": results.count - kept}
    summary |= {"failed": results.failed, "rejected": results.rejected}
    if json:
        print(write_json(summary))
    else:
        print(
            f"{out}: {results.count:,} pictures, {results.count - kept:,} of them new; "
            f"{results.failed:,} could not be read, {results.rejected:,} rejected"
        )
    return 2 if results.failed == results.count else min(results.failed, 1)


def show_reading(
    rows: Iterable[dict[str, Any]], total: int, *, quiet: bool = False
) -> Generator[dict[str, Any], None, None]:
    """Pass rows on, and show a progress bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
