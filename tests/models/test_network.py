"""The network computes what its table says, and what others who wrote it down compute."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import prune

from lenet.errors import ModelError
from lenet.models.classic_layers import PartialConv2d, Subsampling
from lenet.models.config import MODELS, LeNetConfig, find_model
from lenet.models.layers import ACTIVATION_KINDS
from lenet.models.network import LeNet, initialise
from lenet.training.evaluation import compute_logits


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
        weights = next((p.numel() for n, p in layer.state_dict().items() if n == "weight"), 0)
        is_shared = isinstance(layer, nn.Conv2d | PartialConv2d | Subsampling)
        places = outputs[name][0, 0].numel() if is_shared else 1
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
        "pooling": st.sampled_from(["avg", "max", "stride"]),
        "hidden": st.lists(st.integers(1, 20), max_size=3).map(tuple),
        "classes": st.integers(2, 12),
        "dropout": st.sampled_from([0.0, 0.5]),
        "fit": st.sampled_from(["pad", "resize"]),
    }
)


def find_layer_without_room(values: dict[str, Any]) -> str | None:
    side, padding = values["input_size"], values["padding"]
    for number in range(1, len(values["channels"]) + 1):
        side += 2 * padding - values["kernel_size"] + 1
        if side < 1:
            return f"conv{number}"
        if values["pooling"] == "stride":
            side = (side + 1) // 2
        else:
            side, padding = side // 2 if side > 1 else 1, 0
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
        everything = model.with_reject_logit(logits).softmax(1)
        torch.testing.assert_close(model.probabilities(images), everything[:, : logits.shape[1]])


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


# ---- what others do with a module's children ---


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(8)
    return torch.randint(0, 256, (20, 1, 28, 28), generator=generator, dtype=torch.uint8)


def one_by_one(model: LeNet, images: torch.Tensor) -> torch.Tensor:
    return list(model.trace(images).values())[-1]


def test_hooks_on_every_layer_fire_and_see_what_leaves_it(images: torch.Tensor) -> None:
    model, seen = make(LeNetConfig()), {}
    expected = model.trace(images)
    for name, layer in model.named_children():
        layer.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    logits = model(images)
    assert list(seen) == [name for name, _ in model.named_children()]
    torch.testing.assert_close(seen["conv1"], expected["conv1"])
    torch.testing.assert_close(logits, seen["output"])


def test_a_hook_may_change_what_leaves_a_layer(images: torch.Tensor) -> None:
    model = make(LeNetConfig())
    plain = model(images)
    handle = model.get_submodule("conv2").register_forward_hook(
        lambda _, __, output: torch.zeros_like(output)
    )
    assert not torch.allclose(model(images), plain)
    handle.remove()
    assert torch.equal(model(images), plain)


def test_grad_cam_by_hooks(images: torch.Tensor) -> None:
    model, found = make(LeNetConfig()), {}
    layer = model.get_submodule("conv2")
    layer.register_forward_hook(lambda _, __, output: found.update(maps=output))
    layer.register_full_backward_hook(lambda _, __, gradient: found.update(slopes=gradient[0]))
    model(images)[:, 3].sum().backward()
    assert found["maps"].shape == found["slopes"].shape == (20, 16, 10, 10)
    assert found["slopes"].abs().max() > 0


def test_a_pruned_network_computes_without_its_weights(images: torch.Tensor) -> None:
    model = make(LeNetConfig())
    plain = model(images)
    prune.l1_unstructured(model.get_submodule("conv2"), "weight", amount=0.8)
    pruned = model(images)
    assert not torch.allclose(pruned, plain)
    torch.testing.assert_close(pruned, one_by_one(model, images))
    prune.remove(model.get_submodule("conv2"), "weight")
    torch.testing.assert_close(model(images), pruned, atol=1e-5, rtol=1e-5)


def test_a_replaced_head_is_the_head(images: torch.Tensor) -> None:
    model = make(LeNetConfig())
    model.output = torch.nn.Sequential(torch.nn.Dropout(0.0), torch.nn.Linear(84, 5))
    assert model(images).shape == (20, 5)
    torch.testing.assert_close(model(images), one_by_one(model, images))
    again = copy.deepcopy(model)
    assert torch.equal(again(images), model(images))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning")
def test_a_quantized_network_has_all_its_layers(images: torch.Tensor) -> None:
    model = make(LeNetConfig())
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("no quantized operators in this torch")
    smaller = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    logits = smaller(images)
    assert logits.shape == (20, 10)
    assert (logits - model(images)).abs().max() < 0.1


def test_profilers_of_all_modules_see_the_layers(images: torch.Tensor) -> None:
    model, names = make(LeNetConfig()), []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda part, *_: names.append(type(part)))
    try:
        model(images)
    finally:
        handle.remove()
    assert names.count(torch.nn.Conv2d) == 2


@pytest.mark.parametrize("scheme", ["default", "xavier", "kaiming"])
def test_a_network_begins_with_the_weights_that_its_configuration_names(scheme: Any) -> None:
    torch.manual_seed(0)
    model = LeNet(LeNetConfig(initialisation=scheme))
    weight = model.get_submodule("dense1").weight  # (120, 400)
    bound = {"default": 400**-0.5, "xavier": (6 / 520) ** 0.5, "kaiming": (6 / 400) ** 0.5}[scheme]
    assert 0.98 * bound < weight.detach().abs().max() <= bound  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("standardised", [-0.42, 2.8, 255.0, float("nan")])
def test_pixels_that_are_no_pixels_are_told(standardised: float) -> None:
    model = make(LeNetConfig())
    pixels = torch.rand(8, 1, 28, 28)
    pixels[3, 0, 5, 5] = standardised
    with pytest.raises(ModelError, match=r"give bytes 0..255 or floats 0..1, which the network standardises"):
        model(pixels)


def test_a_parametrised_layer_is_computed_as_pytorch_does():
    """Spectral norm changes the class of a layer in place."""
    model = LeNet(LeNetConfig()).eval()
    torch.nn.utils.parametrizations.spectral_norm(model.dense1)
    images = torch.randint(256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(compute_logits(model, images), model(images))
