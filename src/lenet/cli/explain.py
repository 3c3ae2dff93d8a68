"""`lenet explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lenet.cli.app import SHIPPED, CheckpointName, Json, app, check_output, read_stdin, write_json
from lenet.cli.flags import read_whole
from lenet.errors import PictureError
from lenet.phrases import Phrase


@app.command
def explain(
    *pictures: Annotated[str, Parameter(help="Pictures; - is standard input.", allow_leading_hyphen=True)],
    checkpoint: CheckpointName = SHIPPED,
    data: Annotated[
        str | None,
        Parameter(
            help="The data set of --label, --index and --compare. With it, also draw what each map responds "
            "to. [default: the one that the checkpoint was trained on]"
        ),
    ] = None,
    label: Annotated[
        str | None, Parameter(help="Instead of pictures: the first test image of this class.")
    ] = None,
    index: Annotated[
        int | None,
        Parameter(help="Instead of pictures: the test image with this index, from 0.", converter=read_whole),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        Parameter(negative=(), help="Instead of pictures: two classes side by side in the first two layers."),
    ] = None,
    out: Annotated[Path, Parameter(help="The folder for the plots.")] = Path("explained"),
    json: Json = False,
) -> None:
    """Draw what a network computes from a picture: activations of every layer, filters, attribution.

    Example: lenet explain photo.jpg --out explained
    Example: lenet explain --checkpoint runs/lab3-mnist-0 --data mnist --label 7
    Example: lenet explain --checkpoint runs/d2l-fashion-mnist-0 --compare pullover coat
    """
    from lenet.data.datasets import load
    from lenet.insight.explanation import (
        MOST_SUBJECTS,
        compare_classes,
        explain_subjects,
        find_subjects,
        pick_sample,
        pick_subject,
        show_patches,
    )
    from lenet.models.checkpoint import load_checkpoint
    from lenet.training.evaluation import match_classes
    from lenet.training.runs import find_training_data

    for name in pictures:
        if name.startswith("-") and name != "-":
            raise PictureError(f"unknown option {name}; `lenet explain --help` shows what there is")
    asked = [bool(pictures), label is not None, index is not None, compare is not None]
    if sum(asked) != 1:
        raise PictureError("name a picture, a --label, an --index or two classes to --compare; one of them")
    loaded = load_checkpoint(checkpoint)
    images = None
    if data is not None or not pictures:
        source = find_training_data(checkpoint, loaded) if data is None else data
        images = match_classes(loaded, load(source, "test"))
    if compare is not None and images is not None:
        path = out / "compare.png"
        test = Phrase("{data} test", data=images.name)
        title = Phrase("{checkpoint} on {data}", checkpoint=checkpoint, data=test)
        told = compare_classes(loaded, images, compare, path, title)
        if json:
            print(write_json({**told, "figures": [str(path)]}))
            return
        first, second = told["classes"]
        for layer, rows in told["layers"].items():
            best = ", ".join(f"{row['map']} ({row['distance']:.2f})" for row in rows[:3])
            print(f"{layer}: maps {best} tell {first} from {second} most, in standard deviations")
        print(f"look at {path}")
        return
    if images is not None and label is not None:
        subjects = [pick_sample(images, label)]
    elif images is not None and index is not None:
        subjects = [pick_subject(images, index)]
    else:
        subjects = [
            subject
            for name in pictures
            for subject in find_subjects(loaded, read_stdin() if name == "-" else Path(name), name)
        ]
    if len(subjects) > MOST_SUBJECTS:
        raise PictureError(f"{len(subjects)} digits are too many to explain; the maximum is {MOST_SUBJECTS}")
    figures = [out / f"{name}.png" for name in ("layers", "attribution", "filters")]
    for path in figures:
        check_output(path, [*pictures, checkpoint])
    network = Phrase("the network {checkpoint}", checkpoint=checkpoint)
    rows = explain_subjects(loaded, subjects, out, network)
    if images is not None:
        figures.append(out / "patches.png")
        show_patches(loaded, images, figures[-1], network)
    if json:
        print(write_json({"subjects": rows, "figures": [str(path) for path in figures]}))
        return
    for row in rows:
        print(
            f"{row['name']}: read as {row['predicted']} ({row['probability']:.1%}), "
            f"not {row['rival']} ({row['rival_probability']:.1%})"
        )
    print(f"look at {', '.join(map(str, figures))}")
