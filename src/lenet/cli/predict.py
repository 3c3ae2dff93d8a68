"""`lenet predict`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from lenet.apps.flags import read_share, read_whole
from lenet.cli.app import CheckpointName, Json, Quiet, app
from lenet.cli.bulk import read_into
from lenet.errors import PictureError, RecipeError
from lenet.inference.constraints import check_constraints

MOST_SAMPLES = 400  # a grid of more is no picture to look at
SHIPPED = "reader"  # what `predict` reads with unless told otherwise


@app.command
def predict(
    *pictures: Annotated[
        str,
        Parameter(help="Pictures, with --out folders too; - is standard input.", allow_leading_hyphen=True),
    ],
    checkpoint: CheckpointName = SHIPPED,
    max_error: Annotated[
        float | None,
        Parameter(help="Reject what would make more of the rest wrong: 0.5%.", converter=read_share),
    ] = None,
    length: Annotated[
        int | None, Parameter(help="There are so many digits in each picture.", converter=read_whole)
    ] = None,
    pattern: Annotated[
        str | None, Parameter(help="How they are written, # for each digit: '#####-####'.")
    ] = None,
    amount: Annotated[
        bool, Parameter(help="Amounts of money: no leading zero; their digits come out alone.", negative="")
    ] = False,
    explain: Annotated[Path | None, Parameter(help="Draw each step of the reading to this PNG.")] = None,
    sample: Annotated[
        int, Parameter(help="Read this many random test images of --data instead.", converter=read_whole)
    ] = 0,
    data: Annotated[str | None, Parameter(help="The data set that --sample draws from.")] = None,
    seed: Annotated[int, Parameter(help="Decides which images --sample draws.", converter=read_whole)] = 0,
    out: Annotated[
        Path | None,
        Parameter(help="Keep results in this .csv or .jsonl, or go on with it. With --sample: the grid."),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="Processes that read for --out. [default: one a core]", converter=read_whole),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Read the digits in each picture: one line a picture.

    Example: lenet predict photo.jpg --explain steps.png
    Example: lenet predict zip.png --length 5
    Example: lenet predict photos --out results.csv
    Example: lenet predict --sample 50 --data mnist --out grid.png
    """
    for name in pictures:
        if name.startswith("-") and name != "-":
            raise PictureError(f"unknown option {name}; `lenet predict --help` shows what there is")
    check_constraints(length, pattern, amount)
    known: dict[str, Any] = {"length": length, "pattern": pattern, "amount": amount}
    if sample and any(known.values()):
        raise PictureError("--sample reads single digits; leave --length, --pattern and --amount out")
    if out is not None and not sample:
        if explain is not None or not pictures:
            raise PictureError("--out keeps the results of pictures and folders; name some, and no --explain")
        return read_into(out, pictures, checkpoint, workers, max_error, quiet=quiet, json=json, **known)
    if workers is not None:
        raise PictureError("--workers read for --out; name a results.csv there, or leave them out")
    from lenet.models.checkpoint import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    if sample:
        if pictures or explain is not None:
            raise PictureError("--sample draws from a data set; leave the pictures and --explain out")
        from lenet.training.runs import find_training_data

        source = find_training_data(checkpoint, loaded) if data is None else data
        return predict_sample(loaded, source, sample, seed, out or Path("sample.png"), json=json)
    if not pictures:
        raise PictureError("no picture was given; name one or more, or draw from a data set with --sample 50")
    from lenet.inference.reader import Reader

    if explain is not None and len(pictures) > 1:
        raise PictureError("--explain draws one picture's steps; give one picture")
    reader = Reader(loaded, max_error)
    failed = 0
    for name in pictures:
        content = sys.stdin.buffer.read() if name == "-" else Path(name)
        try:
            if explain is None:
                reading = reader.read(content, **known)
            else:
                reading, steps = reader.explain(content, **known)
        except PictureError as error:
            failed += 1
            if json:
                print(json_module.dumps({"picture": name, "error": str(error)}))
            else:
                print(f"lenet: {error}", file=sys.stderr)
            continue
        if explain is not None:
            from lenet.insight.figures import draw_steps

            draw_steps(steps, explain, f"{name}: read as {reading.text or 'nothing'}")
        text = reading.text or "nothing to read"
        row = {"picture": name, **reading.to_dict()}
        doubt = f"; rejected: {reading.reason}" if reading.digits and reading.rejected else ""
        print(json_module.dumps(row) if json else f"{name}: {text} ({reading.confidence:.1%}){doubt}")
    return 2 if failed == len(pictures) and not json else min(failed, 1)


def predict_sample(loaded: Any, data: str, count: int, seed: int, out: Path, *, json: bool) -> int:
    """`lenet predict --sample`: a grid of random test images with their predictions."""
    import torch

    from lenet.data.datasets import load
    from lenet.insight.figures import draw_sample
    from lenet.training.evaluate import match_classes
    from lenet.training.randomness import check_seed

    if not 1 <= count <= MOST_SAMPLES:
        raise RecipeError(f"sample is {count}; it must be a number from 1 to {MOST_SAMPLES}")
    check_seed(seed)
    images = match_classes(loaded, load(data, "test"))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    errors = draw_sample(loaded.model, images, order[:count], out)
    drawn = min(count, len(images))
    result = {"picture": str(out), "count": drawn, "errors": errors}
    print(json_module.dumps(result) if json else f"{out}: {drawn} images of {data}, {errors} read wrong")
    return 0
