"""Inference in one call against PyTorch's operators: random networks, threads, instruction sets."""

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from lenet.kernels.infer import NetworkLayer, PackedNetwork, pack_network
from lenet.kernels.library import ACTIVATIONS, INSTRUCTION_SETS, load_library

pytestmark = pytest.mark.skipif(load_library()[0] is None, reason=load_library()[1])


def draw_network(random: np.random.Generator) -> tuple[list[NetworkLayer], tuple[int, int, int]]:
    """Layers that fit on images, and the number, the height and the width of the images."""
    height, width = map(int, random.integers(1, 30, 2))
    size = int(random.integers(1, 20)), height, width
    layers, inputs = [], 1
    activation = ACTIVATIONS[random.integers(4)]
    for _ in range(random.integers(1, 4)):
        outputs = int(random.integers(1, 70 if random.random() < 0.3 else 20))
        pads = int(random.integers(0, 3)), int(random.integers(0, 3))
        height, width = height + 2 * pads[0], width + 2 * pads[1]
        kernel = int(random.integers(1, min(height, 6) + 1)), int(random.integers(1, min(width, 6) + 1))
        height, width = height - kernel[0] + 1, width - kernel[1] + 1
        windows = [(1, 1)] + [(2, 1)] * (height > 1) + [(2, 2)] * (height > 1 and width > 1)
        window = windows[random.integers(len(windows))]
        layers.append(
            NetworkLayer(
                *draw_weights(random, outputs, inputs, *kernel),
                padding=pads,
                activation=activation,
                pooling="none" if window == (1, 1) else ("max", "avg")[random.integers(2)],
                window=window,
            )
        )
        inputs, height, width = outputs, height // window[0], width // window[1]
    for _ in range(random.integers(0, 4)):
        outputs = int(random.integers(1, 150))
        weights = draw_weights(random, outputs, inputs, height, width)
        layers.append(NetworkLayer(*weights, activation=activation, dense=True))
        inputs, height, width = outputs, 1, 1
    return layers, size


def draw_weights(
    random: np.random.Generator, outputs: int, inputs: int, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    weight = random.standard_normal((outputs, inputs, rows, columns)).astype(np.float32)
    return weight / (inputs * rows * columns) ** 0.5, random.standard_normal(outputs).astype(np.float32)


def run_reference(layers: list[NetworkLayer], images: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """(N, rows, columns, channels), in PyTorch's operators and float64."""
    maps = torch.from_numpy(images).double() / (255 if images.dtype == np.uint8 else 1)
    maps = (maps - scale[0]) / scale[1]
    for layer in layers:
        weight, bias = (torch.from_numpy(np.asarray(part)).double() for part in (layer.weight, layer.bias))
        maps = functional.conv2d(maps, weight, bias, padding=layer.padding)
        maps = maps if layer.activation == "identity" else getattr(torch, layer.activation)(maps)
        if layer.pooling != "none":
            pool = functional.max_pool2d if layer.pooling == "max" else functional.avg_pool2d
            maps = pool(maps, layer.window)
    return maps.permute(0, 2, 3, 1).numpy()


def pack(layers: list[NetworkLayer], scale: tuple[float, float] = (0, 1)) -> PackedNetwork:
    packed = pack_network(layers, mean=scale[0], deviation=scale[1])
    assert packed is not None
    return packed


@pytest.fixture(params=range(len(INSTRUCTION_SETS)), ids=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[None]:
    library = load_library()[0]
    assert library is not None
    if library.lenet_choose(request.param) != request.param:
        library.lenet_choose(-1)
        pytest.skip("this processor has none")
    yield
    library.lenet_choose(-1)


@pytest.mark.usefixtures("instruction_set")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.booleans(), st.floats(-0.5, 0.5), st.floats(0.2, 2))
def test_results_are_those_of_pytorch(seed: int, bytes_: bool, mean: float, std: float):
    random = np.random.default_rng(seed)
    layers, (count, height, width) = draw_network(random)
    images = random.integers(0, 256, (count, 1, height, width), dtype=np.uint8)
    given_ = images if bytes_ else images.astype(np.float32) / np.float32(255)
    found = pack(layers, (mean, std)).run(given_)
    expected = run_reference(layers, given_, (mean, std))
    # A sum of 40,000 terms, one after another in float32, is that far from its value in float64.
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()), rtol=0)


