"""The notebook runs from top to bottom in a kernel of its own, and shows what it says."""

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

NOTEBOOK = Path(__file__).parents[1] / "examples/lesson.ipynb"


@pytest.fixture(scope="module")
def committed() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_outputs_are_committed(committed: Any):
    nbformat.validate(committed)
    for cell in committed.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


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
