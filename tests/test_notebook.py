"""The notebook runs from top to bottom in a kernel of its own, and shows what it says, in both languages."""

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

EXAMPLES = Path(__file__).parents[1] / "examples"


def read_notebook(name: str) -> Any:
    return nbformat.read(EXAMPLES / name, as_version=4)


@pytest.fixture(scope="module")
def committed() -> Any:
    return read_notebook("lesson.ipynb")


@pytest.mark.parametrize("name", ["lesson.ipynb", "lesson.zh.ipynb"])
def test_no_outputs_are_committed(name: str):
    notebook = read_notebook(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_chinese_notebook_differs_in_its_texts_alone(committed: Any):
    chinese = read_notebook("lesson.zh.ipynb")
    assert chinese.metadata == committed.metadata
    for english, cell in zip(committed.cells, chinese.cells, strict=True):
        if english.cell_type == "code":
            assert cell == english
            continue
        assert (cell.cell_type, cell.id) == ("markdown", english.id)
        assert re.search("[\u4e00-\u9fff]", cell.source)
        for pattern in (r"^#+ |^- ", r"`[^`]+`", r"\d[\d,.]*\d|\d"):  # headings and items, code, numerals
            found, expected = (
                sorted(re.findall(pattern, source, re.MULTILINE))
                for source in (cell.source.replace(".zh.md", ".md"), english.source)
            )
            assert found == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own
def test_the_notebook_runs(committed: Any, tmp_path: Path):
    client = nbclient.NotebookClient(committed, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    cells = [cell for cell in client.execute().cells if cell.cell_type == "code"]
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
    (training,) = [cell for cell in cells if "show_progress" in cell.source]
    (picture,) = training.outputs  # one, however often it was replaced
    assert set(picture.data) >= {"image/png"}
    (scores,) = [cell for cell in cells if "cross_val_score" in cell.source]
    assert min(map(float, re.findall(r"0\.\d+", scores.outputs[0].data["text/plain"]))) > 0.8
