"""The networks in one call of the kernel against the same networks in PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lenet.errors import ModelError
from lenet.kernels.library import load_library
from lenet.models.checkpoint import load_checkpoint
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.filters import resizing_rows
from lenet.models.inference import PackedLeNet, pack_lenet, pack_line
from lenet.models.line import LineNetwork, load_line
from lenet.models.network import LeNet

built = pytest.mark.skipif(load_library()[0] is None, reason=load_library()[1])


def pack(model: LeNet) -> PackedLeNet:
    packed = pack_lenet(model.config, {name: value.numpy() for name, value in model.state_dict().items()})
    assert packed is not None
    return packed


def draw_images(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 1, height, width), dtype=np.uint8)


configurations = st.builds(
    LeNetConfig,
    input_size=st.integers(16, 40),
    channels=st.lists(st.integers(1, 40), min_size=1, max_size=2).map(tuple),
    kernel_size=st.integers(1, 5),
    padding=st.integers(0, 3),
    activation=st.sampled_from(["sigmoid", "tanh", "relu"]),
    pooling=st.sampled_from(["avg", "max"]),
    hidden=st.lists(st.integers(1, 150), max_size=3).map(tuple),
    classes=st.integers(2, 30),
    dropout=st.sampled_from([0.0, 0.5]),
    pixel_mean=st.sampled_from([0.0, 0.1307]),
    pixel_std=st.sampled_from([1.0, 0.3081]),
    fit=st.sampled_from(["pad", "resize"]),
    contrast_sigma=st.sampled_from([0.0, 2.0]),
    margin=st.sampled_from([0, 0, 3]),
    reject_class=st.booleans(),
)


@built
@settings(max_examples=60, deadline=None)
@given(configurations, st.integers(1, 20), st.integers(5, 50), st.integers(5, 50), st.booleans())
def test_logits_are_those_of_the_network(
    config: LeNetConfig, count: int, height: int, width: int, floats: bool
):
    torch.manual_seed(count)
    model = LeNet(config).eval().requires_grad_(False)
    images = draw_images(count, height, width)
    pixels = images.astype(np.float32) / np.float32(255) if floats else images
    expected = torch.stack(list(model.trace(torch.from_numpy(pixels)).values())[-1:])[0]
    packed = pack(model)
    resized = max(height, width) > config.input_size - 2 * config.margin or config.fit == "resize"
    bound = (2e-5 if resized else 1e-5) * max(1.0, float(expected.abs().max()))
    np.testing.assert_allclose(packed.compute_logits(pixels), expected.numpy(), atol=bound, rtol=0)
    probabilities = model.as_probabilities(expected).numpy()
    np.testing.assert_allclose(packed.compute_probabilities(pixels), probabilities, atol=bound, rtol=0)


@built
@pytest.mark.parametrize("name", ["reader", "mnist", "d2l"])
def test_the_shipped_networks(name: str):
    model = load_checkpoint(name).model.requires_grad_(False)
    images = draw_images(40, 28, 28)
    expected = model(torch.from_numpy(images)).numpy()
    for count in (1, 7, 40):
        found = pack(model).compute_logits(images[:count])
        np.testing.assert_allclose(found, expected[:count], atol=1e-5 * np.abs(expected).max(), rtol=0)


@built
@pytest.mark.parametrize("name", MODELS)
def test_every_model_by_name_is_covered_but_the_classic_ones(name: str):
    model = LeNet(MODELS[name]).requires_grad_(False)
    packed = pack_lenet(model.config, {name: value.numpy() for name, value in model.state_dict().items()})
    assert (packed is None) == MODELS[name].is_classic


@built
@pytest.mark.parametrize("activation", ["gelu", "silu", "elu", "leaky-relu"])
def test_activations_that_the_kernel_lacks_are_left_to_pytorch(activation: str):
    model = LeNet(LeNetConfig(activation=activation))  # type: ignore[arg-type]
    assert pack_lenet(model.config, {k: v.detach().numpy() for k, v in model.state_dict().items()}) is None


@built
def test_weights_that_are_not_finite_give_nothing_that_looks_like_an_answer():
    model = load_checkpoint("mnist").model.requires_grad_(False)
    model.dense1.weight[3, 7] = torch.nan  # type: ignore[index, operator]
    assert np.isnan(pack(model).compute_probabilities(draw_images(3, 28, 28))).all()


@built
def test_extreme_logits_give_probabilities():
    model = load_checkpoint("reader").model.requires_grad_(False)
    for scale in (1e4, -1e4):
        model.output.weight *= scale  # type: ignore[operator]
        probabilities = pack(model).compute_probabilities(draw_images(5, 28, 28))
        assert np.isfinite(probabilities).all()
        assert (probabilities.sum(axis=1) <= 1 + 1e-6).all()


@built
@pytest.mark.parametrize(
    "images",
    [np.zeros((28, 28), np.uint8), np.zeros((1, 1, 28, 28), np.int64), np.zeros((1, 3, 28, 28), np.uint8)],
)
def test_images_of_other_shapes_are_refused(images: np.ndarray):
    with pytest.raises(ModelError, match="images are"):
        pack(LeNet(LeNetConfig()).requires_grad_(False)).compute_logits(images)


@built
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 9), st.integers(1, 50), st.sampled_from([None, (7, 20, 33, 40, 16, 50)]))
def test_the_line_network(count: int, steps: int, channels: tuple[int, ...] | None):
    torch.manual_seed(steps)
    network = load_line().network if channels is None else LineNetwork(channels, normalised=False).eval()
    network.requires_grad_(False)
    packed = pack_line({name: value.numpy() for name, value in network.state_dict().items()})
    assert packed is not None
    strips = draw_images(count, 32, 4 * steps)
    expected = network(torch.from_numpy(strips)).numpy()
    found = packed.compute_logits(strips)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()), rtol=0)


@given(st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None)
def test_resizing_is_that_of_pytorch(side: int, wanted: int):
    expected = functional.interpolate(
        torch.eye(side)[None, None], (wanted, side), mode="bilinear", align_corners=False, antialias=True
    )[0, 0]
    np.testing.assert_allclose(resizing_rows(side, wanted), expected.numpy(), atol=1e-5)
