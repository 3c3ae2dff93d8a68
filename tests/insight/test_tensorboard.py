"""Events are read back by the format's own description: length, checksum, message."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lenet.training.loop import Epoch

pytest.importorskip("tensorboardX", reason="the extra tensorboard is not installed")

EPOCH = Epoch(1, 3, 0.1, 1.0, 0.5, None, None, 0.75, 0.25, True, 1.0, 1000.0)
Scalars = dict[tuple[str, int], float]


def epochs(*numbers: int) -> Iterator[Epoch]:
    return (replace(EPOCH, epoch=number, train_loss=1 / number) for number in numbers)


def read_scalars(folder: Path) -> Scalars:
    from tensorboardX.proto.event_pb2 import Event

    scalars: Scalars = {}
    (file,) = folder.iterdir()
    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        for value in event.summary.value:
            assert (value.tag, event.step) not in scalars
            scalars[value.tag, event.step] = value.simple_value
    return scalars


def test_every_figure_of_every_epoch_is_there(tmp_path: Path):
    from lenet.insight.progress import write_events

    assert [epoch.epoch for epoch in write_events(epochs(1, 2), tmp_path / "events")] == [1, 2]
    scalars = read_scalars(tmp_path / "events")
    assert {tag for tag, _ in scalars} == {
        "loss/train", "loss/test", "accuracy/train", "accuracy/test", "learning_rate",
    }  # fmt: skip
    assert (scalars["loss/train", 1], scalars["loss/train", 2]) == (1, 0.5)
    assert scalars["accuracy/test", 2] == 0.25


def test_a_resumed_run_has_one_curve(tmp_path: Path):
    from lenet.insight.progress import write_events

    for _ in write_events(epochs(1, 2), tmp_path / "events"):
        break
    list(write_events(epochs(3), tmp_path / "events", [*epochs(1, 2)]))
    assert {step for _, step in read_scalars(tmp_path / "events")} == {1, 2, 3}


def test_the_command_writes_them_into_the_run(lenet: Any, bars_folder: Path, workplace: Path):
    size = ("--input-size", 12, "--device", "cpu", "--runs-dir", "runs")
    outcome = lenet("train", "quick", "--data", bars_folder, *size, "--epochs", 2, "--tensorboard", "--json")
    scalars = read_scalars(Path(outcome.json["run"]) / "events")
    assert scalars["accuracy/train", 2] == pytest.approx(outcome.json["train_accuracy"])


def test_without_the_library_one_line_says_so(lenet: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "lenet.insight.progress", raising=False)
    outcome = lenet("train", "quick", "--tensorboard")
    assert outcome.code == 2
    assert (
        outcome.err == "lenet: events need tensorboardX; install it with: pip install 'lenet[tensorboard]'\n"
    )
    assert not (workplace / "runs").exists()
