"""Every example runs as it stands, says what it promises, and is short."""

import ast
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
LESSONS = sorted(EXAMPLES.glob("[0-9]_*.py"))
SAYS = {
    "1_look_at_data": "1,437 images to learn from",
    "2_look_at_layers": "together   61,706",
    "3_train_by_hand": "test 9",
    "4_draw_curves": "look at relu.png and both.png",
    "5_evaluate": "360 images, accuracy",
    "6_read_your_handwriting": "look at steps.png",
    "7_change_the_network": "± ",
    "8_in_scikit_learn": "chose nothing: 9",
    "9_look_inside": "read as 7",
}


def test_every_example_is_run():
    assert [path.stem for path in LESSONS] == sorted(SAYS)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_needs_the_public_names_only(path: Path):
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    assert not [module for module in modules if module.startswith("lenet.")]


def test_the_notebook_needs_the_public_names_only():
    assert "from lenet." not in (EXAMPLES / "lesson.ipynb").read_text("utf-8")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_an_example_says_what_it_promises(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert len(path.read_text("utf-8").splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert SAYS[path.stem] in said
    for figure in (word for word in said.split() if word.endswith(".png")):
        if "look at" in said and not (EXAMPLES / "pictures" / figure.strip(":")).exists():
            with Image.open(figure) as picture:
                assert min(picture.size) > 100
