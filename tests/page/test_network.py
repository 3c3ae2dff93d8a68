"""The network in the page against PyTorch: logits, every layer, gradients."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from lenet.data.datasets import load
from lenet.insight.activations import trace_maps
from lenet.insight.attribution import compute_gradient
from lenet.models.checkpoint import load_checkpoint, save_network
from lenet.models.config import MODELS, Activation, LeNetConfig
from lenet.models.network import LeNet
from lenet.models.stored import find_checkpoint

RUN = """async ({ checkpoint, images, height, width, traced, weights }) => {
  const { parseCheckpoint } = await import("lenet/safetensors.js");
  const { Network } = await import("lenet/network.js");
  const network = new Network(parseCheckpoint(checkpoint));
  const size = height * width;
  const results = Array.from({ length: images.length / size },
    (_, index) => network.forward(images.subarray(index * size, (index + 1) * size), height, width));
  const join = (arrays) => Float32Array.from(arrays.flatMap((array) => [...array]));
  const some = results.slice(0, traced);
  return {
    logits: join(results.map((result) => result.logits)),
    probabilities: join(results.map((result) => [...result.probabilities, result.reject])),
    outputs: new Map(
      network.layers.map(({ name }) => [name, join(some.map(({ outputs }) => outputs.get(name)))])),
    layers: network.layers,
    gradients: join(some.map((result) => network.gradient(result, weights))),
  };
}"""
TRACED = 8  # images whose layers are compared
ACTIVATIONS = get_args(Activation)
SMALL = LeNetConfig(input_size=12, channels=(3, 4), kernel_size=3, padding=1, hidden=(9,), classes=4)
CONFIGS = {
    **{f"{name}-max": replace(SMALL, activation=name) for name in ACTIVATIONS},
    **{f"{name}-avg": replace(SMALL, activation=name, pooling="avg", padding=0) for name in ACTIVATIONS},
    **MODELS,
    "odd sides": LeNetConfig(input_size=29, channels=(2, 3, 4, 5), kernel_size=2, padding=3, hidden=()),
    "dropout": replace(SMALL, dropout=0.5, hidden=(9, 8, 7)),
    "contrast": replace(SMALL, contrast_sigma=1.5, reject_class=True, pixel_mean=0.1, pixel_std=0.4),
    "strides": replace(SMALL, input_size=13, channels=(3, 4, 2), pooling="stride", padding=3, pixel_mean=0.5),
    "padded": replace(SMALL, input_size=33, contrast_sigma=2.0),
    "enlarged": replace(SMALL, input_size=33, fit="resize", pixel_mean=0.3),
}


def make_images(count: int, height: int = 28, width: int = 28) -> Tensor:
    """Smooth blobs of bytes (count, 1, height, width), with black and white parts."""
    noise = torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(height))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)
    return ((smooth - 0.45) * 2550).clamp(0, 255).byte()


def run(modules: Any, path: Path, images: Tensor, weights: list[float]) -> dict[str, Any]:
    height, width = images.shape[2:]
    return modules.run(
        RUN,
        checkpoint=path.read_bytes(),
        images=images.numpy(),
        height=height,
        width=width,
        traced=TRACED,
        weights=weights,
    )


def compare(modules: Any, path: Path, images: Tensor) -> None:
    """Every figure of the page beside PyTorch's. Gradients are of an odd mixture of all logits."""
    model = load_checkpoint(path).model
    weights = torch.linspace(-1, 1, model.config.classes).add(0.2)
    found = run(modules, path, images, weights.tolist())
    with torch.no_grad():
        logits = model(images)
        every = model.with_reject_logit(logits).softmax(1)
    probabilities = found["probabilities"].reshape(len(images), -1)
    np.testing.assert_allclose(found["logits"].reshape(logits.shape), logits, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(probabilities[:, : every.shape[1]], every, atol=1e-5)

    traced = trace_maps(model, images[:TRACED])
    assert [layer["name"] for layer in found["layers"]] == list(traced)
    expected = [
        (layer.name, layer.kind, list(layer.output_shape), layer.parameters)
        for layer in model.config.layers()
    ]
    assert [
        (one["name"], one["kind"], one["shape"], one["parameters"]) for one in found["layers"][1:]
    ] == expected
    for name, maps in traced.items():
        np.testing.assert_allclose(found["outputs"][name], maps.flatten(), atol=1e-4, rtol=1e-5, err_msg=name)

    classes = list(range(model.config.classes))
    for gradient, image in zip(
        found["gradients"].reshape(min(TRACED, len(images)), -1), images, strict=False
    ):
        exact = torch.einsum("c,chw->hw", weights, compute_gradient(model, image, classes)).flatten()
        np.testing.assert_allclose(gradient, exact, atol=1e-4 * float(exact.abs().max()))


@pytest.mark.parametrize("name", ["mnist", "reader"])
def test_shipped_weights_give_pytorchs_numbers_for_a_thousand_digits(modules, name):
    compare(modules, find_checkpoint(name), load("digits", "train").images[:1000])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_of_network_gives_pytorchs_numbers(modules, tmp_path, name):
    torch.manual_seed(1)
    config = CONFIGS[name]
    save_network(
        LeNet(config), tmp_path / "net.safetensors", classes=[str(number) for number in range(config.classes)]
    )
    compare(modules, tmp_path / "net.safetensors", make_images(20))


@pytest.mark.parametrize("size", [(9, 20), (41, 30), (7, 7), (12, 90)])
def test_images_of_any_size_are_fitted_as_pytorch_fits_them(modules, tmp_path, size):
    torch.manual_seed(2)
    for fit in ("pad", "resize"):
        model = LeNet(replace(SMALL, input_size=21, contrast_sigma=2.0, fit=fit))
        save_network(model, tmp_path / "net.safetensors", classes=list("abcd"))
        compare(modules, tmp_path / "net.safetensors", make_images(8, *size))
