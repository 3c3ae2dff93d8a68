"""Verbs for a checkpoint: `lenet evaluate`, and `lenet import`, which makes one of a state dict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lenet.cli.app import Device, Json, app, write_json
from lenet.cli.tables import align, show_evaluation, show_reliability, show_robustness
from lenet.errors import CheckpointError
from lenet.phrases import Phrase


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
    split_name = Phrase("{data} test" if split == "test" else "{data} train", data=images.name)
    title = Phrase("{checkpoint} on {data}", checkpoint=checkpoint, data=split_name)
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


@app.command(name="import")
def import_network(
    file: Annotated[
        Path, Parameter(help="What `safetensors.torch.save_file(net.state_dict(), FILE)` wrote.")
    ],
    /,
    *,
    model: Annotated[str, Parameter(help="The recipe, or the network, that the weights belong to.")],
    data: Annotated[
        str | None,
        Parameter(help="The data set that it was trained on, for its classes. [default: the recipe's]"),
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="The checkpoint to write. [default: MODEL-FILE, in this folder]")
    ] = None,
    json: Json = False,
) -> None:
    """Make a checkpoint of a network that another program trained, such as a tutorial's own code.

    The tensors are mapped by their shapes onto the layers of the recipe's network. Its pixel scaling must be
    the one that the weights were trained with; it is printed. Pickles (.pt, .pth) are never read.

    Example: lenet import net.safetensors --model d2l
    """
    from lenet.data.datasets import load
    from lenet.data.sources import SOURCES
    from lenet.models.checkpoint import import_state, save_network
    from lenet.models.config import find_model
    from lenet.training.recipes import RECIPES

    config = RECIPES[model].model if model in RECIPES else find_model(model)
    if data is None and model in RECIPES:
        data = RECIPES[model].data
    card: dict[str, object] = {}
    if data in SOURCES:
        card = {"classes": SOURCES[data].classes, "whole_pictures": SOURCES[data].flips}
    elif data is not None:
        images = load(data, "train")
        card = {"classes": images.classes, "whole_pictures": images.full_image}
    if data is not None:
        card |= {"recipe": {"data": Path(data).name}}
        config = replace(config, classes=len(SOURCES[data].classes if data in SOURCES else images.classes))
    target = Path(f"{model}-{file.stem}.safetensors") if out is None else out
    if target.exists() and file.exists() and target.samefile(file):
        raise CheckpointError(f"{file}: would be replaced by its own import; name another file with `out`")
    checkpoint = import_state(file, config, card)
    save_network(checkpoint, target)
    state = checkpoint.model.state_dict()
    rows = [
        {"source": source, "name": name, "shape": list(state[name].shape)}
        for name, source in checkpoint.card["imported"].items()
    ]
    scaling = {"pixel_mean": config.pixel_mean, "pixel_std": config.pixel_std}
    if json:
        print(
            write_json({"checkpoint": str(target), "model": model, "data": data, **scaling, "tensors": rows})
        )
        return
    table = [[row["source"], row["name"], "×".join(map(str, row["shape"]))] for row in rows]
    print(align([[f"in {file}", "in the network", "shape"], *table]))
    print(f"pixels: 0..1, minus {config.pixel_mean:g}, divided by {config.pixel_std:g}")
    print(f"{target}: {config.parameters:,} parameters")
