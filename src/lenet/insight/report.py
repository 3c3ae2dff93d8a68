"""The report of a run as one HTML file: training, metrics, diagnosis, filters and examples.

The file needs no other: images are inside it, it has no script, and its security policy forbids to load
anything. The template escapes every value, because names may come from strangers.
"""

import base64
import hashlib
import math
import shlex
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lenet.data.datasets import load
from lenet.data.sources import SOURCES
from lenet.errors import RunError
from lenet.files import write_bytes
from lenet.images.inline import embed_image
from lenet.insight.diagnosis import diagnose
from lenet.insight.language import Language, choose_language, translate_text
from lenet.insight.plots.charts import chart_curves, chart_reliability, chart_risk
from lenet.insight.plots.fonts import FAMILY, SUBSET
from lenet.insight.plots.inline import show_examples, show_filters
from lenet.insight.plots.svg import Drawing
from lenet.models.checkpoint import load_checkpoint
from lenet.phrases import ClassName, Phrase
from lenet.training.evaluation import Evaluation, evaluate, match_classes, measure_reliability
from lenet.training.plan import Plan
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES, find_recipe, list_changes
from lenet.training.run_folder import RunFolder
from lenet.training.summaries import summarise_run
from lenet.uncertainty.calibration import MAX_ERRORS

HARDEST = 40
MAX_CLASSES = 32  # in the confusion matrix; of more, only the most frequent confusions are listed
MAX_CONFUSIONS = 12
PARTS = {
    "own": Phrase("Training"),
    "model": Phrase("Network"),
    "distortions": Phrase("Distortions of the training images"),
}


def write_report(
    folder: RunFolder, path: Path | None = None, page: str | None = None, language: str | None = None
) -> Path:
    """Write a run's report to `path`, by default report.html in its folder, whole or not at all.

    Measures the run's checkpoint on its test images again, and examines the run as `lenet doctor` does. The
    report links to `page`, the name of a file beside it: the page on which one draws for the same checkpoint.
    `language` is `en` or `zh`, by default the one of `choose_language`.

    Raises RunError when no epoch is finished, DataError when the data are missing.
    """
    plan, summary = folder.read_plan(), summarise_run(folder)
    if summary.checkpoint is None:
        raise RunError(
            f"{folder.path}: no epoch is finished; resume it with: lenet train --resume {folder.path}"
        )
    checkpoint = load_checkpoint(summary.checkpoint)
    data = match_classes(checkpoint, load(plan.recipe.data, "test"))
    evaluation = evaluate(checkpoint, data, HARDEST)
    reliability = measure_reliability(checkpoint, data)
    stored = folder.read_evaluation()
    page = render(
        language=choose_language(language),
        title=folder.path.resolve().name,
        page=page,
        plan=plan,
        data=Path(plan.recipe.data).name,
        summary=summary,
        checkpoint=Path(summary.checkpoint).name,
        epoch=checkpoint.card.get("epoch"),
        source=Phrase(plan.recipe.source),
        published=list_published(plan),
        environment={Phrase(name): value for name, value in folder.read_environment().items()},
        command=write_command(plan),
        settings=list_settings(plan),
        config=checkpoint.model.config,
        evaluation=evaluation,
        wrong=evaluation.count - evaluation.count_right,
        interval=evaluation.interval,
        chance_loss=math.log(len(data.classes)),
        has_changed=stored is not None and not math.isclose(stored["accuracy"], evaluation.accuracy),
        faults=diagnose(folder).faults,
        curves=[Drawing(chart) for chart in chart_curves(folder.read_history())],
        confusions=list_confusions(evaluation),
        shows_matrix=len(data.classes) <= MAX_CLASSES,
        reliability=Drawing(chart_reliability(reliability)),
        risk=Drawing(chart_risk(reliability.curve)),
        reject_rates=[(error, reliability.curve.reject_rate(error)) for error in MAX_ERRORS],
        hardest=[(hard, embed_image(data.images[hard.index, 0].numpy())) for hard in evaluation.hardest],
        filters=show_filters(checkpoint.model, data),
        examples=show_examples(checkpoint, data, evaluation),
    )
    path = folder.path / "report.html" if path is None else path
    # Names of files and on cards may hold bytes that are no characters.
    write_bytes(path, page.encode("utf-8", "backslashreplace"))
    return path


