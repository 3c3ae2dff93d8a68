"""The worksheets: links open the states that they speak of; answers are what the page and commands say."""

import importlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest

from lenet.cli.app import register_verbs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/worksheets"
SHEETS = sorted(page for page in FOLDER.glob("[1-8]-*.md") if not page.name.endswith(".zh.md"))
PAGES = sorted(FOLDER.glob("*.md"))
LANGUAGES = ("en", "zh")
LONG = ("--pooling", "--activation")  # trainings that are not repeated here


@pytest.fixture(scope="module")
def answers() -> Iterator[ModuleType]:
    """docs/worksheets/answers.py."""
    pytest.importorskip("playwright.sync_api")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("answers")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def screen(chromium: Any, answers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of the worksheets; afterwards nothing was complained about and no request was made."""
    file = tmp_path_factory.mktemp("worksheets") / "page.html"
    file.write_text(answers.make_worksheet_page(), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 1000}, locale="en-US")
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else complaints.append(request.url)
        ),
    )
    yield answers.Screen(page, file.as_uri())
    assert complaints == []


def rows(answers: ModuleType, language: str = "en") -> list[tuple[str, str, str]]:
    """Task, source and answer of every row of the answers."""
    name = "answers.zh.md" if language == "zh" else "answers.md"
    return list(answers.ROW.findall((FOLDER / name).read_text("utf-8")))


def find_commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_restores_its_state(screen: Any, answers: ModuleType, language: str):
    links, english = answers.read_links(language), answers.read_links()
    assert len(links) >= 30
    assert links == {
        label: link.replace("language=en", f"language={language}") for label, link in english.items()
    }
    for label, address in list(links.items())[:: 1 if language == "en" else 5]:
        screen.open(address)
        assert screen.page.evaluate("location.hash") == f"#{address}", label
        given = {key: values[0] for key, values in parse_qs(address).items()}
        assert given["language"] == language
        assert screen.page.evaluate("document.documentElement.lang[0]") == language[0]
        assert screen.page.locator("#model").input_value() == given["model"]
        assert screen.page.locator("#framing").is_checked() == ("framing" not in given), label
        assert screen.page.locator("#compare").input_value() == given.get("beside", "")
        assert screen.page.locator("#muted button").count() == len(given.get("mute", "").split())
        assert screen.page.locator("#biases").is_checked() == ("biases" in given)
        assert screen.page.locator("#weight-noise").input_value() == given.get("noise", "0")
        assert screen.page.locator("#image-noise").input_value() == given.get("grain", "0")
        assert screen.page.locator("#line").is_visible() == label.startswith("8")
        assert screen.page.locator("#pad").evaluate("pad => pad.toDataURL().length") > 1000  # ink
        if "pin" in given:
            layer = given["pin"].partition(".")[0]
            assert screen.text("#unit .unit").startswith(layer), label
            assert (screen.value() == "0") == (label == "2b"), "a pinned number that is 0 teaches nothing"
        else:
            assert screen.page.locator("#unit .value").count() == 0


def test_both_languages_have_the_same_links(answers: ModuleType):
    english, chinese = (answers.read_links(language) for language in LANGUAGES)
    assert {label: link.replace("language=en", "language=zh") for label, link in english.items()} == chinese
    for page in (page for page in PAGES if page.name[0].isdigit()):
        text = page.read_text("utf-8")
        defined = {label for label, _ in answers.LINK.findall(text)}
        assert {label[0] for label in defined} <= {page.name[0]}
        assert set(re.findall(r"\[([0-9a-z]+)\](?!: page)", text)) == defined, page.name


@pytest.mark.timeout(600)
def test_the_answers_are_what_the_page_shows(screen: Any, answers: ModuleType):
    links = answers.read_links()
    shown = [row for row in rows(answers) if row[1] in links]
    found = list(answers.answer([row[:2] for row in shown], screen))
    assert [(row[0], row[1], value) for row, value in zip(shown, found, strict=True)] == shown
    assert {source for _, source, _ in shown} == set(links)


def test_the_answers_are_computed(answers: ModuleType):
    for task, source, value in rows(answers):
        if source.startswith("`") and not source.startswith("`lenet "):
            assert answers.compute(source.strip("`")) == value, task


@pytest.mark.timeout(600)
def test_the_answers_are_what_the_commands_print(
    answers: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    run_all: Callable[[list[list[str]], Path], list[str]],
):
    for name in ("LENET_DATA", "LENET_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = [
        row
        for row in rows(answers)
        if row[1].startswith("`lenet ") and not any(option in row[1] for option in LONG)
    ]
    printed = run_all([answers.list_words(source.strip("`")) for _, source, _ in commands], tmp_path)
    for (task, source, value), text in zip(commands, printed, strict=True):
        found = answers.read_answer(text, tmp_path)
        if "train" not in source:
            assert found == value, task
            continue
        (*losses, share), (*expected, right) = (
            [float(number) for number in re.findall(r"[\d.]+", text)] for text in (found, value)
        )
        assert share == pytest.approx(right, abs=5), task  # processors round differently
        assert losses == pytest.approx(expected, abs=0.5), task


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_worksheets_parse(page: Path):
    app = register_verbs()
    for command in find_commands(page):
        app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_every_command_and_every_task_has_its_answer(answers: ModuleType):
    measured = {source.strip("`") for _, source, _ in rows(answers)}
    for language in LANGUAGES:
        text = (FOLDER / ("answers.zh.md" if language == "zh" else "answers.md")).read_text("utf-8")
        answered = set(re.findall(r"(?:^\| |\*\*)([1-8]\.\d)\b", text, re.MULTILINE))
        for sheet in SHEETS:
            page = sheet.with_suffix(".zh.md") if language == "zh" else sheet
            tasks = re.findall(r"^\*\*([1-8]\.\d)\*\*", page.read_text("utf-8"), re.MULTILINE)
            assert 5 < len(tasks) == len(set(tasks)) < 9
            assert set(tasks) <= answered, page.name
            assert {re.sub(r" --explain \S+", "", command) for command in find_commands(page)} <= measured


def test_the_command_of_the_teacher_writes_the_page_of_the_tests(answers: ModuleType):
    names = " ".join(importlib.import_module("site_page").CHECKPOINTS)
    for language in LANGUAGES:
        name = "index.zh.md" if language == "zh" else "index.md"
        assert find_commands(FOLDER / name) == [f"lenet export page.html {names}"]


def test_both_languages_have_the_same_rows(answers: ModuleType):
    assert rows(answers, "en") == rows(answers, "zh")
