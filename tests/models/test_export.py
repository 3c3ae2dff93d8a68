"""The network leaves through PyTorch's own exporter, with any batch."""

import pytest
import torch

import lenet
from lenet.models.network import LeNet


def make_images(count: int) -> torch.Tensor:
    return lenet.load_data("digits", "test").images[:count]


@pytest.fixture(params=["reader"])
def model(request: pytest.FixtureRequest) -> LeNet:
    return lenet.load(request.param).model


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
