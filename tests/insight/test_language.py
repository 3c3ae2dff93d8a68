"""Every text of a figure or a report has its Chinese, in a font that has its characters."""

import ast
import copy
import json
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
import torch
from jinja2 import nodes
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.text import Text

import lenet as package
from lenet.data.imageset import ImageSet
from lenet.data.sources import SOURCES
from lenet.experiments.comparison import Comparison, Variant
from lenet.experiments.distorted import CONDITIONS
from lenet.experiments.figures import plot_study
from lenet.experiments.studies import STUDIES
from lenet.images.corruptions import CORRUPTIONS, IDENTITY
from lenet.insight.diagnosis import diagnose
from lenet.insight.explanation import compare_classes, explain_subjects, pick_sample, show_patches
from lenet.insight.language import choose_language, read_catalogue, translate_text
from lenet.insight.plots import canvas, fonts
from lenet.insight.plots.charts import MEASURES, SPLITS
from lenet.insight.plots.curves import draw_curves, draw_reliability, plot_runs
from lenet.insight.plots.figures import (
    draw_confusion,
    draw_corruptions,
    draw_hardest,
    draw_sample,
    draw_steps,
)  # fmt: skip
from lenet.insight.progress import write_epoch
from lenet.insight.report import list_settings, write_report
from lenet.models.checkpoint import Checkpoint
from lenet.phrases import ClassName, Phrase
from lenet.reading.reader import Reader
from lenet.training.evaluation import evaluate, measure_reliability, measure_robustness
from lenet.training.recipes import RECIPES
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.start import make_model

SOURCE = Path(package.__file__).parent
TEXTS, CLASSES = read_catalogue()["texts"], read_catalogue()["classes"]
GIVEN = {  # where texts are names: of studies, recipes, environments, corruptions; `list_given` has them
    ("experiments/figures.py", "comparison.question"),
    ("experiments/figures.py", "variant.label"),
    ("experiments/figures.py", "condition"),
    ("insight/language.py", "template"),
    ("insight/plots/charts.py", "split"),
    ("insight/plots/charts.py", "measure"),
    ("insight/plots/curves.py", "split"),
    ("insight/plots/figures.py", "name.replace('_', ' ')"),
    ("insight/report.py", "plan.recipe.source"),
    ("insight/report.py", "name.replace('_', ' ')"),
    ("insight/report.py", "value"),
    ("insight/report.py", "name"),
    ("insight/report.py", "template"),
}
PLAIN = {"system", "machine", "processors", "cpu", "average", "max", "default", "textbook", "improved"}
PLAIN |= {"none", "balanced", "cross-entropy", "your own"}  # of environments, studies and recipes: one word
NAMES = (
    "LeNet MNIST Canny Clopper Pearson SHA nat logits sigmoid ReLU relu Adam tanh Li Hoiem LeCun png mnist"
)
IDENTIFIERS = set(NAMES.split(" "))
"""What stays as it is in Chinese: names of methods, functions, data and people."""


def list_constants(node: ast.expr) -> list[str] | None:
    """The texts that an expression may be, None where they are not in the code."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp():
            return (list_constants(node.body) or []) + (list_constants(node.orelse) or [])
    return None


def list_assigned(tree: ast.Module) -> dict[str, list[str]]:
    """The texts that are assigned to names in a module."""
    assigned: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).extend(list_constants(node.value) or [])
    return assigned


def list_templates() -> Iterator[str]:
    """Every template in the code: the first argument of `Phrase` and `say`, or what its name is."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}
    faults = list_assigned(trees[SOURCE / "insight/faults.py"])  # its constants are imported by the diagnosis
    for path, tree in trees.items():
        module, assigned = path.relative_to(SOURCE).as_posix(), faults | list_assigned(tree)
        imported = {
            name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
        }
        # Other functions named `say` are arguments: what they are given is translated in docs/zh.po.
        calls = {"Phrase", "say"} & imported
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in calls and node.args:
                name = ast.unparse(node.args[0])
                if (module, name) not in GIVEN:
                    texts = list_constants(node.args[0]) or assigned.get(name)
                    assert texts, f"{module}: {ast.unparse(node)}"
                    yield from texts


