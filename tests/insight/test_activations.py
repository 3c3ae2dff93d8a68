"""Receptive fields and patches, by a second route: gradients, and the kernels themselves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lenet.data.imageset import ImageSet
from lenet.errors import ModelError
from lenet.insight.activations import describe_layers, find_patches, find_receptive_field, trace_maps
from lenet.models.config import MODELS, LeNetConfig, Pooling
from lenet.models.network import LeNet, initialise


def make(config: LeNetConfig) -> LeNet:
    model = LeNet(config)
    initialise(model, "default", torch.Generator().manual_seed(1))
    return model.eval()


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 5),
    padding=st.integers(0, 3),
    channels=st.lists(st.just(2), min_size=1, max_size=3),
    pooling=st.sampled_from(["avg", "stride"]),
)
def test_a_receptive_field_is_where_the_gradient_is(
    kernel: int, padding: int, channels: list[int], pooling: Pooling
):
    try:
        config = LeNetConfig(
            input_size=30, kernel_size=kernel, padding=padding, channels=tuple(channels),
            activation="tanh", pooling=pooling, hidden=(4,),
        )  # fmt: skip
    except ModelError:
        return
    model = make(config)
    image = torch.rand(1, 1, 30, 30, requires_grad=True)
    outputs = model.trace(image)
    for layer in config.layers():
        if len(layer.output_shape) == 1:
            with pytest.raises(KeyError):
                find_receptive_field(config, layer.name)
            continue
        field = find_receptive_field(config, layer.name)
        side = layer.output_shape[1]
        for row, column in ((0, 0), (side // 2, side - 1)):
            (gradient,) = torch.autograd.grad(
                outputs[layer.name][0, 0, row, column], image, retain_graph=True
            )
            seen = gradient[0, 0] != 0
            begins = [field.stride * place + field.start for place in (row, column)]
            rows, columns = (range(max(b, 0), min(b + field.size, 30)) for b in begins)
            expected = torch.zeros(30, 30, dtype=torch.bool)
            expected[rows.start : rows.stop, columns.start : max(columns.stop, columns.start)] = True
            assert torch.equal(seen, expected)


def test_published_receptive_fields():
    config = MODELS["lenet5-tanh"]
    sizes = [find_receptive_field(config, f"conv{number}").size for number in (1, 2, 3)]
    assert sizes == [5, 14, 32]  # C5 of 1998 sees everything


@pytest.mark.parametrize("name", ["lenet5-relu", "lenet5-tanh", "lenet5-sigmoid"])
def test_a_patch_gives_the_answer_by_the_kernel_alone(name: str, digits_test: ImageSet):
    model, images = make(MODELS[name]), digits_test.images[:40]
    patches = find_patches(model, images, "conv1", count=5)
    config, conv = model.config, model.conv1
    assert patches.images.shape == (6, 5, 5, 5)
    pixels = (patches.images.nan_to_num() - config.pixel_mean) / config.pixel_std
    pixels[patches.images.isnan()] = 0  # padding comes after standardising
    again = functional.conv2d(pixels.reshape(30, 1, 5, 5), conv.weight, conv.bias).reshape(6, 5, 6)
    own = again[range(6), :, range(6)]
    assert torch.allclose(own, patches.answers, atol=1e-4)
    everything = trace_maps(model, images)["conv1"]
    assert torch.equal(patches.answers[:, 0], everything.amax(dim=(0, 2, 3)))


def test_each_image_is_seen_once_and_the_strongest_comes_first(digits_test: ImageSet):
    model = make(MODELS["lenet5-relu"])
    patches = find_patches(model, digits_test.images[:30], "conv2", count=9)
    assert patches.images.shape == (16, 9, 14, 14)
    assert (patches.answers.diff(dim=1) <= 0).all()
    assert all(len(set(row)) == 9 for row in patches.indices.tolist())
    assert find_patches(model, digits_test.images[:4], "conv2").indices.shape == (16, 4)


def test_a_trace_leaves_the_network_as_it_was(digits_test: ImageSet):
    model = make(MODELS["lenet5-relu"]).train()
    maps = trace_maps(model, digits_test.images[:3])
    assert model.training
    assert [*maps] == ["input", *(layer.name for layer in model.config.layers())]
    rows = describe_layers(maps, 1)
    assert [row["name"] for row in rows] == [*maps]
    relu = next(row for row in rows if row["name"] == "relu1")
    one = maps["relu1"][1]
    assert (relu["shape"], relu["least"], relu["minimum"]) == ([6, 28, 28], 0, 0)
    assert relu["most"] == relu["maximum"] > 0
    assert relu["zeros"] == pytest.approx(float((one == 0).float().mean()))
    assert relu["mean"] == pytest.approx(float(one.mean()), rel=1e-5)
