"""Results as plain text for standard output. No torch here, so that tables print fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lenet.files import escape_unprintable
from lenet.training.recipes import RECIPES

if TYPE_CHECKING:
    from lenet.models.config import LeNetConfig
    from lenet.training.evaluation import Evaluation, Robustness
    from lenet.training.initial import Change
    from lenet.training.summaries import RunSummary
    from lenet.uncertainty.calibration import Reliability


def align(rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Rows as aligned columns, the first row being the header; columns in `right` are right-aligned."""
    texts = [
        ["" if cell is None else escape_unprintable(str(cell), "\u00a0\u3000") for cell in row]
        for row in rows
    ]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    lines = []
    for row in texts:
        cells = (
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def show_network(config: LeNetConfig) -> str:
    """The layer table that `lenet summary` prints."""
    side = config.input_size
    counted = ["parameters", "multiply_adds", *(["connections"] if config.is_classic else [])]
    rows: list[list[str]] = [["layer", "kind", "output", *(name.replace("_", "-") for name in counted)]]
    rows.append(["input", "", f"1×{side}×{side}", *([""] * len(counted))])
    for layer in config.layers():
        counts = [f"{n:,}" if n else "" for n in (getattr(layer, name) for name in counted)]
        rows.append([layer.name, layer.kind, "×".join(map(str, layer.output_shape)), *counts])
    rows.append(["total", "", "", *(f"{getattr(config, name):,}" for name in counted)])
    return align(rows, right=(3, 4, 5))


def show_machine(machine: Mapping[str, object]) -> str:
    """What `lenet env` prints: a line per property that this machine has."""
    rows = [[key.replace("_", " "), value] for key, value in machine.items() if value is not None]
    return align([row for row in rows if row[0] != "blocks"])  # says kernel and reason once more


def show_run(summary: RunSummary) -> str:
    """The results of a run, in a few lines."""
    lines = [f"{summary.run}: {summary.epochs} epochs in {summary.seconds:.1f} s of training"]
    lines[0] += f", {summary.examples_per_second:,.0f} examples/s"
    if summary.train_loss is not None:
        lines.append(f"train loss {summary.train_loss:.4f}, train accuracy {summary.train_accuracy:.2%}")
    if summary.validation_accuracy is not None:
        best = f" (epoch {summary.best_epoch} of {summary.epochs})" if summary.best_epoch else ""
        lines.append(f"best validation accuracy {summary.validation_accuracy:.2%}{best}")
    if summary.test_accuracy is not None:
        lines.append(f"test accuracy {summary.test_accuracy:.2%} ({summary.checkpoint})")
    return "\n".join(lines)


def show_change(change: Change | None) -> list[str]:
    """What a run that began with a checkpoint changed, as lines; none for another run."""
    if change is None:
        return []
    rows = [["", "images", "before", "after"]]
    for name, part in (("learnt from", change.train), ("test", change.test)):
        rows.append([name, f"{part.count:,}", f"{part.before:.2%}", f"{part.after:.2%}"])
    lines = ["", align(rows, right=(1, 2, 3))]
    if change.lost_thresholds:
        lines.append("no thresholds for --max-error: those of the checkpoint do not hold for the new weights")
    return lines


def show_published(summary: RunSummary) -> list[str]:
    """The values that the recipe's author printed beside those of a finished run, as lines; often none."""
    recipe = RECIPES.get(summary.recipe)
    if recipe is None or not recipe.published or recipe.data != summary.data or not summary.is_finished:
        return []
    rows, notes = [["", "this run", "its author"]], []
    for name, value in recipe.published.items():
        if isinstance(value, str):
            notes.append(f"{name.replace('_', ' ')}: {value}")
            continue
        style = ",.0f" if name == "examples_per_second" else ".2%" if name.endswith("accuracy") else ".4f"
        here = getattr(summary, name)
        rows.append(
            [name.replace("_", " "), "" if here is None else format(here, style), format(value, style)]
        )
    if summary.changes:
        notes.append(f"this run has other settings: {write_changes(summary)}")
    table = [align(rows, right=(1, 2))] if len(rows) > 1 else []
    return ["", f"{recipe.source}:", *table, *notes]


def show_runs(summaries: Sequence[RunSummary]) -> str:
    """A table of runs, with the settings that differ from the recipe."""
    rows: list[list[object]] = [["run", "epochs", "train loss", "validation", "test", "state", "changed"]]
    for run in summaries:
        loss = None if run.train_loss is None else f"{run.train_loss:.4f}"
        shares = [None if a is None else f"{a:.2%}" for a in (run.validation_accuracy, run.test_accuracy)]
        state = run.error or ("finished" if run.is_finished else "resume with --resume")
        rows.append([run.run, run.epochs, loss, *shares, state, write_changes(run)])
    return align(rows, right=(1, 2, 3, 4))


def name_run(run: RunSummary) -> str:
    """A run's path, and the settings that differ from its recipe."""
    return " ".join((run.run, write_changes(run))).rstrip()


def write_changes(run: RunSummary) -> str:
    """The settings that differ from the run's recipe, as name=value."""
    return " ".join(f"{name}={write_setting(value)}" for name, value in run.changes.items())


def write_setting(value: object) -> str:
    """A value as a flag takes it: a list with commas."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def show_evaluation(evaluation: Evaluation) -> str:
    """Accuracy and loss, the table of classes, the confusion matrix, and the hardest examples."""
    head = (
        f"{evaluation.count:,} images: accuracy {evaluation.accuracy:.2%}, loss {evaluation.loss:.4f}, "
        f"calibration error {evaluation.calibration_error:.2%}"
    )
    rows: list[list[object]] = [["class", "images", "precision", "recall", "F1"]]
    for row in evaluation.per_class:
        rows.append([row.name, row.count, *(f"{share:.2%}" for share in (row.precision, row.recall, row.f1))])
    names = [row.name for row in evaluation.per_class]
    matrix: list[list[object]] = [["true \\ read as", *(name[:6] for name in names)]]
    for name, counts in zip(names, evaluation.confusion, strict=True):
        matrix.append([name, *(count or "·" for count in counts)])
    hard: list[list[object]] = [["image", "is", "read as", "probability", "loss"]]
    for example in evaluation.hardest[:10]:
        figures = (f"{example.probability:.3f}", f"{example.loss:.2f}")
        hard.append([example.index, example.label, example.predicted, *figures])
    tables = (
        align(rows, right=range(1, 5)),
        align(matrix, right=range(1, len(names) + 1)),
        "hardest\n" + align(hard, right=(0, 3, 4)),
    )
    return "\n\n".join((head, *tables))


def show_reliability(reliability: Reliability) -> str:
    """The share that has to be rejected for each maximum error."""
    values = reliability.to_dict()
    rows = [["at most wrong", "rejected"]]
    rows += [[f"{row['max_error']:.1%}", f"{row['rejected']:.2%}"] for row in values["reject_rates"]]
    area = f"area under the risk-coverage curve {values['risk_coverage_area']:.2e}"
    return f"{align(rows, right=(0, 1))}\n{area}"


def show_robustness(robustness: Robustness) -> str:
    """The accuracy on each corruption, and their mean."""
    rows = [["corruption", "accuracy"]]
    rows += [[name, f"{accuracy:.2%}"] for name, accuracy in robustness.accuracies.items()]
    rows.append(["mean of the fifteen", f"{robustness.mean:.2%}"])
    return align(rows, right=(1,))