def list_given() -> Iterator[str]:
    """Texts that are names elsewhere: the values of the expressions in GIVEN."""
    yield from (*SPLITS, *MEASURES, *CONDITIONS, "inverted", "inverted, read as pictures")
    yield from (name.replace("_", " ") for name in (IDENTITY, *CORRUPTIONS))
    for study in STUDIES.values():
        yield study.question
        yield from (label for label in study.variants if " " in label)
    for recipe in RECIPES.values():
        yield recipe.source
        yield from (key.replace("_", " ") for key in recipe.published)
        yield from (value for value in recipe.published.values() if isinstance(value, str))


def list_report_texts() -> list[str]:
    tree = jinja2.Environment(autoescape=True).parse((SOURCE / "insight/report.html").read_text("utf-8"))
    return [
        call.args[0].value
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name == "say"
    ]


def has_words(template: str) -> bool:
    return any(re.search("[A-Za-z]", text) for text, *_ in string.Formatter().parse(template))


def list_fields(template: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(template) if name}


def test_every_text_has_its_chinese():
    templates = set(list_templates())
    assert len(templates) > 100
    used = {*templates, *list_given(), *list_report_texts()}
    assert {text for text in used if has_words(text)} - TEXTS.keys() == set()


def test_no_chinese_is_left_over():
    """A changed English text drops its Chinese: nothing in the catalogue is without its English."""
    used = {*list_templates(), *list_given(), *list_report_texts()}
    assert TEXTS.keys() - used - PLAIN == set()


@pytest.mark.parametrize("english", TEXTS)
def test_the_chinese_says_the_same_values(english: str):
    chinese = TEXTS[english]
    assert list_fields(chinese) == list_fields(english)
    for pattern in ("`[^`]*`", r"\d+(?:[.,]\d+)*"):
        found = [re.findall(pattern, re.sub(r"\{[^`{}]*\}", "", text)) for text in (english, chinese)]
        assert sorted(found[0]) == sorted(found[1])


def test_the_report_has_no_text_of_its_own_language():
    """All words of the template stand in calls of `say`."""
    tree = jinja2.Environment().parse((SOURCE / "insight/report.html").read_text("utf-8"))
    text = "".join(data.data for data in tree.find_all(nodes.TemplateData))
    bare = re.sub(r"<[^>]*>|&\w+;|<!--.*?-->", " ", text)
    assert re.findall("[A-Za-z]{2,}", re.sub(r'[\w-]+="[^"]*"?|[\w-]+="', " ", bare)) == []