def render(language: Language, **values: Any) -> str:
    """The page. Every value is escaped; the security policy allows this style sheet and pictures inside."""

    def say(template: str, **texts: Any) -> Markup:
        return Markup(translate_text(Phrase(template), language)).format(**texts)

    style = _read("report.css") + (embed_font() if language == "zh" else "")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; font-src data:; img-src data:; base-uri 'none'"
    )
    values |= {"style": Markup(style), "policy": f"{policy}; form-action 'none'"}
    return _find_template().render(
        language=language,
        say=say,
        class_name=ClassName,
        translate=partial(translate_text, language=language),
        **values,
    )


def embed_font() -> str:
    """Rules of the style sheet that show Chinese in the shipped font, for readers without a Chinese font."""
    content = base64.b64encode(SUBSET.read_bytes()).decode()
    source = (
        f'src: url("data:font/ttf;base64,{content}"); unicode-range: U+2014, U+2018-201D, U+2026, U+3000-FFFF'
    )
    return f'@font-face {{ font-family: "{FAMILY}"; {source}; }}\n:root {{ --chinese: "{FAMILY}"; }}\n'


def list_settings(plan: Plan) -> dict[str, list[tuple[str, Any, bool]]]:
    """Every value of the recipe by its part: name, value, and whether it differs from the named recipe."""
    changed = list_changes(plan.recipe)
    parts: dict[str, list[tuple[str, Any, bool]]] = {title: [] for title in PARTS.values()}
    for setting, part in SETTINGS.items():
        value = getattr(plan.recipe if part == "own" else getattr(plan.recipe, part), setting)
        shown = Path(value).name if setting == "data" else value  # a path is private
        parts[PARTS[part]].append((setting, _say(shown), setting in changed))
    return parts


def list_published(plan: Plan) -> dict[str, Any]:
    """What the author of the recipe published, by its name: numbers, and sentences."""
    return {
        Phrase(name.replace("_", " ")): Phrase(value) if isinstance(value, str) else value
        for name, value in plan.recipe.published.items()
    }


def list_confusions(evaluation: Evaluation) -> list[tuple[str, str, int, float]]:
    """The most frequent confusions: the class, the predicted one, their count, its share of the class."""
    names = [row.name for row in evaluation.per_class]
    counts = [
        (count, row, column)
        for row, counts in enumerate(evaluation.confusion)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    frequent = sorted(counts, key=lambda one: (-one[0], one[1:]))[:MAX_CONFUSIONS]
    return [(names[r], names[c], n, n / evaluation.per_class[r].count) for n, r, c in frequent]


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
            return Phrase("yes" if value else "no")
        case tuple():
            return ", ".join(map(str, value)) or Phrase("none")
        case _:
            return str(value)


def write_command(plan: Plan) -> str:
    """The `lenet train` command, for a shell, that plans the same as `plan`.

    Custom data are named by the last part of their path, as on cards: run the command in their folder. The
    initial checkpoint, the teachers and the corrections are in the folder of the run. A recipe that is not a
    named one is written as changes of `quick`.
    """
    name = plan.recipe.name if plan.recipe.name in RECIPES else "quick"
    program = ["lenet"] if plan.slices == 1 else ["torchrun", "-m", "lenet"]  # any number of processes
    words = [*program, "train", name]
    if plan.recipe.data != RECIPES[name].data:
        data = Path(plan.recipe.data).name
        words += ["--data", data if data in SOURCES else f"./{data}"]
        name = find_recipe(name, plan.recipe.data).name
    for setting, value in list_changes(replace(plan.recipe, name=name)).items():
        words += _flag(setting, value)
    if plan.initial_sha256 is not None:
        words += ["--from", "initial.safetensors"]
    for number in range(1, len(plan.teachers_sha256) + 1):
        words += ["--teacher", f"teacher-{number}.safetensors"]
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
