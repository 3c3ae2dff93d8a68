"""The documents say the same in both languages, and docs/translations.py notices when they do not."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from translations import GENERATED, PAGES, RECORD, examine, is_chinese, read_page, split_page, switch_language

ROOT = Path(__file__).parents[1]

ENGLISH = """# A lesson

It needs [the data](data.md#files) and one hour.

## Train the network

The network learns from 1,437 images. This is [explained elsewhere](https://example.org/lenet).

```sh
lenet report runs/quick-digits-0 --out report.html  # a comment
```

![Curves](curves.png)

### Settings

| setting | value |
|---|---|
| `lr` | 0.9 |

## Next
"""
CHINESE = """# 一堂课

它需要[数据](data.zh.md#files)和一个小时。

<a id="train-the-network"></a>

## 训练网络

网络从 1,437 张图像中学习。[别处有解释](https://example.org/lenet)。

```sh
lenet report runs/quick-digits-0 --language zh --out report.html  # a comment
```

![曲线](curves.png)

### 设置

| 设置 | 值 |
|---|---|
| `lr` | 0.9 |

## 接下来
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one page in two languages, both recorded, and the command."""
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/translations.py", tmp_path / "docs")
    (tmp_path / "docs/lesson.md").write_text(ENGLISH, "utf-8")
    (tmp_path / "docs/lesson.zh.md").write_text(CHINESE, "utf-8")
    assert record(tmp_path) == (0, "")
    return tmp_path


def record(root: Path, *arguments: str) -> tuple[int, str]:
    """The exit status and the complaints of the command."""
    command = [sys.executable, root / "docs/translations.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    return done.returncode, done.stderr


def change(root: Path, old: str, new: str, page: str = "docs/lesson.md") -> None:
    text = (root / page).read_text("utf-8")
    assert old in text
    (root / page).write_text(text.replace(old, new, 1), "utf-8")


def test_the_documents_say_the_same_in_both_languages() -> None:
    found = examine(ROOT)
    assert found.differences == []
    assert found.unrecorded == [], "run python docs/translations.py and commit docs/translations.json"


@pytest.mark.parametrize(
    ("old", "new", "section", "complaint"),
    [
        ("one hour", "a whole day", "一堂课 (#a-lesson)", "the English changed, the Chinese did not"),
        (
            "1,437",
            "1,438",
            "训练网络 (#train-the-network)",
            "numerals differ: English ['1,438'], Chinese ['1,437']",
        ),
        ("quick-digits-0", "best-mnist-0", "训练网络 (#train-the-network)", "code blocks differ"),
        ("```sh", "```console", "训练网络 (#train-the-network)", "code blocks differ"),
        ("data.md#files", "data.md#fonts", "一堂课 (#a-lesson)", "links differ"),
        ("curves.png", "loss.png", "训练网络 (#train-the-network)", "images differ"),
        ("| `lr` | 0.9 |", "| `lr` | 0.9 |\n| `momentum` | |", "设置 (#settings)", "tables differ"),
        ("| value |\n|---|---|", "| value | unit |\n|---|---|---|", "设置 (#settings)", "tables differ"),
        ("## Next\n", '## Next\n\n<a id="old-name"></a>\n', "接下来 (#next)", "anchors differ"),
        ("### Settings", "## Settings", "headings differ", "English ## Settings, Chinese ### 设置"),
        ("## Next", "## Next\n\n## Last", "headings differ", "English ## Last, Chinese none"),
    ],
)
def test_a_change_of_the_english_alone_is_found(
    root: Path, old: str, new: str, section: str, complaint: str
) -> None:
    change(root, old, new)
    assert any(
        line.startswith(f"docs/lesson.zh.md, {section}") and complaint in line
        for line in examine(root).differences
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1,437", "1437"),
        ("data.zh.md#files", "data.md#files"),
        ("--out report.html", "--out 报告.html"),
        ("# a comment", "# 注释"),
        ('<a id="train-the-network">', '<a id="training">'),
        ("## 接下来", "接下来"),
    ],
)
def test_chinese_that_says_something_else_is_found(root: Path, old: str, new: str) -> None:
    change(root, old, new, "docs/lesson.zh.md")
    assert examine(root).differences


def test_a_page_without_the_other_language_is_found(root: Path) -> None:
    before = (root / RECORD).read_bytes()
    for page in ("docs/lesson.zh.md", "docs/lesson.md"):
        text = (root / page).read_text("utf-8")
        (root / page).unlink()
        assert examine(root).differences == [f"{page} is missing: a page has two languages"]
        assert record(root)[0] == 2
        (root / page).write_text(text, "utf-8")
    assert (root / RECORD).read_bytes() == before
    (root / "docs/studies").mkdir()
    (root / "docs/studies/new.md").write_text("# New\n", "utf-8")
    assert examine(root).differences == ["docs/studies/new.zh.md is missing: a page has two languages"]


def test_a_new_english_text_is_recorded_with_new_chinese_or_on_request(root: Path) -> None:
    change(root, "one hour", "a free hour")
    change(root, "# A lesson", "# The lesson")  # nor does another name of the section hide it
    for _ in range(2):  # what is refused once is refused again
        code, complaint = record(root)
        assert code == 2
        assert (
            complaint == "docs/lesson.zh.md, 一堂课 (#the-lesson): the English changed, the Chinese did not\n"
        )
    assert record(root, "--same-meaning", "docs/lesson.md#next")[0] == 2
    assert record(root, "--same-meaning", "docs/lesson.md#the-lesson") == (0, "")
    assert examine(root).unrecorded == []
    change(root, "a free hour", "two hours")
    change(root, "一个小时", "两个小时", "docs/lesson.zh.md")
    assert examine(root).unrecorded == ["docs/lesson.zh.md, 一堂课 (#the-lesson): not recorded"]
    assert record(root) == (0, "")
    assert "no section is called" in record(root, "--same-meaning", "docs/lesson.md#nothing")[1]


def test_sections_may_move_and_lines_may_break_elsewhere(root: Path) -> None:
    change(root, "The network learns", "The network\nlearns")
    for page, heading in (("docs/lesson.md", "## Next\n"), ("docs/lesson.zh.md", "## 接下来\n")):
        change(root, f"\n{heading}", "", page)
        title, text = (root / page).read_text("utf-8").split("\n", 1)
        (root / page).write_text(f"{title}\n\n{heading}{text}", "utf-8")
        assert (examine(root).differences == []) == (page == "docs/lesson.zh.md")


def test_every_section_of_the_documents_is_guarded(tmp_path: Path) -> None:
    """All English sections get one more sentence and other numerals and commands: each of them is named."""
    for page in (page for pattern in PAGES for page in ROOT.glob(pattern)):
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    (tmp_path / RECORD).write_text(json.dumps(examine(tmp_path).record), "utf-8")
    expected = set()
    for page in [page for page in tmp_path.rglob("*.md") if not is_chinese(page.name)]:
        name = page.relative_to(tmp_path).as_posix()
        other = switch_language(name)
        if name in GENERATED or not (tmp_path / other).exists():
            continue
        sections, chinese = (split_page(read_page(tmp_path / path)) for path in (name, other))
        for english, section in zip(sections, chinese, strict=True):
            start = f"{other}, {section.title} (#{english.slug}): "
            expected |= {f"{start}the English changed, the Chinese did not", f"{start}numerals differ"}
            expected |= {f"{start}code blocks differ"} if english.blocks else set()
        texts = [f"{section.text}\n\nThis sentence is new: 123,456.\n" for section in sections]
        text = re.sub(r"^( *```.*)$|^    (?=[^ `])", r"\1\n    new ", "\n".join(texts), flags=re.M)
        page.write_text(text, "utf-8")
    found = "\n".join(examine(tmp_path).differences)
    assert [line for line in sorted(expected) if line not in found] == []
