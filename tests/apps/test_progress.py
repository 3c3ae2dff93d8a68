"""Progress goes to standard error: a bar on a terminal, a line an epoch elsewhere."""

import io
import sys
from collections.abc import Iterator

import pytest

from lenet.apps.progress import show_progress
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


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    assert len(list(show_progress(records()))) == 2
    assert "epoch 2/2" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
