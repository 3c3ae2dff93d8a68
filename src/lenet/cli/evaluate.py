"""`lenet evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lenet.cli.app import Device, Json, app, write_json
from lenet.cli.tables import show_evaluation, show_reliability, show_robustness


@app.command
def evaluate(
    checkpoint: Annotated[
        str, Parameter(help="A .safetensors file, a run folder or the name of shipped weights.")
    ],
    /,
    *,
    data: Annotated[
        str | None, Parameter(help="A data set. [default: the one that the checkpoint was trained on]")
    ] = None,
    split: Annotated[Literal["test", "train"], Parameter(help="Which images of the data set.")] = "test",
    risk_coverage: Annotated[
        bool,
        Parameter(negative=(), help="Also the share rejected for an error of at most 1, 0.5 and 0.1 %."),
    ] = False,
    corruptions: Annotated[
        bool,
        Parameter(negative=(), help="Also the accuracy on fifteen corruptions; --data may be MNIST-C."),
    ] = False,
    out: Annotated[Path | None, Parameter(help="A folder for plots: confusion.png and others.")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a checkpoint: accuracy, loss, metrics per class, confusion matrix, hardest examples.

    Example: lenet evaluate runs/lab3-mnist-0/epoch-005.safetensors --data mnist --out figures
    Example: lenet evaluate mnist --risk-coverage --corruptions --out figures
    """
    from lenet.data.corrupted import load_corrupted
    from lenet.data.datasets import load
    from lenet.images.corruptions import IDENTITY
    from lenet.models.checkpoint import load_checkpoint
    from lenet.processes import find_device
    from lenet.training.evaluation import evaluate as measure
    from lenet.training.runs import find_training_data

    loaded = load_checkpoint(checkpoint, find_device(device))
    source = find_training_data(checkpoint, loaded) if data is None else data
    corrupted = load_corrupted(source, split) if corruptions else {IDENTITY: load(source, split)}
    images = corrupted[IDENTITY]
    evaluation = measure(loaded, images)
    values, tables = evaluation.to_dict(), [show_evaluation(evaluation)]
    title = f"{checkpoint} on {images.name} {split}"
    if out is not None:
        from lenet.insight.plots.figures import draw_confusion, draw_hardest

        draw_confusion(evaluation, out / "confusion.png", title)
        draw_hardest(evaluation, images, out / "hardest.png")
    if risk_coverage:
        from lenet.training.evaluation import measure_reliability

        reliability = measure_reliability(loaded, images)
        values |= reliability.to_dict()
        tables.append(show_reliability(reliability))
        if out is not None:
            from lenet.insight.plots.curves import draw_reliability

            draw_reliability(reliability, out / "reliability.png", title)
    if corruptions:
        from lenet.training.evaluation import measure_robustness

        robustness = measure_robustness(loaded, corrupted)
        values |= robustness.to_dict()
        tables.append(show_robustness(robustness))
        if out is not None:
            from lenet.insight.plots.figures import draw_corruptions

            draw_corruptions(corrupted, robustness, out / "corruptions.png", title)
    print(write_json(values) if json else "\n\n".join(tables))
