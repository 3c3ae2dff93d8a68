"""Speed is measured beside the same network in PyTorch's own layers."""

import re

import pytest
import torch

from lenet.bench import speed
from lenet.bench.machine import describe_machine
from lenet.bench.speed import (
    PlainLeNet,
    inference_pass,
    measure_speed,
    time_pairs,
    training_step,
)
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet


def test_the_peer_computes_the_same(small: LeNetConfig):
    ours, plain = LeNet(small), PlainLeNet(small)
    plain.scaled.load_state_dict(ours.state_dict())
    images = torch.randint(256, (32, 1, 12, 12), dtype=torch.uint8)
    torch.testing.assert_close(inference_pass(plain, images)(), inference_pass(ours, images)())
    labels = torch.arange(32) % 3
    for model in (ours, plain):
        training_step(model, images, labels)()
    torch.testing.assert_close(plain.scaled.state_dict(), ours.state_dict())


def test_rivals_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "SECONDS", 0.001)
    calls: list[str] = []
    rows = time_pairs([lambda: calls.append("a"), lambda: calls.append("b")], pairs=3)
    assert [len(row) for row in rows] == [2, 2, 2]
    assert all(seconds > 0 for row in rows for seconds in row)
    assert re.fullmatch("aab?.*(a+b+){3}", "".join(calls))


def test_what_is_measured_and_on_what(small: LeNetConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "SECONDS", 0.001)
    found = {row.what: row for row in measure_speed(small, batch_size=32)}
    assert found["training"].unit == "images/s"
    assert found["training, ratio"].value > 0
    share = found["share of that in a whole training step"]
    assert 0 < share.value < 100
    machine = describe_machine()
    assert {"processor", "cores", "threads", "torch", "lenet", "commit", "blocks"} <= set(machine)
