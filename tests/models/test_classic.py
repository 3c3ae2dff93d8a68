"""The networks of 1989 to 1998: counted as the papers count, and computed a second time without PyTorch."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lenet.data.datasets import load
from lenet.errors import ExportError
from lenet.export.network import export_network
from lenet.insight.attribution import compute_gradient
from lenet.models.checkpoint import load_checkpoint, save_network
from lenet.models.classic import COPIES, LINKS, read_bitmaps
from lenet.models.classic_layers import RadialBasis
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.inference import open_lenet
from lenet.models.network import LeNet
from lenet.models.stored import read_stored
from lenet.training.evaluation import calibrate, compute_logits, evaluate
from lenet.training.optimisation import measure_loss

CLASSIC = ("lenet-1989", "lenet1-1998", "lenet4-1998", "lenet5-1998")
Array = NDArray[np.float64]


def count(config: LeNetConfig) -> list[tuple[tuple[int, ...], int, int]]:
    """Output shape, parameters and connections of each layer that has connections."""
    return [(row.output_shape, row.parameters, row.connections) for row in config.layers() if row.connections]


def test_lenet5_has_the_papers_counts():
    """Section II.B: C1, S2, C3, S4, C5, F6 and the output; 340,908 connections, 60,000 trained parameters."""
    config = MODELS["lenet5-1998"]
    assert count(config) == [
        ((6, 28, 28), 156, 122_304),
        ((6, 14, 14), 12, 5_880),
        ((16, 10, 10), 1_516, 151_600),
        ((16, 5, 5), 32, 2_000),
        ((120, 1, 1), 48_120, 48_120),
        ((84,), 10_164, 10_164),
        ((10,), 0, 840),
    ]
    assert (config.parameters, config.connections) == (60_000, 340_908)
    assert sum(parameter.numel() for parameter in LeNet(config).parameters()) == 60_000


def test_lenet1_has_the_counts_of_1990():
    """LeCun et al. 1990: 98,442 connections, 2,578 parameters; "about 2,600" in 1998."""
    config = MODELS["lenet1-1998"]
    assert (config.parameters, config.connections) == (2_578, 98_442)


def test_lenet4_has_about_the_260_000_multiply_adds_of_the_paper():
    config = MODELS["lenet4-1998"]
    assert 245_000 < config.multiply_adds < config.connections < 265_000
    assert config.layers()[2].output_shape == (8, 14, 14)


def test_the_network_of_1989_has_the_papers_counts():
    """Units, connections and parameters of H1, H2, H3 and the output, with a bias for each unit."""
    config = MODELS["lenet-1989"]
    assert count(config) == [
        ((12, 8, 8), 1_068, 19_968),
        ((12, 4, 4), 2_592, 38_592),
        ((30,), 5_790, 5_790),
        ((10,), 310, 310),
    ]
    assert (config.parameters, config.connections) == (9_760, 64_660)
    units = config.input_size**2 + sum(np.prod(shape) for shape, _, _ in count(config))
    assert units == 1_256
    sizes = {name: values.numel() for name, values in LeNet(config).named_parameters()}
    assert [sizes[f"conv1.{part}"] for part in ("bias", "weight")] == [768, 25 * 12]
    assert [sizes[f"conv2.{part}"] for part in ("bias", "weight")] == [192, 2_400]
    assert sum(sizes.values()) == 9_760


def test_maps_of_1989_see_eight_of_twelve_and_are_seen_by_eight():
    rows = LINKS["lenet1989"]
    assert [len(set(row)) for row in rows] == [8] * 12
    assert len(set(rows)) == 12
    assert all(sum(number in row for row in rows) == 8 for number in range(12))
    assert all(list(row) == sorted(row) for row in rows)


def test_the_table_of_c3_is_that_of_the_paper():
    rows = LINKS["lenet5"]
    assert [len(row) for row in rows] == [3] * 6 + [4] * 9 + [6]
    assert len(set(rows)) == 16
    assert all(sum(number in row for row in rows) == 10 for number in range(6))  # every map is seen by ten
    assert all(sum(number in row for row in LINKS["lenet1"]) == 5 for number in range(4))
    assert all(sum(number in row for row in LINKS["lenet4"]) == 6 for number in range(8))


def test_bitmaps_are_far_apart():
    bitmaps = np.array(read_bitmaps(10))
    assert bitmaps.shape == (10, 84)
    assert set(bitmaps.ravel()) == {-1, 1}
    differing = [(one != other).sum() for n, one in enumerate(bitmaps) for other in bitmaps[:n]]
    assert min(differing) >= 8


def squash(sums: Array) -> Array:
    return 1.7159 * np.tanh(2 / 3 * sums)


def compute_by_hand(image: NDArray[np.uint8], config: LeNetConfig, w: dict[str, Array]) -> Array:
    """The logits of one image (28, 28): loops over units, as the paper describes them."""
    if config.pooling == "stride":
        return compute_1989(image, w)
    if config.margin:
        small = torch.from_numpy(image[None, None].astype(np.float32) / 255)
        small = torch.nn.functional.interpolate(small, (22, 22), mode="bilinear", antialias=True)
        pixels = np.pad(small[0, 0].double().numpy(), 3)
    else:
        pixels = np.pad(image.astype(np.float64) / 255, 2)
    maps = [-0.1 + 1.275 * pixels]
    links: dict[int, Any] = {1: [(0,)] * config.channels[0], 2: LINKS[config.wiring]}
    for number, outputs in enumerate(config.channels, 1):
        kernels = iter(w[f"conv{number}.weight"].reshape(-1, 5, 5))
        side = len(maps[0]) - 4
        results = []
        for output in range(outputs):
            total = np.full((side, side), w[f"conv{number}.bias"][output])
            for source in links.get(number, [range(len(maps))] * outputs)[output]:
                kernel = next(kernels)
                for y in range(5):
                    for x in range(5):
                        total += kernel[y, x] * maps[source][y : y + side, x : x + side]
            results.append(squash(total))
        maps = results
        if side > 1:
            copies = COPIES.get(config.wiring, 1) if number == 1 else 1
            maps = [each for each in maps for _ in range(copies)]
            sums = [each[::2, ::2] + each[1::2, ::2] + each[::2, 1::2] + each[1::2, 1::2] for each in maps]
            scaled = zip(sums, w[f"pool{number}.weight"], w[f"pool{number}.bias"], strict=True)
            maps = [squash(each * coefficient + bias) for each, coefficient, bias in scaled]
    code = np.concatenate([each.ravel() for each in maps])
    for number in range(1, len(config.hidden) + 1):
        code = squash(w[f"dense{number}.weight"] @ code + w[f"dense{number}.bias"])
    if config.output == "linear":
        return np.asarray(w["output.weight"] @ code + w["output.bias"])
    distances = np.array([((code - bitmap) ** 2).sum() for bitmap in w["output.weight"]])
    return w["output.bias"] - w["output.scale"] * distances


def compute_1989(image: NDArray[np.uint8], w: dict[str, Array]) -> Array:
    """The logits of one image (28, 28), unit by unit: a window beyond the edge of the maps meets -1."""
    small = torch.from_numpy(image[None, None].astype(np.float32) / 255)
    small = torch.nn.functional.interpolate(small, (16, 16), mode="bilinear", antialias=True)
    maps = 2 * small[0].double().numpy() - 1  # from -1 to 1
    for number, links in ((1, [(0,)] * 12), (2, LINKS["lenet1989"])):
        side = len(maps[0]) // 2
        framed = np.pad(maps, ((0, 0), (2, 2), (2, 2)), constant_values=-1)
        sums = w[f"conv{number}.bias"].copy()
        kernels = iter(w[f"conv{number}.weight"])
        for output, row in enumerate(links):
            for source in row:
                kernel = next(kernels)
                for y in range(side):
                    for x in range(side):
                        window = framed[source, 2 * y : 2 * y + 5, 2 * x : 2 * x + 5]
                        sums[output, y, x] += (kernel * window).sum()
        maps = squash(sums)
    code = squash(w["dense1.weight"] @ maps.ravel() + w["dense1.bias"])
    return np.asarray(w["output.weight"] @ code + w["output.bias"])


@pytest.mark.parametrize("name", CLASSIC)
def test_a_second_route_gives_the_same_logits(name: str):
    torch.manual_seed(5)
    model = LeNet(MODELS[name]).eval()
    images = load("digits", "train").images[:3]
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        found = model(images).numpy()
    expected = [compute_by_hand(image[0].numpy(), model.config, weights) for image in images]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cross_entropy_behind_bitmaps_is_equation_9():
    output = RadialBasis(10)
    codes, labels = torch.randn(6, 84, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    distances = output.scale * (codes[:, None] - output.weight).square().sum(2)
    j = output.bias[0]
    penalty = torch.log(torch.exp(-j) + torch.exp(-distances).sum(1))
    expected = (distances[torch.arange(6), labels] + penalty).mean()
    logits = torch.nn.functional.pad(output(codes), (0, 1))  # with_reject_logit
    torch.testing.assert_close(measure_loss(logits, labels, "cross-entropy"), expected)
    assert MODELS["lenet5-1998"].reject_class


@pytest.mark.parametrize("name", CLASSIC)
def test_initial_weights_are_within_the_papers_range(name: str):
    model = LeNet(replace(MODELS[name], initialisation="fan-in"))
    for place, layer in model.named_children():
        for part, values in layer.named_parameters():
            links = {"lenet-1989": {"conv1": 25, "conv2": 200}.get(place)}.get(name)
            fan_in = links or {"Subsampling": 4, "PartialConv2d": 25}.get(type(layer).__name__)
            fan_in = fan_in or layer.weight[0].numel()
            assert values.abs().max() <= 2.4 / fan_in, (layer, part)
            assert values.std() > 0.2 / fan_in or values.numel() < 20
    if model.config.wiring == "lenet5":  # the map that sees six maps has the smallest weights
        assert model.conv2.weight[-6:].abs().max() <= 2.4 / 150 < model.conv2.weight[:18].abs().max()


@pytest.mark.parametrize("name", CLASSIC)
def test_a_classic_network_is_one_like_any_other(name: str, tmp_path, monkeypatch):
    """Saved, loaded, evaluated, exported, explained."""
    torch.manual_seed(2)
    model, data = LeNet(MODELS[name]).eval(), load("digits", "test")
    save_network(model, tmp_path / "net.safetensors")
    checkpoint = load_checkpoint(tmp_path / "net.safetensors")
    logits = compute_logits(model, data.images)
    assert torch.equal(compute_logits(checkpoint.model, data.images), logits)
    arrays = open_lenet(read_stored(tmp_path / "net.safetensors")).compute_logits(data.images[:9].numpy())
    np.testing.assert_allclose(arrays, logits[:9], atol=1e-6)
    assert evaluate(checkpoint, data).count == len(data)
    gradient = compute_gradient(checkpoint.model, data.images[0], [0])
    assert gradient.shape == (1, 28, 28)
    assert float(gradient.abs().max()) > 0
    assert list(model.find_kernels()) == [row.name for row in model.config.layers() if "Conv" in row.kind]
    with pytest.raises(ExportError, match="cannot express"):
        export_network(tmp_path / "net.safetensors", tmp_path / "net.h")


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIC)
def test_onnxruntime_agrees(name: str, tmp_path):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(2)
    save_network(LeNet(MODELS[name]), tmp_path / "net.safetensors")
    export = export_network(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    assert export.largest_difference is not None
    assert export.largest_difference < 1e-4


def test_calibration_scales_distances_and_margin_together(tmp_path):
    torch.manual_seed(2)
    data = load("digits", "train").subset(torch.arange(200))
    save_network(LeNet(MODELS["lenet5-1998"]), tmp_path / "net.safetensors")
    checkpoint = load_checkpoint(tmp_path / "net.safetensors")
    before = compute_logits(checkpoint.model, data.images)
    calibrated = calibrate(checkpoint, data)
    after = compute_logits(calibrated.model, data.images)
    torch.testing.assert_close(after * calibrated.card["temperature"], before, rtol=1e-4, atol=1e-4)


def test_a_margin_leaves_digits_of_16_pixels():
    config = MODELS["lenet1-1998"]
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 4:24, 4:24] = 255
    pixels = LeNet(config).prepare(image)[0, 0]
    assert pixels.shape == (28, 28)
    ink = (pixels > 0.5).any(0).nonzero()
    assert int(ink.max() - ink.min()) + 1 == 16
    assert pixels[:3].eq(pixels[0, 0]).all()
    assert float(pixels[0, 0]) == pytest.approx(-0.1, abs=1e-6)
    assert float(pixels.max()) == pytest.approx(1.175, abs=1e-5)


def test_wiring_makes_neighbours_differ():
    pairs = pairwise(LINKS["lenet5"])
    assert all(one != other for one, other in pairs)
    assert replace(MODELS["lenet5-1998"], wiring="full").parameters == 60_900
