"""`lenet calibrate`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lenet.cli.app import Json, Quiet, app
from lenet.cli.flags import read_whole


@app.command
def calibrate(
    checkpoint: Annotated[str, Parameter(help="A .safetensors file or a run folder.")],
    /,
    *,
    data: Annotated[
        str | None, Parameter(help="Where the training data are. [default: where the training found them]")
    ] = None,
    singles: Annotated[
        int, Parameter(help="The number of pictures of one digit.", converter=read_whole)
    ] = 4000,
    strings: Annotated[
        int, Parameter(help="The number of pictures of numbers and amounts.", converter=read_whole)
    ] = 6000,
    seed: Annotated[int, Parameter(help="Seed of the pictures.", converter=read_whole)] = 0,
    out: Annotated[
        Path | None, Parameter(help="The new checkpoint. [default: the checkpoint itself]")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit the thresholds of `predict --max-error` to pictures composed of digits held out of training.

    Only the card of the checkpoint changes, not its weights.

    Example: lenet calibrate runs/reader-mnist-0
    """
    from lenet.data.datasets import load
    from lenet.errors import CheckpointError
    from lenet.experiments.reading_calibration import calibrate_readings, find_held_out
    from lenet.models.checkpoint import Checkpoint, save_network
    from lenet.models.line import open_checkpoint, save_line
    from lenet.models.stored import find_checkpoint
    from lenet.training.randomness import check_seed
    from lenet.training.runs import find_training_data
    from lenet.uncertainty.reading_rejection import CARD_KEY

    path = find_checkpoint(checkpoint)
    if out is None and not Path(checkpoint).exists():
        raise CheckpointError(f"{checkpoint} are shipped weights; name a new file with `out`")
    check_seed(seed)
    loaded = open_checkpoint(path)
    if data is None:
        data = find_training_data(path, loaded) if isinstance(loaded, Checkpoint) else "mnist"
    held_out = find_held_out(loaded, load(data, "train"))
    if not quiet:
        print(f"lenet: reading {singles + strings:,} pictures composed of held-out digits", file=sys.stderr)
    if isinstance(loaded, Checkpoint):
        loaded = calibrate_readings(loaded, held_out, singles, strings, seed)
        save_network(loaded, out or path)
    else:
        loaded = calibrate_readings(loaded, held_out, singles, strings, seed)
        save_line(out or path, loaded.network, loaded.card)
    counts = {name: curve["validation_count"] for name, curve in loaded.card[CARD_KEY].items()}
    result = {"checkpoint": str(out or path), "readings": counts}
    rows = [f"{name} digits: {count:,} readings" for name, count in counts.items()]
    print(json_module.dumps(result) if json else "\n".join([f"{out or path}: calibrated", *rows]))
