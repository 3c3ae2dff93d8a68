"""`lenet predict`."""

from __future__ import annotations

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
    read_stdin,
    report,
    write_json,
)
from lenet.cli.flags import read_share, read_whole
from lenet.errors import PictureError, RecipeError
from lenet.files import escape_unprintable
from lenet.phrases import Phrase

MAX_SAMPLES = 400  # in a larger grid the images are too small to see


@app.command
def predict(
    *pictures: Annotated[
        str,
        Parameter(
            help="Pictures, or with --out also folders and s3://bucket/prefix; - is standard input.",
            allow_leading_hyphen=True,
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
        Parameter(
            help="Where the upright reading is rejected, also try 90, 180 and 270 degrees.", negative=""
        ),
    ] = False,
    explain: Annotated[
        Path | None, Parameter(help="Draw the steps of the reading to this PNG, SVG or PDF.")
    ] = None,
    sample: Annotated[
        int, Parameter(help="Read this many random test images of --data instead.", converter=read_whole)
    ] = 0,
    data: Annotated[str | None, Parameter(help="The data set for --sample.")] = None,
    seed: Annotated[
        int | None, Parameter(help="Seed for --sample. [default: 0]", converter=read_whole)
    ] = None,
    out: Annotated[
        str | None,
        Parameter(
            help="Write results to this .csv (.excel.csv: for Excel) or .jsonl, or resume it. "
            "With --sample: the plot. A folder or s3://bucket/prefix gets a file for each 5,000 pictures."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="Worker processes for --out. [default: one per core]", converter=read_whole),
    ] = None,
    cluster: Annotated[
        str | None,
        Parameter(
            help="For --out: read on the Ray cluster at ray://HOST:10001 or HOST:6379; auto finds one."
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Read the digits in each picture; print one line per picture.

    Example: lenet predict photo.jpg --explain steps.png
    Example: lenet predict zip.png --length 5
    Example: lenet predict photos --out results.csv
    Example: lenet predict s3://bucket/photos --out s3://bucket/results --cluster auto
    Example: lenet predict --sample 50 --data mnist --out grid.png
    """
    for name in pictures:
        if name.startswith("-") and name != "-":
            raise PictureError(f"unknown option {name}; `lenet predict --help` shows what there is")
    from lenet.reading.transcription import check_constraints

    check_constraints(length, pattern, amount)
    known: dict[str, Any] = {"length": length, "pattern": pattern, "amount": amount}
    if sample:
        reason = "classifies single images of a data set"
        foreign = {**known, "max-error": max_error, "turned": turned, "workers": workers, "cluster": cluster}
    else:
        reason, foreign = "is not given", {"data": data, "seed": seed}
    for flag, value in foreign.items():
        if value is not None and value is not False:
            raise PictureError(f"--sample {reason}; leave --{flag} out")
    if out is not None and not sample:
        if explain is not None or not pictures:
            raise PictureError(
                "--out writes the results of pictures and folders; name some, and leave --explain out"
            )
        from lenet.cli.bulk import Bulk, is_one_file, read_into, read_into_store

        bulk = Bulk(pictures, checkpoint, max_error, turned, known, quiet=quiet, json=json)
        if cluster is None and is_one_file(out):
            return read_into(Path(out), bulk, workers)
        return read_into_store(out, bulk, workers, cluster)
    for flag, value in (("--workers", workers), ("--cluster", cluster)):
        if value is not None:
            raise PictureError(f"{flag} needs --out; add --out results.csv, or leave {flag} out")
    from lenet.batch.buckets import SCHEME

    for name in pictures:
        if name.startswith(SCHEME):
            raise PictureError(f"{name}: pictures on S3 are read with --out; add --out results.csv")
    if sample:
        from lenet.models.checkpoint import load_checkpoint

        if pictures or explain is not None:
            raise PictureError("--sample draws from a data set; leave the pictures and --explain out")
        from lenet.training.runs import find_training_data

        loaded = load_checkpoint(SHIPPED if checkpoint == LINE else checkpoint)
        source = find_training_data(checkpoint, loaded) if data is None else data
        return predict_sample(loaded, source, sample, seed or 0, Path(out or "sample.png"), json=json)
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
