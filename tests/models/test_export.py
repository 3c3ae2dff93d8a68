"""The network leaves through PyTorch's own exporter, with any batch, and the process reads on."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import lenet
from lenet.models.network import LeNet


def make_images(count: int) -> torch.Tensor:
    return lenet.load_data("digits", "test").images[:count]


@pytest.fixture(params=["mnist", "reader"])
def model(request: pytest.FixtureRequest) -> LeNet:
    return lenet.load(request.param).model


@pytest.mark.slow
def test_onnx_has_any_batch_and_agrees(model: LeNet, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    before = model(make_images(40))
    shapes = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about what it will do otherwise one day
        program = torch.onnx.export(
            model, (make_images(3),), dynamic_shapes=shapes, dynamo=True, verbose=False
        )
    assert program is not None
    program.save(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    for count in (1, 7, 64):
        images = make_images(count)
        (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        np.testing.assert_allclose(logits, model(images).detach().numpy(), atol=1e-5, rtol=0)
    assert torch.equal(model(make_images(40)), before)
    picture = Path(__file__).parents[2] / "examples/pictures/7-blue-ink.png"
    assert lenet.Reader("reader").read(picture).text == "7"


def test_an_exported_program_has_any_batch(model: LeNet) -> None:
    program = torch.export.export(
        model, (make_images(3),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    for count in (1, 7, 64):
        torch.testing.assert_close(program(make_images(count)), model(make_images(count)), atol=1e-5, rtol=0)


def test_what_a_fake_mode_computed_is_not_kept() -> None:
    """A network that is first used under fake tensors, or on the meta device, computes afterwards."""
    model, images = lenet.load("reader").model, make_images(20)
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        model(mode.from_tensor(images))
    with torch.device("meta"):
        assert LeNet(model.config)(torch.zeros(20, 1, 28, 28)).is_meta
    logits = model(images)
    assert type(logits) is torch.Tensor
    torch.testing.assert_close(logits, list(model.trace(images).values())[-1], atol=1e-4, rtol=1e-4)
