"""Progress goes to standard error: a bar on a terminal, a line an epoch elsewhere."""

import io
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lenet.cli.bulk import count_row, show_reading
from lenet.insight.progress import BLOCKS, WIDTH, draw_sparklines, show_progress
from lenet.training.loop import Epoch, Step


def records() -> Iterator[Step | Epoch]:
    for epoch in (1, 2):
        yield Step(epoch, 2, 1, 2, 1.0, 0.5, 1000.0)
        yield Epoch(epoch, 2, 0.1, 1 / epoch, 0.5, 0.4, 0.9, None, None, epoch == 1, 1.0, 1000.0)


def test_a_line_an_epoch(capsys: pytest.CaptureFixture[str]):
    assert [epoch.epoch for epoch in show_progress(records())] == [1, 2]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "epoch 1/2  train 1.0000 50.00%  validation 0.4000 90.00% best  1,000 examples/s",
        "epoch 2/2  train 0.5000 50.00%  validation 0.4000 90.00%  1,000 examples/s",
    ]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]):
    assert len(list(show_progress(records(), quiet=True))) == 2
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal from here on; a fixture would come before pytest takes it for itself."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return terminal


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = open_terminal(monkeypatch)
    assert len(list(show_progress(records()))) == 2
    assert "epoch 2/2" in terminal.getvalue()
    for shape in ("█▂", "1.0000", "0.5000", "validation"):
        assert shape in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


EPOCH = Epoch(1, 9, 0.1, 1.0, 0.5, None, None, 0.8, 0.25, True, 1.0, 1000.0)


def lines_of(history: list[Epoch], width: int = WIDTH) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    console.print(draw_sparklines(history, width))
    return [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_curves_on_a_terminal_are_lines_of_one_scale():
    history = [replace(EPOCH, train_loss=loss, test_loss=0.5) for loss in (4.0, 2.25, 0.5)]
    assert lines_of(history) == [
        ["loss", "train", "4.0000", "█▅▁", "0.5000"],  # halfway is between the fourth and the fifth block
        ["loss", "test", "0.5000", "▁▁▁", "0.5000"],
        ["accuracy", "train", "50.00%", "███", "50.00%"],
        ["accuracy", "test", "25.00%", "▁▁▁", "25.00%"],
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(-5, 90))
def test_a_line_is_as_long_as_there_is_room(losses: list[float], width: int):
    history = [replace(EPOCH, train_loss=loss, test_loss=loss) for loss in losses]
    first, *_ = lines_of(history, width)
    assert len(first[3]) == min(len(losses), max(width, 1), WIDTH)
    assert set(first[3]) <= set(BLOCKS)
    if max(losses) > min(losses):
        ends = round((losses[-1] - min(losses)) / (max(losses) - min(losses)) * 7)
        assert first[3][-1] == BLOCKS[ends]


ROWS = [{"picture": "a", "text": "7"}, {"picture": "b", "error": "empty"}, {"picture": "c", "text": "1"}]


def test_a_bar_of_pictures_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = open_terminal(monkeypatch)
    assert list(show_reading(ROWS, count_row, 4)) == ROWS
    assert "3/4" in terminal.getvalue()
    assert "pictures/s  1 not read" in terminal.getvalue()


def test_rows_pass_in_silence_elsewhere(capsys: pytest.CaptureFixture[str]):
    assert list(show_reading(ROWS, count_row, 4)) == ROWS
    assert capsys.readouterr() == ("", "")


def test_a_quiet_reading_is_quiet(monkeypatch: pytest.MonkeyPatch):
    terminal = open_terminal(monkeypatch)
    assert list(show_reading(ROWS, count_row, 4, quiet=True)) == ROWS
    assert terminal.getvalue() == ""
