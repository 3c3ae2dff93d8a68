"""The command line: parse, call one function, print what it returned.

Results go to standard output, progress to standard error. A user's mistake ends with one line and exit code
2. Nothing heavy is imported before a verb needs it: `lenet --help` answers at once.
"""

from __future__ import annotations

import json as json_module
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

import lenet
from lenet.apps.flags import make_flags, read_changes, read_whole
from lenet.apps.tables import align, show_evaluation, show_network, show_run, show_runs
from lenet.errors import LeNetError, PictureError, RecipeError
from lenet.models.zoo import MODELS, find_model
from lenet.training.recipes import RECIPES, describe_recipe, find_recipe

app = App(
    name="lenet",
    help="LeNet-5: train it, measure it, read digits with it. Begin with: lenet train quick",
    version=f"lenet {lenet.__version__}",
    help_format="plaintext",
    version_flags=["--version"],
    result_action="return_value",
)
data_app = App(name="data", help="The data sets: list, fetch, import.", help_format="plaintext")
app.command(data_app)

Flags = make_flags()
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for programs.")]
Quiet = Annotated[bool, Parameter(negative=(), help="No progress on standard error.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.")]
RunsDir = Annotated[Path, Parameter(help="The folder that runs are kept in.")]
CheckpointName = Annotated[
    str,
    Parameter(
        name=["--checkpoint", "--model"], help="A .safetensors file, a run folder, or shipped weights."
    ),
]
MOST_SAMPLES = 400  # a grid of more is no picture to look at
SHIPPED = "mnist"  # what `predict` reads with unless told otherwise


@app.command
def train(
    recipe: Annotated[
        str | None, Parameter(help="A recipe's name; `lenet recipes` lists them. [default: quick]")
    ] = None,
    /,
    *,
    data: Annotated[str | None, Parameter(help="A data set's name, or a folder or CSV of your own.")] = None,
    seed: Annotated[
        int | None,
        Parameter(help="Decides first weights, order, distortions. [default: 0]", converter=read_whole),
    ] = None,
    device: Annotated[str | None, Parameter(help="auto, cpu, cuda, cuda:N or mps. [default: auto]")] = None,
    resume: Annotated[Path | None, Parameter(help="Go on with this run, to the same bits.")] = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    json: Json = False,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # type: ignore[valid-type]  # noqa: B008
) -> None:
    """Train a recipe into a run folder; any of its values can be changed.

    Example: lenet train d2l --epochs 3 --lr 0.5 --seed 1
    """
    from lenet.apps.progress import show_progress
    from lenet.training.runs import begin_run, carry_out, open_run, sum_up

    changes = read_changes(flags)
    if resume is not None:
        epochs = changes.pop("epochs", None)
        given = {"recipe": recipe, "data": data, "seed": seed, "device": device}
        run = open_run(resume, epochs, given | changes)
    else:
        chosen = find_recipe("quick" if recipe is None else recipe, data).override(changes)
        place = "auto" if device is None else device
        run = begin_run(chosen, seed=seed or 0, device=place, runs_dir=runs_dir)
    try:
        for _ in show_progress(carry_out(run), quiet=quiet):
            pass
    except KeyboardInterrupt:
        end(f"stopped; go on with: lenet train --resume {run.path}", code=130)
    summary = sum_up(run)
    print(json_module.dumps(asdict(summary)) if json else show_run(summary))


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


@app.command
def predict(
    *pictures: Annotated[
        str, Parameter(help="Picture files; - is standard input.", allow_leading_hyphen=True)
    ],
    checkpoint: CheckpointName = SHIPPED,
    explain: Annotated[Path | None, Parameter(help="Draw each step of the reading to this PNG.")] = None,
    sample: Annotated[
        int, Parameter(help="Read this many random test images of --data instead.", converter=read_whole)
    ] = 0,
    data: Annotated[str | None, Parameter(help="The data set that --sample draws from.")] = None,
    seed: Annotated[int, Parameter(help="Decides which images --sample draws.", converter=read_whole)] = 0,
    out: Annotated[Path, Parameter(help="Where --sample draws its grid.")] = Path("sample.png"),
    json: Json = False,
) -> int:
    """Read the digit in each picture: one line a picture.

    Example: lenet predict photo.jpg --explain steps.png
    Example: lenet predict --sample 50 --data mnist --out grid.png
    """
    from lenet.models.checkpoint import load_checkpoint

    for name in pictures:
        if name.startswith("-") and name != "-":
            raise PictureError(f"unknown option {name}; `lenet predict --help` shows what there is")
    loaded = load_checkpoint(checkpoint)
    if sample:
        if pictures or explain is not None:
            raise PictureError("--sample draws from a data set; leave the pictures and --explain out")
        from lenet.training.runs import find_training_data

        source = find_training_data(checkpoint, loaded) if data is None else data
        return predict_sample(loaded, source, sample, seed, out, json=json)
    if not pictures:
        raise PictureError("no picture was given; name one or more, or draw from a data set with --sample 50")
    from lenet.inference.reader import Reader

    if explain is not None and len(pictures) > 1:
        raise PictureError("--explain draws one picture's steps; give one picture")
    reader = Reader(loaded)
    failed = 0
    for name in pictures:
        content = sys.stdin.buffer.read() if name == "-" else Path(name)
        try:
            reading = reader.read(content)
        except PictureError as error:
            failed += 1
            if json:
                print(json_module.dumps({"picture": name, "error": str(error)}))
            else:
                print(f"lenet: {error}", file=sys.stderr)
            continue
        if explain is not None:
            from lenet.inference.picture import read_steps
            from lenet.insight.figures import draw_steps

            draw_steps(
                read_steps(content, loaded.reads_whole_pictures),
                explain,
                f"{name}: read as {reading.text or 'nothing'}",
            )
        text = reading.text or "nothing to read"
        row = {"picture": name, **reading.to_dict()}
        print(json_module.dumps(row) if json else f"{name}: {text} ({reading.confidence:.1%})")
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


