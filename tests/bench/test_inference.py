"""Inference is measured beside onnxruntime where that is installed."""

from dataclasses import replace

import pytest

from lenet.bench import inference, speed
from lenet.kernels.library import load_library
from lenet.models.config import LeNetConfig

pytestmark = pytest.mark.skipif(load_library()[0] is None, reason=load_library()[1])


def test_what_is_measured(small: LeNetConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "SECONDS", 0.001)
    monkeypatch.setattr(inference, "has_onnxruntime", lambda: False)
    found = {row.what: row for row in inference.measure_inference(small)}
    assert set(found) == {
        "one call, one thread, batch 1",
        "one call, one thread, batch 256",
        "share of one core's peak in batches of 256",
    }
    assert 0 < found["share of one core's peak in batches of 256"].value < 100
    assert [row.unit for row in inference.measure_lines()] == ["strips/s"] * 2
    assert inference.measure_inference(replace(small, activation="gelu")) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_rival_is_onnxruntime(small: LeNetConfig, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(speed, "SECONDS", 0.001)
    found = {row.what: row for row in inference.measure_inference(small)}
    ours, theirs = found["one call, one thread, batch 1"], found["one call, one thread, batch 1, onnxruntime"]
    ratio = found["one call, one thread, batch 1, ratio"]
    assert ours.value > 0
    assert theirs.value > 0
    assert ratio.unit == "times"
    assert ratio.value > 0
