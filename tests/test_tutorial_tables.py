"""The two tables of the tutorials, the names of their code and their items, name only what there is."""

import ast
import functools
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lenet.cli.app import register_verbs
from lenet.training.recipes import RECIPES

app = register_verbs()
ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs/tutorials"
NAMES = ("names.md", "names.zh.md")
ITEMS = ("items.md", "items.zh.md")
TAUGHT = ("d2l", "d2l-relu", "lab3", "lenet5-tanh", "classic-sigmoid")
NOTHING = "–"  # what an item needs that the tests run
REQUIRED = [
    "train_ch6", "train_epoch_ch3", "train_ch3", "Animator", "Accumulator", "Timer", "evaluate_accuracy",
    "evaluate_accuracy_gpu", "accuracy", "load_data_fashion_mnist(resize=…)", "get_dataloader_workers",
    "show_images", "get_fashion_mnist_labels", "try_gpu", "try_all_gpus", "init_weights",
    "nn.init.xavier_uniform_", "Reshape", "My_LeNet", "LeNet5", "single_predict", "multi_predict",
    "training_process", "get_accuracy", "plot_losses", "torch.load", "DataLoader(shuffle=False)",
    "CrossEntropyLoss(weight=…)", "torch.utils.data.random_split", "predict_ch3", "updater",
]  # fmt: skip


def read_rows(page: str, section: str = "") -> list[list[str]]:
    """The cells of every row of a page, or of the section that begins with `section`, without heads."""
    sections = re.split(r"^## ", (TUTORIALS / page).read_text("utf-8"), flags=re.MULTILINE)
    lines = "\n".join(text for text in sections if text.startswith(section)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads = [number for number, row in enumerate(cells) if set(row[0]) <= {"-"} and row[0]]
    return [row for number, row in enumerate(cells) if number not in {*heads, *(head - 1 for head in heads)}]


def find_code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@functools.cache
def check_code(code: str) -> None:
    """A command must parse; what is Python must use names that exist."""
    if code.startswith("lenet "):
        app.parse_args(shlex.split(code)[1:], exit_on_error=False, print_error=False)
        return
    for name in find_names(ast.parse(code)):
        pkgutil.resolve_name(name)


def find_names(tree: ast.AST) -> Iterator[str]:
    """The dotted names that begin with `lenet.`, each as long as it goes."""
    for node in ast.iter_child_nodes(tree):
        text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if re.fullmatch(r"lenet(\.\w+)+", text):
            yield text
        else:
            yield from find_names(node)


def test_names_are_found_in_expressions() -> None:
    assert list(find_names(ast.parse("lenet.a(lenet.b.c).d[lenet.e]"))) == ["lenet.a", "lenet.b.c", "lenet.e"]
    with pytest.raises(AttributeError):
        check_code("lenet.train_ch6")


@pytest.mark.parametrize("page", NAMES)
def test_the_table_of_names_is_complete_and_names_what_exists(page: str) -> None:
    rows = read_rows(page)
    listed = [name for row in rows for name in find_code(row[0])]
    assert set(REQUIRED) <= set(listed)
    assert len(listed) == len(set(listed))
    for _, _, here, note in rows:
        assert find_code(here)
        for code in find_code(here) + find_code(note):
            if code.startswith("lenet ") or "lenet." in code:
                check_code(code)


@pytest.mark.parametrize("page", ITEMS)
def test_every_item_has_a_command_that_parses(page: str) -> None:
    rows = read_rows(page)
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 60
    for row in rows:
        (code,) = find_code(row[2])
        check_code(code)
    text = (TUTORIALS / page).read_text("utf-8")
    for recipe in TAUGHT:
        assert recipe in RECIPES
        assert f"`lenet train {recipe}`" in text


@pytest.mark.parametrize(("english", "chinese"), [NAMES, ITEMS])
def test_both_languages_have_the_same_code(english: str, chinese: str) -> None:
    assert [[find_code(cell) for cell in row] for row in read_rows(english)] == [
        [find_code(cell) for cell in row] for row in read_rows(chinese)
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recipe", TAUGHT)
def test_the_items_of_a_tutorial_that_need_nothing_run(
    recipe: str, tmp_path: Path, run_all: Callable[..., list[str]]
) -> None:
    """In their order, in one folder."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    steps: list[str | list[str]] = []
    for row in read_rows("items.md", f"{recipe}:"):
        (code,) = find_code(row[2])
        if row[3] == NOTHING:
            is_command = code.startswith("lenet ")
            steps.append(shlex.split(code) if is_command else f"import lenet\nprint({code})")
    assert steps
    run_all(steps, tmp_path)