LAYERS = [
    NetworkLayer(
        *draw_weights(np.random.default_rng(1), 6, 1, 5, 5),
        padding=(2, 2), activation="tanh", pooling="avg", window=(2, 2),
    ),
    NetworkLayer(*draw_weights(np.random.default_rng(2), 20, 6, 5, 5), activation="relu"),
    NetworkLayer(*draw_weights(np.random.default_rng(3), 130, 20, 10, 10), activation="sigmoid", dense=True),
    NetworkLayer(*draw_weights(np.random.default_rng(4), 10, 130, 1, 1), dense=True),
]  # fmt: skip
IMAGES = np.random.default_rng(5).integers(0, 256, (83, 1, 28, 28), dtype=np.uint8)


@pytest.mark.usefixtures("instruction_set")
def test_an_image_gives_the_same_bits_alone_in_a_batch_and_with_threads():
    network = pack(LAYERS)
    together = network.run(IMAGES, threads=1)
    assert np.array_equal(together, network.run(IMAGES, threads=3))
    assert np.array_equal(together, np.concatenate([network.run(image[None]) for image in IMAGES]))
    assert np.array_equal(network.run(IMAGES[::2]), together[::2])  # not in one piece of memory


def test_threads_share_a_network():
    network = pack(LAYERS)
    expected = network.run(IMAGES, threads=1)
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda threads: network.run(IMAGES, threads=threads), [1, 2, 3] * 20):
            assert np.array_equal(found, expected)


def test_a_weight_that_is_not_finite_shows():
    weight = LAYERS[0].weight.copy()
    weight[0, 0, 2, 2] = np.nan
    broken = NetworkLayer(
        weight, LAYERS[0].bias, padding=(2, 2), activation="relu", pooling="max", window=(2, 2)
    )
    network = pack([broken])
    found = network.run(IMAGES[:3])
    assert np.isnan(found[..., 0]).all()
    assert np.isfinite(found[..., 1:]).all()


def test_weights_are_read_when_they_are_packed():
    weight = LAYERS[0].weight.copy()
    network = pack([NetworkLayer(weight, LAYERS[0].bias)])
    before = network.run(IMAGES)
    weight[:] = 0
    assert np.array_equal(network.run(IMAGES), before)


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [NetworkLayer(np.zeros((3, 2, 5, 5)), np.zeros(3))],  # the first takes one channel
        [NetworkLayer(np.zeros((3, 1, 5, 5)), np.zeros(2))],
        [NetworkLayer(np.zeros((3, 1, 5, 5)), np.zeros(3), activation="gelu")],
        [NetworkLayer(np.zeros((3, 1, 5, 5)), np.zeros(3), pooling="max", window=(3, 3))],
        [NetworkLayer(np.zeros((3, 1, 5, 5)), np.zeros(3), dense=True)],
        [LAYERS[0], LAYERS[2], LAYERS[1]],
        [NetworkLayer(np.zeros((1, 1, 1, 1)), np.zeros(1))] * 33,
    ],
)
def test_what_the_kernel_cannot_compute_is_not_packed(layers: list[NetworkLayer]):
    assert pack_network(layers) is None


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 1, 20, 28), np.uint8),  # too small for the dense layer
        np.zeros((2, 1, 28, 30), np.uint8),
        np.zeros((2, 2, 28, 28), np.uint8),
        np.zeros((1, 28, 28), np.uint8),
        np.zeros((2, 1, 28, 28), np.float64),
        np.zeros((1, 1, 0, 28), np.uint8),
    ],
)
def test_images_that_do_not_fit_are_refused(images: np.ndarray):
    with pytest.raises(ValueError, match="images"):
        pack(LAYERS).run(images)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_network_is_not_copied(duplicate: Callable[[PackedNetwork], object]):
    with pytest.raises(TypeError, match="pack it again"):
        duplicate(pack(LAYERS))


def test_no_images_give_no_results():
    assert pack(LAYERS).run(np.zeros((0, 1, 28, 28), np.uint8)).shape == (0, 1, 1, 10)
    assert isinstance(torch.from_numpy(pack(LAYERS).run(IMAGES)), Tensor)
