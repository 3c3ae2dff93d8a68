"""Every command and every piece of Python in the documents does what it says."""

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from translations import is_chinese, split_page, switch_language

from lenet.cli.app import register_verbs
from lenet.cli.tables import show_network
from lenet.experiments.studies import STUDIES
from lenet.training import recipes
from lenet.training.recipes import RECIPES

app = register_verbs()
RunAll = Callable[[list[str | list[str]], Path], list[str]]

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
TEXTS = [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def name_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def has_blocks_of_its_own(page: Path) -> bool:
    """False for a Chinese page with the blocks of its English page, which are run there."""
    english = ROOT / switch_language(name_page(page))
    kinds = ("sh", "console", "python")
    return not is_chinese(page.name) or any(blocks(page, kind) != blocks(english, kind) for kind in kinds)


RUN = [page for page in PAGES if has_blocks_of_its_own(page)]


def is_call(line: str) -> bool:
    return re.match(r"(\$ )?lenet ", line) is not None


def commands(page: Path, language: str) -> list[str]:
    """The lines that call lenet, without the prompt."""
    lines = "\n".join(blocks(page, language)).splitlines()
    return [line.removeprefix("$ ") for line in lines if is_call(line)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder where the examples' pictures lie as they do in the project."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def read_outputs(page: Path, language: str) -> list[str | None]:
    """The text that a page quotes directly below each of its blocks, None where it quotes none."""
    below = rf"^```{language}\n.*?^```$(?:\n\n```text\n(.*?)^```$)?"
    found = re.finditer(below, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block[1] for block in found]


@pytest.mark.parametrize("page", RUN, ids=name_page)
def test_blocks_run_as_they_stand_and_print_what_is_quoted(page: Path, folder: Path, run_all: RunAll) -> None:
    """Commands and Python, in their order, in one folder; what a page quotes is the output of Python."""
    steps: list[str | list[str]] = []
    expected: list[str | None] = []
    below = r"^```(sh|python)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?"
    for language, text, quoted in re.findall(below, page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        is_python = language == "python"
        own = [text] if is_python else [shlex.split(line) for line in text.splitlines() if is_call(line)]
        steps += own
        expected += [quoted or None] if is_python else [None] * len(own)
    for printed, quoted in zip(run_all(steps, folder), expected, strict=True):
        assert quoted in (None, printed)


@pytest.mark.parametrize("page", RUN, ids=name_page)
def test_long_commands_at_least_parse(page: Path) -> None:
    for command in commands(page, "console"):
        app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_refusals_are_quoted_as_they_are(folder: Path) -> None:
    quoted = re.findall(
        r"^\$ (lenet .*)\n(lenet: .*)$", "\n".join(blocks(ROOT / "docs/how-to.md", "console")), re.MULTILINE
    )
    assert quoted
    for command, line in quoted:
        arguments = [sys.executable, "-m", "lenet", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
        assert (done.returncode, done.stderr.strip()) == (2, line)


@pytest.mark.parametrize("page", RUN, ids=name_page)
def test_tables_of_layers_are_quoted_as_they_are(page: Path) -> None:
    for block, quoted in zip(blocks(page, "sh"), read_outputs(page, "sh"), strict=True):
        words = shlex.split(block)
        if words[:2] == ["lenet", "summary"] and quoted is not None:
            assert quoted == show_network(RECIPES[words[2]].model) + "\n"


def test_commands_in_the_sentences_of_tutorials_parse() -> None:
    found = [re.findall(r"`(lenet [^\s`]+ [^`…]+)`", page.read_text("utf-8")) for page in TUTORIALS]
    for command in sorted({command for commands in found for command in commands}):
        app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_values_in_tutorials_are_those_of_the_measurements() -> None:
    """A mean with its deviation, and a speed, stand in the results, the studies or a recipe."""
    pages = (ROOT / f"docs/{name}.md" for name in ("results", "studies"))
    measured = "".join(page.read_text("utf-8") for page in pages).replace("\xa0", " ")
    speeds = [f"{recipe.published.get('examples_per_second', 0):,}" for recipe in RECIPES.values()]
    for page in TUTORIALS:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for value in re.findall(r"\d[\d.]* ± \d[\d.]*", text):
            assert value in measured, f"{page.name}: {value}"
        for value in re.findall(r"([\d,.]+) (?:images|examples)/s", text):
            assert value in speeds or re.search(rf"[^\d,.]{re.escape(value)}[^\d]", measured), value


def test_every_recipe_of_a_tutorial_has_its_pages() -> None:
    pages = [ROOT / page for page in recipes.TUTORIALS.values()]
    for page in pages:
        assert {page, page.with_name(f"{page.stem}.zh.md")} <= set(TUTORIALS), page.name


def test_figures_of_tutorials_are_small() -> None:
    figures = [file for file in (ROOT / "docs/tutorials").iterdir() if file.suffix in (".webp", ".png")]
    assert figures
    for figure in figures:
        assert figure.stat().st_size <= 60_000, figure.name


def find_targets(text: str) -> set[str]:
    """The targets of `make` that a text names, in blocks of any kind and in backquotes."""
    return set(re.findall(r"^(?: {4})?make ([a-z]+)\b", text, re.MULTILINE)) | set(
        re.findall(r"`make ([a-z]+)`", text)
    )


def test_make_targets_in_the_documents_exist() -> None:
    assert find_targets("    make one  # why\n```sh\nmake two\n```\nwe make cars; `make three`") == {
        "one",
        "two",
        "three",
    }
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in TEXTS:
        assert find_targets(page.read_text("utf-8")) <= targets, page.name
    assert find_targets((ROOT / "CONTRIBUTING.md").read_text("utf-8")) == targets - {"demo", "clean"}


def test_links_lead_somewhere() -> None:
    for page in TEXTS:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def find_anchors(page: Path) -> set[str]:
    """What a link into a page can name where pages are shown as they are: headings and `<a id="…">`."""
    text = page.read_text("utf-8")
    return {section.slug for section in split_page(text)} | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", TEXTS, ids=name_page)
def test_anchors_exist(page: Path) -> None:
    """Where the site is built, they are checked by its rules."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8")):
        assert anchor in find_anchors(page.parent / target if target else page), f"{target}#{anchor}"


@pytest.mark.parametrize("page", TEXTS, ids=name_page)
def test_files_named_in_the_documents_exist(page: Path) -> None:
    for name in set(
        re.findall(r"`((?:src|tests|benchmarks|docs|examples)/[^`* ]*)`", page.read_text("utf-8"))
    ):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", ["explanation", "line"])
def test_modules_named_in_the_explanation_exist(page: str) -> None:
    names = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", (ROOT / f"docs/{page}.md").read_text("utf-8")))
    assert len(names) >= 5
    for name in names:
        assert (ROOT / "src/lenet" / name).exists(), name


def test_the_layout_in_contributing_is_the_layout() -> None:
    """Every folder and file in a line of its own, in the order of the import contract."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (tree,) = [block for block in blocks(ROOT / "CONTRIBUTING.md", "text") if block.startswith("src/lenet/")]
    named = re.findall(r"^  ([a-z]+(?:\.py|/)) +\w", tree, re.MULTILINE)
    ignored = {"__pycache__/", "py.typed", "__init__.py", "__init__.pyi", "__main__.py"}
    found = {path.name + "/" * path.is_dir() for path in (ROOT / "src/lenet").iterdir()} - ignored
    assert len(named) == len(set(named))
    assert set(named) == found
    rooms = runpy.run_path(str(ROOT / "tests/test_architecture.py"))["ROOMS"]
    assert [name.removesuffix("/") for name in named if name.removesuffix("/") in rooms] == list(rooms)
    questions = re.findall(r"^\| (?:Where|Which) .*\? \| .*`.*`.*\|$", text, re.MULTILINE)
    assert len(questions) >= 10


def test_the_citation_is_that_of_the_package() -> None:
    """The keys that CFF 1.2.0 requires, and the version and licence of the package; without a YAML parser."""
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    top = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    assert top.keys() >= {"cff-version", "message", "title", "authors", "references"}
    assert top["cff-version"] == "1.2.0"
    assert top["version"] == project["version"]
    assert project["license"] == f"{top['license']} AND OFL-1.1"  # that of the font, which is not to be cited
    assert "doi: 10.1109/5.726791" in text


def test_every_recipe_that_is_measured_stands_in_the_results() -> None:
    page = (ROOT / "docs/results.md").read_text("utf-8")
    for name, recipe in RECIPES.items():
        if name == "sprint":
            assert "`lenet train sprint`" in page, "measure it with benchmarks/sprint.py"
        elif recipe.model.is_classic:
            assert "`python benchmarks/classic.py" in page, "measure it with benchmarks/classic.py"
        elif name == "adapt":
            assert "`python benchmarks/adapt.py" in page, "measure it with benchmarks/adapt.py"
        elif name != "quick":
            assert f"| {name} |" in page, f"measure {name} with benchmarks/systems.py"


def test_every_study_stands_on_the_page_of_studies() -> None:
    page = (ROOT / "docs/studies.md").read_text("utf-8")
    for study in STUDIES:
        assert f"lenet study {study}" in page, f"run it with benchmarks/studies.py {study}"
        assert (ROOT / f"docs/studies/{study}.png").exists()


@pytest.mark.timeout(240)
def test_the_demo_reads_pictures(folder: Path, run_all: RunAll) -> None:
    demo = str(ROOT / "examples/demo.py")
    (printed,) = run_all([f"import runpy; runpy.run_path({demo!r}, run_name='__main__')"], folder)
    accuracy = re.search(r"test accuracy ([\d.]+)%", printed)
    assert accuracy is not None
    assert float(accuracy[1]) > 95
    for figure in ("curves.png", "hardest.png", "steps.png"):
        assert (folder / "runs/quick-digits-0" / figure).stat().st_size > 10_000
