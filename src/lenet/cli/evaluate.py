"""`lenet evaluate`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lenet.apps.tables import show_evaluation
from lenet.cli.app import Device, Json, app


@app.command
def evaluate(
    checkpoint: Annotated[str, Parameter(help="A .safetensors file, a run folder, or shipped weights.")],
    /,
    *,
    data: Annotated[str | None, Parameter(help="A data set; by default the one it was trained on.")] = None,
    split: Annotated[Literal["test", "train"], Parameter(help="Which half of the data.")] = "test",
    out: Annotated[Path | None, Parameter(help="A folder for confusion.png and hardest.png.")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure a checkpoint: accuracy, loss, each class, confusion matrix, hardest examples.

    Example: lenet evaluate runs/lab3-mnist-0/epoch-005.safetensors --data mnist --out figures
    """
    from lenet.data.datasets import load
    from lenet.models.checkpoint import load_checkpoint
    from lenet.models.device import find_device
    from lenet.training.evaluate import evaluate as measure
    from lenet.training.runs import find_training_data

    loaded = load_checkpoint(checkpoint, find_device(device))
    images = load(find_training_data(checkpoint, loaded) if data is None else data, split)
    evaluation = measure(loaded, images)
    if out is not None:
        from lenet.insight.figures import draw_confusion, draw_hardest

        draw_confusion(evaluation, out / "confusion.png", f"{checkpoint} on {images.name} {split}")
        draw_hardest(evaluation, images, out / "hardest.png")
    print(json_module.dumps(evaluation.to_dict()) if json else show_evaluation(evaluation))
