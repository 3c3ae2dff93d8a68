"""Trainings of a few small images, whose curves take longer to draw than the training."""

import pytest


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no curves.png in this process; worker processes and the command draw theirs as ever."""
    monkeypatch.setattr("lenet.insight.progress.draw_curves", lambda *_: None)
