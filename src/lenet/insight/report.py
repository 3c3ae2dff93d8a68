"""A run as one HTML file: what was trained, how well it does, what is wrong with it, what it sees.

The page needs nothing but itself: pictures travel inside it, there is no script, and its security policy
forbids to load anything. Whatever a stranger may have named is escaped by the template.
"""

import base64
import hashlib
import math
import shlex
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import torch
from markupsafe import Markup

from lenet.data.datasets import load
from lenet.data.sources import SOURCES
from lenet.errors import RunError
from lenet.files import write_bytes
from lenet.insight.diagnosis import diagnose
from lenet.insight.plots.charts import Chart, Series
from lenet.insight.portrait import encode_image, show_examples, show_filters
from lenet.models.checkpoint import load_checkpoint
from lenet.training.evaluation import Evaluation, evaluate, match_classes, measure_reliability
from lenet.training.loop import Epoch
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES, find_recipe, list_changes
from lenet.training.run_folder import Plan, RunFolder
from lenet.training.runs import summarise_run
from lenet.uncertainty.calibration import MAX_ERRORS, Reliability
from lenet.uncertainty.rejection import RiskCurve

HARDEST = 40
MOST_CLASSES = 32  # in the table of confusions; of more, only the most frequent confusions are listed
MOST_CONFUSIONS = 12
MOST_POINTS = 300  # of the risk-coverage curve
PARTS = {"own": "Training", "model": "Network", "distortions": "Distortions of the training images"}


def write_report(folder: RunFolder, path: Path | None = None) -> Path:
    """Write a run's report to `path`, by default report.html in its folder, whole or not at all.

    Measures the run's checkpoint on its test images again, and examines the run as `lenet doctor` does.
    Raises RunError when no epoch is finished, DataError when the data are not at hand.
    """
    plan, summary = folder.read_plan(), summarise_run(folder)
    if summary.checkpoint is None:
        raise RunError(f"{folder.path}: no epoch is finished; go on with: lenet train --resume {folder.path}")
    checkpoint = load_checkpoint(summary.checkpoint)
    data = match_classes(checkpoint, load(plan.recipe.data, "test"))
    evaluation = evaluate(checkpoint, data, HARDEST)
    stored = folder.read_evaluation()
    page = render(
        title=folder.path.resolve().name,
        plan=plan,
        data=Path(plan.recipe.data).name,
        summary=summary,
        checkpoint=Path(summary.checkpoint).name,
        epoch=checkpoint.card.get("epoch"),
        environment=folder.read_environment(),
        command=write_command(plan),
        settings=list_settings(plan),
        config=checkpoint.model.config,
        evaluation=evaluation,
        wrong=evaluation.count - count_right(evaluation),
        interval=find_interval(evaluation),
        chance_loss=math.log(len(data.classes)),
        has_changed=stored is not None and not math.isclose(stored["accuracy"], evaluation.accuracy),
        faults=diagnose(folder).faults,
        curves=chart_curves(folder.read_history()),
        confusions=list_confusions(evaluation),
        shows_matrix=len(data.classes) <= MOST_CLASSES,
        **show_reliability(measure_reliability(checkpoint, data)),
        hardest=[(hard, encode_image(data.images[hard.index])) for hard in evaluation.hardest],
        filters=show_filters(checkpoint.model, data),
        examples=show_examples(checkpoint, data, evaluation),
    )
    path = folder.path / "report.html" if path is None else path
    # What a file system or a card calls something may hold what is no character.
    write_bytes(path, page.encode("utf-8", "backslashreplace"))
    return path