def test_the_font_has_every_character():
    names = [name for source in SOURCES.values() for name in source.classes]
    signs = {sign for text in (*TEXTS.values(), *CLASSES.values(), *names) for sign in text}
    font = get_font(fonts.SUBSET)
    signs = {sign for sign in signs if not sign.isascii() and not sign.isspace()}
    assert {sign for sign in signs if not font.get_char_index(ord(sign))} == set()
    assert font.family_name == "LeNet Sans SC"  # no reserved name, and not that of the complete font
    assert fonts.SUBSET.stat().st_size <= 300_000
    assert "SIL OPEN FONT LICENSE" in fonts.SUBSET.with_suffix(".OFL.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("asked", "variables", "language"),
    [
        (None, {}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LENET_LANGUAGE": "en"}, "en"),
        (None, {"LANG": "de_DE", "LENET_LANGUAGE": "zh"}, "zh"),
        ("en", {"LENET_LANGUAGE": "zh"}, "en"),
        ("zh", {"LENET_LANGUAGE": "en"}, "zh"),
    ],
)
def test_the_language_is_the_first_that_is_given(
    asked: str | None, variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("LENET_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: ("en_US", "UTF-8"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert choose_language(asked) == language


def test_windows_names_its_locale_in_words(monkeypatch: pytest.MonkeyPatch):
    for name in ("LENET_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: ("Chinese (Simplified)_China", "936"))
    assert choose_language() == "zh"


def test_a_phrase_is_an_english_string():
    phrase = Phrase("{name}: read as {said}", name="{x}.png", said=Phrase("nothing"))
    assert phrase == "{x}.png: read as nothing"
    assert json.dumps([phrase]) == '["{x}.png: read as nothing"]'
    here, there = Pipe()
    here.send(phrase)  # as from a worker process
    for copied in (copy.deepcopy(phrase), there.recv()):
        assert copied == phrase
        assert translate_text(copied, "zh") == "{x}.png：识别为 无内容"
    assert translate_text(phrase, "en") == phrase


def test_names_that_somebody_gave_stay_as_they_are():
    assert translate_text("loss", "zh") == "loss"
    assert translate_text(ClassName("loss"), "zh") == "loss"
    assert translate_text(Phrase("loss"), "zh") == "损失"
    assert translate_text(ClassName("Coat"), "zh") == "外套"
    assert (
        translate_text(
            Phrase("{name} as {predicted} {share:.0%}", name="test", predicted=ClassName("Bag"), share=0.5),
            "zh",
        )
        == "test，误为包 50%"
    )


def test_chinese_lines_are_as_wide_as_they_may_be():
    lines = canvas.wrap("没有边框；区分度最大的配比：红 41 %，绿 40 %，蓝 19 %，LeNet-5 读图", 20).split("\n")
    assert len(lines) > 2
    assert all(canvas.measure_columns(line) <= 22 for line in lines)
    assert not any(line[0] in "，；：。？" for line in lines)


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Chinese figures; the texts of all that are rendered."""
    monkeypatch.setenv("LENET_LANGUAGE", "zh")
    texts: list[str] = []
    render = canvas.render_figure

    def note(figure: object, suffix: str = ".png") -> bytes:
        content = render(figure, suffix)  # type: ignore[arg-type]
        texts.extend(text.get_text() for text in figure.findobj(Text) if text.get_visible())  # type: ignore[attr-defined]
        return content

    monkeypatch.setattr(canvas, "render_figure", note)
    return texts


@pytest.fixture(scope="module")
def clothes(digits_test: ImageSet) -> tuple[Checkpoint, ImageSet]:
    """An untrained network and a few images, with the classes of Fashion-MNIST."""
    names = SOURCES["fashion-mnist"].classes
    data = replace(digits_test.subset(torch.arange(60)), classes=names)
    return Checkpoint(make_model(RECIPES["quick"], 0).eval(), {"classes": names}), data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has learnt nothing, so that there is a diagnosis."""
    recipe = RECIPES["quick"].override({"epochs": 2, "lr": 0.3})
    folder = begin_run(recipe, device="cpu", runs_dir=tmp_path_factory.mktemp("runs"))
    for _ in run_training(folder):
        pass
    return folder


def find_english(text: str, *given: str) -> set[str]:
    """Words in Latin letters, apart from identifiers and from the words of what was `given`."""
    known = set(re.findall("[A-Za-z]+", " ".join(given))) | IDENTIFIERS
    return set(re.findall("[A-Za-z]{2,}", text)) - known


def test_figures_are_chinese(
    chinese: list[str], clothes: tuple[Checkpoint, ImageSet], run: RunFolder, tmp_path: Path
):
    """All figures of an evaluation, an explanation, a reading, a run and a study. A box would be an error."""
    checkpoint, data = clothes
    evaluation = evaluate(checkpoint, data, 8)
    draw_confusion(evaluation, tmp_path / "confusion.png")
    draw_hardest(evaluation, data, tmp_path / "hardest.png")
    draw_sample(checkpoint.model, data, torch.arange(8), tmp_path / "sample.png")
    draw_reliability(measure_reliability(checkpoint, data), tmp_path / "reliability.png")
    corrupted = dict.fromkeys((IDENTITY, *CORRUPTIONS), data)
    draw_corruptions(corrupted, measure_robustness(checkpoint, corrupted), tmp_path / "corruptions.png")
    subjects = [pick_sample(data, "Coat")]
    explain_subjects(checkpoint, subjects, tmp_path, Phrase("the network {checkpoint}", checkpoint="quick"))
    show_patches(checkpoint, data, tmp_path / "patches.png")
    compare_classes(checkpoint, data, ("coat", "bag"), tmp_path / "compare.png")
    page = np.full((80, 60), 240, dtype=np.uint8)
    page[20:60, 28:33] = 20
    draw_steps(Reader("mnist").explain(page)[1], tmp_path / "steps.png")
    history = run.read_history()
    draw_curves(history, tmp_path / "curves.png", write_epoch(history[-1]))
    canvas.save_figure(plot_runs({"quick": history}, Phrase("1 run")), tmp_path / "runs.png")
    study = STUDIES["distorted"]
    variants = tuple(
        Variant(name, {}, {"rotated": (0.5, 0.6), "scaled": (0.7, 0.8)}) for name in study.variants
    )
    comparison = Comparison("distorted", study.question, "", "mnist", 1, 2, variants)
    canvas.save_figure(plot_study(comparison), tmp_path / "study.png")
    assert len(list(tmp_path.iterdir())) == 14
    assert {"训练损失", "精度", "真实类别", "怎样让网络识别旋转、缩放和彩色的数字？"} <= set(chinese)
    assert {"外套", "毛玻璃模糊"} <= set(re.findall(r"\w+", " ".join(chinese)))
    layers = checkpoint.model.config.layers()
    given = [
        data.name,
        "mnist",
        "quick",
        *(layer.name for layer in layers),
        *(layer.kind for layer in layers),
    ]
    assert find_english(" ".join(chinese), *given) == set()


def test_a_report_is_chinese(run: RunFolder, tmp_path: Path):
    text = write_report(run, tmp_path / "report.html", "page.html", "zh").read_text("utf-8")
    assert '<html lang="zh-CN">' in text
    body = re.sub(r"<style>.*?</style>|<pre>.*?</pre>|data:[^\"]*", "", text, flags=re.DOTALL)
    labels = " ".join(re.findall(r'(?:alt|aria-label)="([^"]*)"', body))
    shown = unescape(re.sub("<[^>]*>", " ", body) + labels)
    plan = run.read_plan()
    layers = [f"{layer.name} {layer.kind}" for layer in plan.recipe.model.layers()]
    settings = [f"{name} {value}" for rows in list_settings(plan).values() for name, value, _ in rows]
    environment = [f"{name} {value}" for name, value in run.read_environment().items()]
    given = [
        run.path.name,
        "last safetensors",
        plan.data_sha256[:16],
        plan.device,
        *layers,
        *settings,
        *environment,
    ]
    remedies = " ".join(re.findall("`[^`]*`", " ".join(fault.remedy for fault in diagnose(run).faults)))
    assert remedies
    assert find_english(shown, *given, remedies) == set()
    assert "learning rate" not in text
    assert "<h2>诊断</h2>" in text


def test_every_fault_is_chinese():
    """Each text of a fault, with values in it, has no English words but layers, settings and functions."""
    for english, text in TEXTS.items():
        plain = re.sub(r"`[^`]*`|\{[^{}]*(\{[^}]*\})?[^{}]*\}|&\w+;|</?\w+>", " ", text)
        assert find_english(plain, "d2l") == set(), english


def test_the_command_asks_for_chinese(lenet: Any, run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    told = lenet("report", run.path, "--out", "zh.html", "--language", "zh", "--json")
    assert '<html lang="zh-CN">' in Path("zh.html").read_text("utf-8")
    assert '"zh"' in Path(told.json["page"]).read_text("utf-8")[:20_000]
    assert lenet("report", run.path, "--out", "en.html").code == 0
    assert '<html lang="en">' in Path("en.html").read_text("utf-8")
    monkeypatch.setenv("LENET_LANGUAGE", "zh")
    outcome = lenet("report", run.path, "--out", "by-variable.html")
    assert Path("by-variable.html").read_bytes() == Path("zh.html").read_bytes().replace(
        b"zh-page", b"by-variable-page"
    )
    assert outcome.out.startswith("by-variable.html: ")  # the command line stays English
    assert "it links to" in outcome.out
    assert lenet("report", run.path, "--language", "fr").code == 2


def test_what_lacks_a_font_is_told_and_drawn_as_codes(
    digits_test: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The labels of ticks too, which matplotlib writes again while it draws."""
    monkeypatch.setattr(fonts, "find_fonts", lambda characters: [])
    texts: list[str] = []
    monkeypatch.setattr(canvas, "choose_fonts", lambda figure: note_labels(figure, texts))
    data = replace(digits_test, classes=("\u732b", *"123456789"))
    with pytest.warns(fonts.GlyphWarning, match=r"no font here has \u732b, so a figure shows codes such as"):
        draw_confusion(evaluate(make_model(RECIPES["quick"], 0), data), tmp_path / "confusion.png")
    assert texts.count("\\u732b") == 2


def note_labels(figure: Figure, texts: list[str]) -> list[str]:
    families = fonts.choose_fonts(figure)
    for axes in figure.axes:
        texts += [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    return families
