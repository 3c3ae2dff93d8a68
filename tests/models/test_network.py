"""The network computes what its table says, and what others who wrote it down compute."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from lenet.errors import ModelError
from lenet.models.config import ACTIVATION_KINDS, MODELS, LeNetConfig, find_model
from lenet.models.network import LeNet, initialise


def make(config: LeNetConfig, seed: int = 0, scheme: Any = "default") -> LeNet:
    model = LeNet(config)
    initialise(model, scheme, torch.Generator().manual_seed(seed))
    return model.eval()


def random_images(count: int, side: int = 28, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def measure(model: LeNet) -> list[tuple[str, str, tuple[int, ...], int, int]]:
    """The layer table, found out by running one image through the network."""
    rows = []
    side = model.config.input_size
    with torch.no_grad():
        outputs = model.trace(torch.zeros(1, 1, side, side))
    for name, layer in model.named_children():
        weights = next((p.numel() for n, p in layer.named_parameters() if n == "weight"), 0)
        places = outputs[name][0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        parameters = sum(p.numel() for p in layer.parameters())
        shape = tuple(outputs[name].shape[1:])
        rows.append((name, type(layer).__name__, shape, parameters, weights * places))
    return rows


@pytest.mark.parametrize("name", MODELS)
def test_the_table_is_what_the_network_does(name: str):
    config = find_model(name)
    rows = [(la.name, la.kind, la.output_shape, la.parameters, la.multiply_adds) for la in config.layers()]
    assert measure(LeNet(config)) == rows


configs = st.fixed_dictionaries(
    {
        "input_size": st.integers(1, 40),
        "channels": st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
        "kernel_size": st.integers(1, 7),
        "padding": st.integers(0, 4),
        "activation": st.sampled_from(list(ACTIVATION_KINDS)),
        "pooling": st.sampled_from(["avg", "max"]),
        "hidden": st.lists(st.integers(1, 20), max_size=3).map(tuple),
        "classes": st.integers(2, 12),
        "dropout": st.sampled_from([0.0, 0.5]),
        "fit": st.sampled_from(["pad", "resize"]),
    }
)


def find_layer_without_room(values: dict[str, Any]) -> str | None:
    side, padding = values["input_size"], values["padding"]
    for number in range(1, len(values["channels"]) + 1):
        side, padding = side + 2 * padding - values["kernel_size"] + 1, 0
        if side < 1:
            return f"conv{number}"
        side = side // 2 if side > 1 else 1
    return None


@given(values=configs)
@settings(deadline=None, max_examples=150)
def test_a_network_exists_and_is_as_described_or_its_first_impossible_layer_is_named(values: dict[str, Any]):
    impossible = find_layer_without_room(values)
    if impossible:
        with pytest.raises(ModelError, match=f"^{impossible}: "):
            LeNetConfig(**values)
        return
    config = LeNetConfig(**values)
    model = LeNet(config)
    rows = [(la.name, la.kind, la.output_shape, la.parameters, la.multiply_adds) for la in config.layers()]
    assert measure(model) == rows
    assert config.parameters == sum(p.numel() for p in model.parameters())
    assert model(random_images(2)).shape == (2, config.classes)
    assert LeNetConfig.from_dict(config.to_dict()) == config


def test_logits_are_those_of_the_network_that_the_book_writes_down():
    model = make(find_model("lenet5-sigmoid"), scheme="xavier")
    book = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip
    for own, theirs in zip(model.parameters(), book.parameters(), strict=True):
        theirs.data = own.data
    images = random_images(50)
    with torch.no_grad():
        torch.testing.assert_close(model(images), book(images.float() / 255), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lenet5-sigmoid", "lenet5-relu", "lenet5-tanh"])
def test_logits_are_those_of_loops_written_out(name: str):
    """No library in between: each output pixel is a window times a kernel, summed in double precision."""
    config = find_model(name)
    model = make(config)
    image = random_images(1, config.input_size)
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    act = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
    }[config.activation]
    pool = {"avg": np.mean, "max": np.max}[config.pooling]

    maps = (image[0].double().numpy() / 255 - config.pixel_mean) / config.pixel_std
    maps = np.pad(maps, ((0, 0), (config.padding,) * 2, (config.padding,) * 2))
    for number in range(1, len(config.channels) + 1):
        kernels, biases = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
        side = maps.shape[1] - 4
        convolved = np.empty((len(kernels), side, side))
        for channel in range(len(kernels)):
            for row in range(side):
                for column in range(side):
                    window = maps[:, row : row + 5, column : column + 5]
                    convolved[channel, row, column] = (window * kernels[channel]).sum() + biases[channel]
        maps = act(convolved)
        if side > 1:
            half = side // 2
            maps = pool(maps.reshape(len(kernels), half, 2, half, 2), axis=(2, 4))
    vector = maps.reshape(-1)
    for number in range(1, len(config.hidden) + 1):
        vector = act(weights[f"dense{number}.weight"] @ vector + weights[f"dense{number}.bias"])
    logits = weights["output.weight"] @ vector + weights["output.bias"]

    with torch.no_grad():
        np.testing.assert_allclose(model(image)[0].numpy(), logits, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_bytes_and_floats_are_the_same_pixels(name: str):
    model, images = make(find_model(name)), random_images(7)
    with torch.no_grad():
        logits = model(images)
        assert torch.equal(logits, model(images.float() / 255))
        torch.testing.assert_close(model(images.double() / 255), logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(model.probabilities(images), logits.softmax(1))


def test_whole_numbers_that_are_not_bytes_are_refused():
    """0..255 as int64 would be taken for 0..1 and read as a blaze of white."""
    with pytest.raises(ModelError, match="int64"):
        make(LeNetConfig())(random_images(2).long())


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 3, 28, 28), (2, 28, 28, 1)], ids=str)
def test_other_shapes_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ModelError, match=r"\(N, 1, H, W\) is needed"):
        make(LeNetConfig())(torch.zeros(shape))


def test_a_batch_of_none_is_a_batch():
    assert make(LeNetConfig())(random_images(0)).shape == (0, 10)


def test_an_image_is_read_the_same_alone_and_in_company():
    model, images = make(find_model("lenet5-tanh")), random_images(5)
    with torch.no_grad():
        alone = torch.cat([model(image[None]) for image in images])
        torch.testing.assert_close(model(images), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (27, 20), (1, 1), (32, 32)])
def test_smaller_images_get_a_black_border(height: int, width: int):
    model = make(LeNetConfig(input_size=32, pixel_mean=0.25, pixel_std=0.5))
    image = random_images(1, 32)[:, :, :height, :width]
    expected = torch.full((32, 32), -0.5)  # black, standardised
    top, left = (32 - height) // 2, (32 - width) // 2
    expected[top : top + height, left : left + width] = (image[0, 0].float() / 255 - 0.25) / 0.5
    torch.testing.assert_close(model.prepare(image)[0, 0], expected)


@pytest.mark.parametrize(
    ("fit", "height", "width", "side"),
    [
        ("resize", 28, 28, 32),
        ("resize", 8, 8, 28),
        ("pad", 64, 64, 28),
        ("pad", 40, 20, 28),
        ("resize", 50, 9, 32),
    ],
)
def test_resizing_is_what_pillow_does(fit: Any, height: int, width: int, side: int):
    model = make(LeNetConfig(input_size=side, fit=fit))
    pixels = np.random.default_rng(0).random((height, width), dtype=np.float32)
    resized = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    prepared = model.prepare(torch.from_numpy(pixels)[None, None])[0, 0]
    np.testing.assert_allclose(prepared.numpy(), np.asarray(resized), atol=1e-5)


BOUNDS = {
    "default": lambda fan_in, fan_out: fan_in**-0.5,
    "xavier": lambda fan_in, fan_out: (6 / (fan_in + fan_out)) ** 0.5,
    "kaiming": lambda fan_in, fan_out: (6 / fan_in) ** 0.5,
}


@pytest.mark.parametrize("scheme", BOUNDS)
def test_first_weights_are_uniform_within_their_bounds(scheme: str):
    model = make(LeNetConfig(), scheme=scheme)
    for layer in model.children():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        field = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        fan_in, fan_out = layer.weight.shape[1] * field, layer.weight.shape[0] * field
        bound = BOUNDS[scheme](fan_in, fan_out)
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound
        # A uniform distribution deviates by bound / √3; within five standard errors of that.
        count = layer.weight.numel()
        assert abs(layer.weight.std() / bound * 3**0.5 - 1) < 5 / count**0.5
        assert abs(layer.weight.mean()) < 5 * bound / (3 * count) ** 0.5
        assert layer.bias.abs().max() <= fan_in**-0.5


@pytest.mark.parametrize("scheme", BOUNDS)
def test_first_weights_follow_from_the_seed_alone(scheme: str):
    state = torch.random.get_rng_state()
    first, again, other = (make(LeNetConfig(), seed, scheme).state_dict() for seed in (1, 1, 2))
    for name, weights in first.items():
        assert torch.equal(weights, again[name])
        assert not torch.equal(weights, other[name])
    torch.manual_seed(99)
    elsewhere = make(LeNetConfig(), 1, scheme).state_dict()
    assert all(torch.equal(weights, elsewhere[name]) for name, weights in first.items())
    torch.random.set_rng_state(state)


def test_drawing_weights_leaves_the_random_state_alone():
    model = LeNet(LeNetConfig())
    state = torch.random.get_rng_state()
    initialise(model, "kaiming", torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.random.get_rng_state())


def test_dropout_acts_in_training_only():
    model = make(LeNetConfig(dropout=0.4))
    images = random_images(3)
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_weights_of_another_type_see_the_same_pixels():
    model, images = make(find_model("lenet5-relu")), random_images(4)
    with torch.no_grad():
        expected = model(images)
        doubled = model.double()(images)
    assert doubled.dtype == torch.float64
    torch.testing.assert_close(doubled.float(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 5, 16, 33])
@pytest.mark.parametrize("name", MODELS)
def test_the_network_and_its_layers_one_by_one_agree(name: str, count: int):
    model, images = make(find_model(name)), random_images(count)
    last = model.trace(images)["output"]
    torch.testing.assert_close(model(images), last, rtol=1e-5, atol=1e-6)


def test_a_background_is_a_last_logit_of_nothing():
    plain = make(LeNetConfig())
    model = make(replace(LeNetConfig(), reject_class=True))
    images = random_images(20)
    with torch.no_grad():
        logits = model(images)
        probabilities = model.probabilities(images)
        eleven = torch.cat([logits.double(), torch.zeros(20, 1)], dim=1).softmax(dim=1)
    assert model.config.parameters == plain.config.parameters == 61_706
    assert torch.equal(logits, plain(images))
    assert probabilities.shape == (20, 10)
    np.testing.assert_allclose(probabilities, eleven[:, :10], atol=1e-6)
    exact = logits.double().exp()
    np.testing.assert_allclose(probabilities, exact / (1 + exact.sum(dim=1, keepdim=True)), atol=1e-6)
    assert (probabilities.sum(dim=1) < 1).all()
    assert torch.equal(model.as_probabilities(logits), probabilities)
    assert torch.equal(plain.with_reject_logit(logits), logits)


def test_what_is_no_class_pushes_every_logit_down():
    """The gradient of the loss is the probabilities, less 1 for the right class."""
    model = make(replace(LeNetConfig(), reject_class=True))
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([10, 3, 10, 0, 9, 10])
    nn.functional.cross_entropy(model.with_reject_logit(logits), labels, reduction="sum").backward()
    expected = model.as_probabilities(logits).detach() - nn.functional.one_hot(labels, 11)[:, :10]
    torch.testing.assert_close(logits.grad, expected)