@app.command
def recipes(*, json: Json = False) -> None:
    """List the named recipes and where they come from.

    Example: lenet recipes --json
    """
    rows = [describe_recipe(recipe) for recipe in RECIPES.values()]
    if json:
        print(json_module.dumps(rows))
        return
    table = [[row[key] for key in ("name", "model", "data", "epochs", "source")] for row in rows]
    print(align([["recipe", "network", "data", "epochs", "source"], *table], right=(3,)))


@app.command
def models(*, json: Json = False) -> None:
    """List the named networks.

    Example: lenet models
    """
    rows = [{"name": n, "parameters": c.parameters, **c.to_dict()} for n, c in MODELS.items()]
    if json:
        print(json_module.dumps(rows))
        return
    keys = ("name", "parameters", "input_size", "activation", "pooling")
    print(
        align(
            [
                ["network", "parameters", "input", "activation", "pooling"],
                *([r[k] for k in keys] for r in rows),
            ]
        )
    )


@app.command
def summary(
    model: Annotated[str, Parameter(help="A network's name, or a recipe's for its network.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Print the layers of a network: output shapes, parameters, multiply-adds for an image.

    Example: lenet summary d2l
    """
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    if json:
        layers = [asdict(layer) | {"output_shape": list(layer.output_shape)} for layer in config.layers()]
        counts = {"parameters": config.parameters, "multiply_adds": config.multiply_adds}
        print(json_module.dumps({**counts, "layers": layers}))
    else:
        print(show_network(config))


@app.command
def runs(*, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List the runs in a folder, with their figures.

    Example: lenet runs --runs-dir runs
    """
    from lenet.training.runs import list_runs

    summaries = list_runs(runs_dir)
    if json:
        print(json_module.dumps([asdict(summary) for summary in summaries]))
    else:
        print(
            show_runs(summaries) if summaries else f"no runs in {runs_dir}; begin one with: lenet train quick"
        )


@app.command
def bench(
    model: Annotated[str, Parameter(help="A network's name, or a recipe's for its network.")] = "lenet5-relu",
    /,
    *,
    batch_size: Annotated[int, Parameter(help="Images a step.")] = 256,
    json: Json = False,
) -> None:
    """Measure training and reading on this processor, beside PyTorch's own operators in the same run.

    Example: lenet bench d2l
    """
    from lenet.insight.speed import describe_machine, measure_speed

    if not 1 <= batch_size <= 100_000:
        raise RecipeError(f"batch_size is {batch_size}; it must be a number from 1 to 100,000")
    config = RECIPES[model].model if model in RECIPES else find_model(model)
    machine = describe_machine()
    figures = measure_speed(config, batch_size)
    if json:
        print(json_module.dumps([asdict(figure) | {"machine": machine} for figure in figures]))
        return
    rows = [[figure.what, f"{figure.value:,.1f}", figure.unit] for figure in figures]
    print(", ".join(f"{key} {value}" for key, value in machine.items() if value is not None))
    print(align([["what", "value", "unit"], *rows], right=(1,)))


@data_app.command(name="list")
def data_list(*, json: Json = False) -> None:
    """List the data sets, their licences, and where their files were found.

    Example: lenet data list
    """
    from lenet.data.store import list_sources

    rows = [asdict(listing) for listing in list_sources()]
    if json:
        print(json_module.dumps(rows))
        return
    table = [[r["name"], r["train"], r["test"], len(r["classes"]), r["licence"], r["found"]] for r in rows]
    print(align([["data", "train", "test", "classes", "licence", "found"], *table], right=(1, 2, 3)))


@data_app.command
def fetch(name: Annotated[str, Parameter(help="A data set's name.")], /) -> None:
    """Fetch a data set from its mirrors into the cache, checked by its checksums.

    Example: lenet data fetch mnist
    """
    from lenet.data.store import fetch as fetch_data

    print(fetch_data(name))


@data_app.command(name="import")
def data_import(
    path: Annotated[Path, Parameter(help="A folder, archive or file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Which data set it is, where its files do not tell.")] = None,
) -> None:
    """Put the files of a known data set into the cache, recognised by their checksums.

    Example: lenet data import ~/Downloads/mnist.zip
    """
    from lenet.data.importing import import_data

    print(import_data(path, name))


def end(message: str, code: int = 2) -> NoReturn:
    """One line on standard error, and out."""
    print(f"lenet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def abandon_output() -> None:
    """Let go of what could not be written: Python would try once more at its end, and complain."""
    with suppress(OSError):  # it may be no real file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The `lenet` command."""
    # Threads that wait for work spin for a moment, then sleep. To spin on, torch's way, is 10 times slower
    # where other programs want the processors too; to sleep at once is half as slow again where none does.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what is no character
    try:
        code = app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        end(f"{str(error).rstrip('., ')}; `lenet --help` shows what there is")
    except LeNetError as error:
        end(str(error))
    except BrokenPipeError:
        abandon_output()  # its reader has gone; nothing is left to say
        sys.exit(141)
    except KeyboardInterrupt:
        end("stopped", code=130)
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # a fault of ours; torch says RuntimeError when the memory is full
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        place = getattr(error, "filename", None)
        if not place:
            abandon_output()
        end(f"{place}: {reason}" if place else reason)
    sys.exit(code or 0)
