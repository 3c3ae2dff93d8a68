"""The pages of messages quote what the code says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lenet

ROOT = Path(__file__).parents[1]
HOLE = "…"  # stands for a name or a number, on the pages and here


def write_template(node: ast.expr) -> str | None:
    """The text of a string or an f-string, with a hole for each value that is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(write_template(part) or HOLE for part in node.values)
    return None


def list_templates() -> Iterator[str]:
    """Every string of the package that is no docstring, on one line."""
    for path in Path(lenet.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and node not in docstrings and (text := write_template(node)):
                yield " ".join(text.split())


TEMPLATES = sorted(set(list_templates()))


def is_said(quoted: str) -> bool:
    """True where one string of the package has all parts of the quotation, in their order."""
    parts = [re.escape(part) for part in quoted.split(HOLE)]
    return any(re.search(".*".join(parts), template) for template in TEMPLATES)


def list_quotations(page: str) -> list[str]:
    """The first column of the tables, where it is code."""
    return re.findall(r"^\| `([^`]+)` \|", (ROOT / f"docs/{page}.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", ["messages", "messages.zh"])
def test_every_message_on_the_page_is_one_of_the_package(page: str) -> None:
    quotations = list_quotations(page)
    assert len(quotations) == len(set(quotations)) > 100
    for quoted in quotations:
        assert len(re.findall("[a-z]", quoted)) >= 8, f"{quoted}: too short to be found by"
        assert is_said(quoted), f"docs/{page}.md: no code says {quoted!r}"


def test_the_chinese_page_has_the_same_messages() -> None:
    assert list_quotations("messages") == list_quotations("messages.zh")


def test_what_is_not_said_is_noticed() -> None:
    assert is_said("no recipe is called …")
    assert is_said("…: there is no such file or folder")
    assert not is_said("no recipe was called …")
    assert not is_said("or folder … there is no such file")
    assert not is_said("The command line: parse, call one function")  # a docstring
