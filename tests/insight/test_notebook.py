"""In a notebook: one picture, replaced; shown by a shell of IPython's own."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from lenet.insight import progress
from lenet.insight import progress as notebook
from lenet.training.loop import Epoch, Step

EPOCH = Epoch(1, 3, 0.1, 1.0, 0.5, None, None, 0.8, 0.25, True, 1.0, 1000.0)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a notebook would show, in order: IPython's own display, its messages caught."""
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    caught: list[dict[str, Any]] = []

    def publish(data: dict[str, Any], metadata: Any = None, **more: Any) -> None:
        caught.append({"png": data["image/png"], "update": more.get("update", False), **more["transient"]})

    monkeypatch.setattr(shell.display_pub, "publish", publish)
    yield caught
    InteractiveShell.clear_instance()


def epochs() -> Iterator[Epoch]:
    return (replace(EPOCH, epoch=number) for number in (1, 2, 3))


def test_one_picture_is_replaced(outputs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notebook, "SECONDS_BETWEEN_PICTURES", -1.0)
    assert [epoch.epoch for epoch in notebook.show_in_notebook(epochs())] == [1, 2, 3]
    assert [output["update"] for output in outputs] == [False, True, True]
    assert len({output["display_id"] for output in outputs}) == 1
    with Image.open(BytesIO(b64decode(outputs[-1]["png"]))) as picture:
        assert picture.width > 500


def test_the_last_picture_shows_every_epoch_also_after_a_break(outputs: list[dict[str, Any]]):
    for epoch in notebook.show_in_notebook(epochs()):
        if epoch.epoch == 2:
            break
    assert [output["update"] for output in outputs] == [False, True]
    assert outputs[0]["png"] != outputs[1]["png"]


def test_the_place_is_chosen_by_where_it_runs(
    outputs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert len(list(progress.show_progress(epochs()))) == 3
    assert outputs
    assert capsys.readouterr() == ("", "")
    del outputs[:]
    assert len(list(progress.show_progress(epochs(), quiet=True))) == 3
    assert not outputs


def test_the_picture_grows_within_an_epoch(outputs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    """Five points an epoch, however many steps are reported."""
    monkeypatch.setattr(notebook, "SECONDS_BETWEEN_PICTURES", -1.0)
    steps = [Step(1, 3, number, 50, 1.0, 0.5, 1000.0) for number in range(1, 50)]
    assert [epoch.epoch for epoch in notebook.show_in_notebook([*steps, EPOCH])] == [1]
    assert len(outputs) == 5  # four within the epoch, and its end
    assert len({output["png"] for output in outputs}) == 5
