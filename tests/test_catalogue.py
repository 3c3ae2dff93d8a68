"""The Chinese of the generated pages is complete, agrees with the English, and cannot fall behind it."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import catalogue
import command_help
import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
PLACEHOLDER = re.compile(r"\{[^{}]*\}")
NUMERAL = re.compile(r"\d+(?:[.,]\d+)*")
GENERATORS = ("docs/generate.py", "benchmarks/studies.py --page", "benchmarks/table.py")


def find_faults(message: Message) -> Iterator[str]:
    """What is wrong with the translation of a message, named by its English."""
    english, chinese = message.id, message.string
    if not chinese or message.fuzzy:
        yield f"no translation, or a fuzzy one: {english}"
    if Counter(PLACEHOLDER.findall(english)) != Counter(PLACEHOLDER.findall(chinese)):
        yield f"the placeholders differ: {english}"
    numerals = (Counter(NUMERAL.findall(PLACEHOLDER.sub("", text))) for text in (english, chinese))
    if next(numerals) != next(numerals):
        yield f"the numerals differ: {english}"


def test_every_message_is_translated_with_its_numerals_and_placeholders() -> None:
    messages = [message for message in catalogue.read_catalogue() if message.id]
    assert len(messages) > 500
    assert [fault for message in messages for fault in find_faults(message)] == []


@pytest.mark.parametrize(
    ("chinese", "fault"),
    [
        ("", "no translation"),
        ("{count} 张图片中的 1,437 张", "placeholders"),
        ("{count:,} 张图片中的 1,438 张", "numerals"),
    ],
)
def test_a_wrong_translation_is_found(chinese: str, fault: str) -> None:
    assert list(find_faults(Message("1,437 of {count:,} pictures", "{count:,} 张图片中的 1,437 张"))) == []
    assert fault in next(find_faults(Message("1,437 of {count:,} pictures", chinese)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of everything that the generators read and write."""
    for copied in ("benchmarks", "docs", "README.md", "README.zh-CN.md"):
        subprocess.run(["cp", "-r", ROOT / copied, tmp_path], check=True)
    return tmp_path


def generate(project: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *script.split()], cwd=project, capture_output=True, text=True, timeout=200
    )


def read_messages(folder: Path) -> set[str]:
    with (folder / "docs/zh.po").open("rb") as file:
        return {message.id for message in read_po(file)}


def test_generated_again_both_languages_and_the_catalogue_are_the_same(project: Path) -> None:
    for script in GENERATORS:
        done = generate(project, script)
        assert done.returncode == 0, done.stderr
    names = [f"docs/{page}{end}" for page in ("reference", "studies", "results") for end in (".md", ".zh.md")]
    for name in ("README.md", "README.zh-CN.md", *names):
        assert (project / name).read_text("utf-8") == (ROOT / name).read_text("utf-8"), f"{name}: make docs"
    kept, before = (read_messages(folder) for folder in (project, ROOT))
    assert before - kept == set(), "no page contains these messages: make docs"
    assert (project / "docs/zh.po").read_bytes() == (ROOT / "docs/zh.po").read_bytes(), "make docs"


@pytest.mark.parametrize(
    ("script", "module", "english"),
    [
        ("docs/generate.py", "docs/generate.py", "A dot is the default."),
        ("benchmarks/studies.py --page", "benchmarks/studies.py", "one thread a training."),
        (
            "benchmarks/table.py",
            "benchmarks/results_reading.py",
            "No setting was chosen on the blind pictures.",
        ),
    ],
)
def test_a_changed_sentence_is_refused_until_its_chinese_is_looked_at(
    project: Path, script: str, module: str, english: str
) -> None:
    file = project / module
    assert english in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace(english, "Changed 7."), "utf-8")
    done = generate(project, script)
    assert done.returncode == 1
    assert re.search(r"^docs/zh.po has no translation of: .*Changed 7\.", done.stderr, re.MULTILINE)
    assert english not in (project / "docs/zh.po").read_text("utf-8")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue without messages, in place of the project's."""
    file = tmp_path / "zh.po"
    file.write_text(catalogue.HEADER, "utf-8")
    monkeypatch.setattr(catalogue, "CATALOGUE", file)
    return file


def write_page(say: catalogue.Say) -> str:
    sentences = f"{say('It is {n}.').format(n=5)} {say('So.')}"
    return f"# {say('Page')}\n\n## {say('What to do')}\n\n## Python\n\n{sentences}\n"


def test_a_catalogue_is_filled_and_then_translates(empty: Path) -> None:
    with pytest.raises(SystemExit, match=re.escape("docs/zh.po has no translation of: It is {n}.")):
        catalogue.translate("docs/page.md", write_page)
    text = empty.read_text("utf-8")
    assert text.count("#: docs/page.md\n") == 4
    for english, chinese in (
        ("Page", "页面"),
        ("What to do", "做法"),
        ("It is {n}.", "它是 {n}。"),
        ("So.", "是的。"),
    ):
        text = text.replace(f'msgid "{english}"\nmsgstr ""', f'msgid "{english}"\nmsgstr "{chinese}"')
    empty.write_text(text, "utf-8")
    chinese = catalogue.translate("docs/page.md", write_page)
    assert chinese == '# 页面\n\n<a id="what-to-do"></a>\n\n## 做法\n\n## Python\n\n它是 5。是的。\n'
    with pytest.raises(SystemExit, match=r"has no translation of: What to do here$"):
        catalogue.translate("docs/page.md", lambda say: say("What to do here"))
    assert '#, fuzzy\nmsgid "What to do here"\nmsgstr "做法"' in empty.read_text("utf-8")
    assert "It is" not in empty.read_text("utf-8")


def test_messages_of_other_pages_stay(empty: Path) -> None:
    for page in ("b.md", "a.md", "b.md"):
        with pytest.raises(SystemExit):
            catalogue.translate(page, lambda say, page=page: say("both") + say(f"only in {page}"))
    assert re.findall(r"^(?:#:|msgid) (.*)$", empty.read_text("utf-8"), re.MULTILINE) == [
        '""', "a.md", '"only in a.md"', "a.md b.md", '"both"', "b.md", '"only in b.md"',
    ]  # fmt: skip


def test_chinese_is_wrapped_between_characters_but_not_before_punctuation() -> None:
    text = "  " + "网络的每一层都有一个名称，例如 conv1。" * 5 + "\n" + "x" * 120
    lines = command_help.wrap(text, hang=2).split("\n")
    assert "".join(lines).replace(" ", "") == "".join(text.split())
    assert [line[:4].count(" ") for line in lines[:-1]] == [2, *[4] * (len(lines) - 2)]
    assert all(command_help.cell_len(line) <= command_help.LONGEST for line in lines[:-1])
    assert not any(line.strip()[0] in "，。" for line in lines)
