"""What the page shows of one number; muted maps and changed weights; the decision."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenet.data.datasets import load
from lenet.insight.activations import find_receptive_field, trace_maps
from lenet.insight.attribution import compute_gradient
from lenet.models.checkpoint import load_checkpoint, save_network
from lenet.models.classic import LINKS
from lenet.models.config import MODELS
from lenet.models.network import LeNet
from lenet.models.stored import find_checkpoint
from lenet.uncertainty.rejection import explain_rejection

LOAD = """
  const { parseCheckpoint } = await import("lenet/safetensors.js");
  const { Network } = await import("lenet/network.js");
  const network = new Network(parseCheckpoint(checkpoint));
"""
EXPLAIN = """async ({ checkpoint, image, chosen }) => {LOAD
  const result = network.forward(image, 28, 28);
  return chosen.map(([name, index, y, x]) => ({
    field: network.receptiveField(name, y, x),
    ...network.arithmetic(result, name, index),
  }));
}""".replace("LOAD", LOAD)
CHANGE = """async ({ checkpoint, image, muted, weights }) => {LOAD
  const before = network.forward(image, 28, 28).logits;
  for (const [layer, maps] of Object.entries(muted)) network.muted.set(layer, new Set(maps));
  network.parameters.get("conv2.bias").fill(0);
  const result = network.forward(image, 28, 28);
  const gradient = network.gradient(result, weights);
  network.muted.clear();
  network.reset();
  return { before, outputs: result.outputs, gradient, after: network.forward(image, 28, 28).logits };
}""".replace("LOAD", LOAD)
DECIDE = """async ({ checkpoint, images }) => {LOAD
  return Array.from({ length: images.length / 784 }, (_, index) =>
    network.decide(network.forward(images.subarray(784 * index, 784 * (index + 1)), 28, 28)));
}""".replace("LOAD", LOAD)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return load("digits", "test").images


def test_every_number_is_explained_by_what_goes_into_it(modules, digits):
    checkpoint, config = find_checkpoint("reader").read_bytes(), load_checkpoint("reader").model.config
    model = load_checkpoint("reader").model
    maps = {name: values[0] for name, values in trace_maps(model, digits[:1]).items()}
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    random = np.random.default_rng(0)
    chosen = []
    for name, values in maps.items():
        for index in (0, values.numel() - 1, *random.integers(0, values.numel(), 6).tolist()):
            place = np.unravel_index(index, values.shape)
            y, x = place[-2:] if values.ndim == 3 else (0, 0)
            chosen.append([name, index, int(y), int(x)])
    found = modules.run(EXPLAIN, checkpoint=checkpoint, image=digits[0].numpy(), chosen=chosen)
    inputs = {after: before for before, after in pairwise(maps)}
    for (name, index, y, x), one in zip(chosen, found, strict=True):
        assert one["output"] == pytest.approx(maps[name].flatten()[index].item(), abs=1e-4)
        check_field(config, name, y, x, one["field"])
        if name == "input":
            assert one["inputs"] == []
            continue
        before = maps[inputs[name]].numpy()
        sums = [entry["sum"] for entry in one["inputs"]]
        if name.startswith("conv"):
            margin = config.padding if name == "conv1" else 0
            padded = np.pad(before, [(0, 0), (margin, margin), (margin, margin)])
            output = index // maps[name][0].numel()
            assert sum(sums) + one["bias"] == pytest.approx(one["output"], abs=1e-4)
            for entry in one["inputs"]:
                patch = padded[entry["map"], y : y + entry["height"], x : x + entry["width"]]
                assert entry["patch"] == pytest.approx(patch.ravel(), abs=1e-4)
                assert (entry["kernel"] == state[f"{name}.weight"][output, entry["map"]].ravel()).all()
        elif f"{name}.weight" in state:
            products = state[f"{name}.weight"][index] * before
            assert np.abs(sums) == pytest.approx(np.sort(np.abs(products))[::-1][:20], abs=1e-4)
            assert one["sum"] == pytest.approx(products.sum() + state[f"{name}.bias"][index], abs=1e-4)
            assert all(
                products[entry["map"]] == pytest.approx(entry["sum"], abs=1e-4) for entry in one["inputs"]
            )
        elif name.startswith("pool"):
            (entry,) = one["inputs"]
            assert entry["kernel"] is None
            patch = before[entry["map"], 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            assert entry["patch"] == pytest.approx(patch.ravel(), abs=1e-4)
            assert one["sum"] == one["output"]
        else:
            assert one["inputs"][0]["patch"][0] == pytest.approx(before.ravel()[index], abs=1e-4)


def test_a_strided_unit_is_explained_with_its_border_and_its_own_bias(modules, digits, tmp_path):
    torch.manual_seed(4)
    model = LeNet(MODELS["lenet-1989"]).eval()
    save_network(model, tmp_path / "net.safetensors")
    maps = {name: values[0] for name, values in trace_maps(model, digits[:1]).items()}
    chosen = [["conv1", 0, 0, 0], ["conv1", 767, 7, 7], ["conv2", 21, 1, 1], ["conv2", 191, 3, 3]]
    checkpoint = (tmp_path / "net.safetensors").read_bytes()
    found = modules.run(EXPLAIN, checkpoint=checkpoint, image=digits[0].numpy(), chosen=chosen)
    kernels = model.find_kernels()
    for (name, index, y, x), one, before in zip(
        chosen, found, ["input"] * 2 + ["scaled_tanh1"] * 2, strict=True
    ):
        check_field(model.config, name, y, x, one["field"])
        output = index // maps[name][0].numel()
        framed = np.pad(maps[before].numpy(), [(0, 0), (2, 2), (2, 2)], constant_values=-1)
        assert [entry["map"] for entry in one["inputs"]] == (
            list(LINKS["lenet1989"][output]) if name == "conv2" else [0]
        )
        for entry in one["inputs"]:
            patch = framed[entry["map"], 2 * y : 2 * y + 5, 2 * x : 2 * x + 5]
            assert entry["patch"] == pytest.approx(patch.ravel(), abs=1e-5)
            assert (entry["kernel"] == kernels[name][output, entry["map"]].numpy().ravel()).all()
        assert one["bias"] == pytest.approx(model.state_dict()[f"{name}.bias"].flatten()[index].item())
        assert one["sum"] == pytest.approx(one["output"], abs=1e-5)
        assert one["output"] == pytest.approx(maps[name].flatten()[index].item(), abs=1e-5)


def check_field(config: Any, name: str, y: int, x: int, found: dict[str, int]) -> None:
    try:
        field = find_receptive_field(config, name)
    except KeyError:
        is_input = name == "input"
        side = 1 if is_input else config.input_size
        assert found == {"top": y, "left": x, "height": side, "width": side}
        return
    top, left = (field.stride * place + field.start for place in (y, x))
    assert found == {"top": top, "left": left, "height": field.size, "width": field.size}


def test_muted_maps_and_changed_weights_act_as_in_pytorch_and_can_be_taken_back(modules, digits):
    muted = {"conv1": [1], "pool2": [0, 15], "flatten": [33], "relu3": [5, 7], "output": [2]}
    checkpoint = load_checkpoint("reader")
    weights = torch.linspace(-1, 2, 10)
    image = digits[3]
    found = modules.run(
        CHANGE,
        checkpoint=find_checkpoint("reader").read_bytes(),
        image=image.numpy(),
        muted=muted,
        weights=weights.tolist(),
    )
    model = checkpoint.model
    with torch.no_grad():
        before = model(image[None])[0]
        model.conv2.bias.zero_()

    def silence(maps: list[int]) -> Any:
        def hook(module: Any, inputs: Any, output: Tensor) -> Tensor:
            kept = torch.ones(output.shape[1])
            kept[maps] = 0
            return output * kept.view(1, -1, *[1] * (output.ndim - 2))

        return hook

    for name, maps in muted.items():
        getattr(model, name).register_forward_hook(silence(maps))
    for name, values in trace_maps(model, image[None]).items():
        np.testing.assert_allclose(found["outputs"][name], values.flatten(), atol=1e-4, err_msg=name)
    exact = torch.einsum("c,chw->hw", weights, compute_gradient(model, image, list(range(10)))).flatten()
    np.testing.assert_allclose(found["gradient"], exact, atol=1e-4 * float(exact.abs().max()))
    assert found["before"] == pytest.approx(before.numpy(), abs=1e-4)
    assert (found["after"] == found["before"]).all()


@pytest.mark.parametrize("name", ["mnist", "reader"])
def test_decisions_are_the_readers(modules, digits, name):
    """Of digits, of noise of every strength, and of a blank image."""
    model = load_checkpoint(name).model
    noise = torch.randint(0, 256, (100, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    noise = (noise * torch.linspace(0.01, 1, 100).view(-1, 1, 1, 1)).byte()
    images = torch.cat([digits[:100], noise, torch.zeros(1, 1, 28, 28, dtype=torch.uint8)])
    *decisions, blank = modules.run(
        DECIDE, checkpoint=find_checkpoint(name).read_bytes(), images=images.numpy()
    )
    assert blank == {"text": "", "confidence": 0, "runnerUp": None, "rejected": True, "reason": "empty"}
    with torch.inference_mode():
        probabilities = model.probabilities(images[:-1]).double()
    for row, decision in zip(probabilities, decisions, strict=True):
        best, second = row.topk(2).indices.tolist()
        assert (decision["text"], decision["runnerUp"]["text"]) == (str(best), str(second))
        assert decision["confidence"] == pytest.approx(row[best].item(), abs=1e-5)
        assert decision["rejected"] == bool(explain_rejection([row.tolist()], decision["confidence"]))
        assert decision["reason"] == ("reject-class" if decision["rejected"] else "")
    refused = [decision["rejected"] for decision in decisions]
    assert sum(refused[:100]) <= 10
    assert (sum(refused[100:]) > 50) == model.config.reject_class