def render(**values: Any) -> str:
    """The page. Every value is escaped; the security policy allows this style sheet and pictures inside."""
    style = _read("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'"
    return _find_template().render(style=Markup(style), policy=f"{policy}; form-action 'none'", **values)


def list_settings(plan: Plan) -> dict[str, list[tuple[str, Any, bool]]]:
    """Every value of the recipe by its part: name, value, and whether the named recipe was changed there."""
    changed = list_changes(plan.recipe)
    parts: dict[str, list[tuple[str, Any, bool]]] = {title: [] for title in PARTS.values()}
    for setting, part in SETTINGS.items():
        value = getattr(plan.recipe if part == "own" else getattr(plan.recipe, part), setting)
        shown = Path(value).name if setting == "data" else value  # a path is nobody's business
        parts[PARTS[part]].append((setting.replace("_", " "), _say(shown), setting in changed))
    return parts


def count_right(evaluation: Evaluation) -> int:
    """How many images are read right."""
    return sum(row[number] for number, row in enumerate(evaluation.confusion))


def find_interval(evaluation: Evaluation) -> tuple[float, float]:
    """Where the accuracy on all such images lies, 95 % certain: the interval of Wilson 1927."""
    from scipy.stats import binomtest

    interval = binomtest(count_right(evaluation), evaluation.count).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def list_confusions(evaluation: Evaluation) -> list[tuple[str, str, int, float]]:
    """The most frequent confusions: the class, what it is read as, how often, and as a share of the class."""
    names = [row.name for row in evaluation.per_class]
    counts = [
        (count, row, column)
        for row, counts in enumerate(evaluation.confusion)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    most = sorted(counts, key=lambda one: (-one[0], one[1:]))[:MOST_CONFUSIONS]
    return [(names[r], names[c], n, n / evaluation.per_class[r].count) for n, r, c in most]


def chart_curves(history: list[Epoch]) -> list[Chart]:
    """Loss and accuracy of every finished epoch."""
    charts = []
    for measure in ("loss", "accuracy"):
        lines = []
        for split in ("train", "validation", "test"):
            values = [getattr(epoch, f"{split}_{measure}") for epoch in history]
            if values and None not in values:
                name = f"{split} {values[-1]:.4f}" if measure == "loss" else f"{split} {values[-1]:.2%}"
                numbers = [epoch.epoch for epoch in history]
                points = list(zip(numbers, values, strict=True))
                lines.append(Series(name, split, points, marked=len(points) < 40))
        charts.append(Chart("epoch", measure, lines, percent=measure == "accuracy", whole=True))
    return charts


def show_reliability(reliability: Reliability) -> dict[str, Any]:
    """The reliability diagram, the risk-coverage curve and what few errors cost."""
    bins, curve = reliability.bins, reliability.curve
    spans = []
    for part in bins:
        # Two standard errors, of a share that is never quite 0 or 1.
        share = (part.accuracy * part.count + 1) / (part.count + 2)
        reach = 2 * math.sqrt(share * (1 - share) / part.count)
        spans.append((part.confidence, max(0.0, share - reach), min(1.0, share + reach)))
    least = min(min(part.confidence for part in bins), min(low for _, low, _ in spans))
    ideal = Series("right as often as it says", "ideal", [(least, least), (1, 1)])
    found = [(part.confidence, part.accuracy) for part in bins]
    points = Series("a fifteenth of the images each", "train", found, joined=False, marked=True, spans=spans)
    limits = (least, 1.0, least, 1.0)
    return {
        "reliability": Chart("confidence", "right", [ideal, points], percent=True, limits=limits),
        "risk": chart_risk(curve),
        "prices": [(error, curve.reject_rate(error)) for error in MAX_ERRORS],
    }


def chart_risk(curve: RiskCurve) -> Chart:
    """Errors among the accepted over what is rejected, as far as there are errors, to half at most."""
    some = int((curve.wrong > 0).sum())  # thresholds that let a wrong one through come first
    end = min(0.5, max(0.01, 1.1 * float(curve.rejected[min(some, len(curve.rejected) - 1)])))
    wanted = torch.linspace(0, end, MOST_POINTS, dtype=torch.float64)
    places = (torch.searchsorted(curve.rejected, wanted, right=True) - 1).clamp(min=0).unique()
    rejected, errors = curve.rejected[places].tolist(), curve.errors[places].tolist()
    points = [(rejected[0], errors[0])]
    for share, error in zip(rejected, errors, strict=True):
        points += [(share, points[-1][1]), (share, error)]  # a step
    points.append((end, errors[-1]))
    line = Series("wrong among the accepted", "train", points)
    most = max(errors)
    return Chart("rejected", "wrong", [line], percent=True, limits=(0.0, end, 0.0, 1.1 * most or 0.01))


@cache
def _find_template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("report.html"))


def _read(name: str) -> str:
    return files("lenet.insight").joinpath(name).read_text("utf-8")


def _say(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)


def write_command(plan: Plan) -> str:
    """The `lenet train` command, for a shell, that plans the same as `plan`.

    Data of one's own are called by the last part of their path, as on cards: run it where they lie. A
    recipe without a name of ours is told from `quick`.
    """
    name = plan.recipe.name if plan.recipe.name in RECIPES else "quick"
    words = ["lenet", "train", name]
    if plan.recipe.data != RECIPES[name].data:
        data = Path(plan.recipe.data).name
        words += ["--data", data if data in SOURCES else f"./{data}"]
        name = find_recipe(name, plan.recipe.data).name
    for setting, value in list_changes(replace(plan.recipe, name=name)).items():
        words += _flag(setting, value)
    return shlex.join([*words, "--seed", str(plan.seed), "--device", plan.device])


def _flag(setting: str, value: Any) -> list[str]:
    """The words that set one value."""
    name = setting.replace("_", "-")
    match value:
        case bool():
            return [f"--{name}" if value else f"--no-{name}"]
        case tuple():
            return [f"--{name}={','.join(map(str, value))}"]
        case int() | float() if value < 0:
            return [f"--{name}={value}"]
        case _:
            return [f"--{name}", str(value)]
