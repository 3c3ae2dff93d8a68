"""The training of 1998: curvatures against exact ones, the fused steps against PyTorch's, resumed bits."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lenet.data.datasets import load
from lenet.errors import RecipeError
from lenet.kernels.online import is_available, learn_online
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.network import LeNet
from lenet.training import levenberg
from lenet.training.levenberg import DAMPING, LevenbergMarquardt, compute_curvatures, describe_online
from lenet.training.loop import Epoch, train
from lenet.training.optimisation import learning_rate, measure_loss
from lenet.training.recipe import Recipe
from lenet.training.recipes import RECIPES
from lenet.training.run_folder import RunFolder
from lenet.training.runs import begin_run, run_training
from lenet.training.start import make_model

CLASSIC = ("lenet-1989", "lenet1-1998", "lenet4-1998", "lenet5-1998")
CHAIN = LeNetConfig(
    input_size=5, channels=(1,), padding=0, hidden=(1,), activation="scaled-tanh", pooling="sum", classes=2
)
"""Five layers of one unit: what is backpropagated for each unit alone is then exact."""
CHAIN_1989 = replace(CHAIN, input_size=2, channels=(1, 1), padding=2, pooling="stride")
"""Four layers of one unit, of which two see the border of -1 as well."""


def gauss_newton(model: LeNet, images: Tensor, labels: Tensor, loss: str) -> dict[str, Tensor]:
    """The diagonal of JᵀHJ, with H the exact second derivative of the loss by the logits: by autograd."""
    totals = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        logits = model(image)[0]
        hessian = torch.autograd.functional.hessian(
            lambda z, label=label: measure_loss(z[None], label, loss), logits.detach()
        )
        if loss == "bipolar-squared-error":  # whose own Gauss-Newton form is the squared slope
            tanh = torch.tanh(2 / 3 * logits.detach())
            hessian = torch.diag((1.7159 * 2 / 3 * (1 - tanh**2)) ** 2)
        rows = []
        for logit in logits:
            grads = torch.autograd.grad(logit, list(model.parameters()), retain_graph=True)
            rows.append(grads)
        for place, name in enumerate(totals):
            jacobian = torch.stack([row[place].flatten() for row in rows])  # (classes, weights)
            totals[name] += torch.einsum("cw,cd,dw->w", jacobian, hessian, jacobian).view_as(totals[name])
    return {name: value / len(images) for name, value in totals.items()}


@pytest.mark.parametrize("chain", [CHAIN, CHAIN_1989])
@pytest.mark.parametrize("loss", ["bipolar-squared-error", "mean-squared-error"])
def test_curvatures_are_the_exact_diagonal_where_every_layer_is_one_unit(loss, chain):
    torch.manual_seed(3)
    model = LeNet(chain).double()
    images = torch.rand(6, 1, chain.input_size, chain.input_size, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    exact = gauss_newton(model, images, labels, loss)
    found = compute_curvatures(model, images, labels, loss)
    for name, value in exact.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_curvatures_of_the_output_layer_are_exact_up_to_the_coupling_of_classes():
    torch.manual_seed(3)
    model = LeNet(LeNetConfig(input_size=6, channels=(2,), kernel_size=3, padding=0, hidden=(4,), classes=3))
    images, labels = torch.rand(6, 1, 6, 6), torch.arange(6) % 3
    found = compute_curvatures(model, images, labels, "cross-entropy")
    exact = gauss_newton(model, images, labels, "cross-entropy")
    for part in ("output.weight", "output.bias"):
        torch.testing.assert_close(found[part], exact[part])
    assert all(value.ge(0).all() for value in found.values())


def test_curvatures_of_codes_behind_bitmaps_are_second_derivatives():
    model = make_model(RECIPES["lenet5-1998"], 1)
    codes = torch.randn(3, 84, dtype=torch.float64)
    output = model.output.double()

    def loss(code: Tensor) -> Tensor:
        return functional.cross_entropy(functional.pad(output(code[None]), (0, 1)), torch.tensor([4]))

    logits = functional.pad(output(codes), (0, 1))
    found = levenberg._curve_distances(output, codes, logits)
    for code, curvatures in zip(codes, found, strict=True):
        exact = torch.autograd.functional.hessian(loss, code).diagonal()
        torch.testing.assert_close(curvatures, exact.clamp(min=0))


def test_a_shared_weight_has_the_sum_over_its_places():
    torch.manual_seed(0)
    model = LeNet(LeNetConfig(input_size=4, channels=(1,), kernel_size=3, padding=0, hidden=(), classes=2))
    images, labels = torch.rand(1, 1, 4, 4), torch.tensor([1])
    found = compute_curvatures(model, images, labels, "mean-squared-error")
    values = model.trace(images)
    above = 2 / 2 * model.output.weight.square().sum(0).view(1, 1, 1)  # of the pooled maximum
    best = values["conv1"][0, 0].flatten().argmax()
    if values["conv1"].max() <= 0:
        above = above * 0
    patch = images[0, 0][best // 2 : best // 2 + 3, best % 2 : best % 2 + 3]
    torch.testing.assert_close(found["conv1.weight"][0, 0], (above * patch.square())[0])


@pytest.mark.skipif(not is_available(), reason="the kernel is not built")
@pytest.mark.parametrize("name", CLASSIC)
def test_fused_steps_are_pytorchs(name: str, monkeypatch: pytest.MonkeyPatch):
    compare_steps(RECIPES[name], monkeypatch)


@pytest.mark.skipif(not is_available(), reason="the kernel is not built")
def test_fused_strides_are_pytorchs_for_other_sides_and_connections(monkeypatch: pytest.MonkeyPatch):
    """Sides 27, 14, 7, 4: an odd one, and places that fill no vector."""
    changes = {"input_size": 27, "channels": (3, 5, 4), "wiring": "full", "hidden": ()}
    recipe = RECIPES["lenet-1989"]
    compare_steps(replace(recipe, model=replace(recipe.model, **changes)), monkeypatch)


def compare_steps(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty steps by the kernel and by PyTorch, from the same weights."""
    data = load("digits", "train")
    results = []
    for fused in (True, False):
        if not fused:
            monkeypatch.setattr(levenberg, "describe_online", lambda *_: None)
        model = make_model(recipe, 0)
        assert not fused or describe_online(model, recipe.loss)
        optimizer = LevenbergMarquardt(model.parameters(), recipe.lr)
        optimizer.measure(model, data.images[:50], data.labels[:50], recipe.loss)
        loss, logits = optimizer.learn(model, data.images[:40], data.labels[:40], recipe.loss, recipe.lr)
        results.append((loss, logits, model.state_dict()))
    (loss, logits, weights), (expected_loss, expected_logits, expected) = results
    torch.testing.assert_close(loss, expected_loss, rtol=0, atol=2e-6)
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=2e-5)
    begun = make_model(recipe, 0).state_dict()
    for part, value in expected.items():
        torch.testing.assert_close(weights[part], value, rtol=0, atol=2e-5, msg=part)
        moved = float((value - begun[part]).abs().max())
        assert (moved > 1e-5) == (not part.startswith("output") or recipe.model.output == "linear"), part


@pytest.mark.skipif(not is_available(), reason="the kernel is not built")
def test_watched_and_other_networks_are_left_to_pytorch():
    model = make_model(RECIPES["lenet5-1998"], 0)
    assert describe_online(model, "cross-entropy") is not None
    assert describe_online(model, "mean-squared-error") is None
    assert describe_online(LeNet(MODELS["lenet5-tanh"]), "cross-entropy") is None
    model.conv1.bias.requires_grad_(False)
    assert describe_online(model, "cross-entropy") is None
    seen: list[int] = []
    watched = make_model(RECIPES["lenet1-1998"], 0)
    watched.conv1.register_forward_hook(lambda *_: seen.append(1))
    data = load("digits", "train")
    optimizer = LevenbergMarquardt(watched.parameters(), 1e-4)
    optimizer.learn(watched, data.images[:3], data.labels[:3], "bipolar-squared-error", 1e-4)
    assert seen == [1, 1, 1]


@pytest.mark.skipif(not is_available(), reason="the kernel is not built")
def test_the_kernel_refuses_weights_that_it_cannot_change():
    model = make_model(RECIPES["lenet1-1998"], 0)
    network = describe_online(model, "bipolar-squared-error")
    assert network is not None
    tensors = {name: value.detach().double() for name, value in model.named_parameters()}
    with pytest.raises(RuntimeError, match="float32"):
        learn_online(network, tensors, tensors, torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.long))
    tensors = {name: value.float() for name, value in tensors.items()}
    broken = replace(network, layers=network.layers[1:])
    mixed = [replace(layer, kind="strided") if layer.name == "conv2" else layer for layer in network.layers]
    strided = replace(network, layers=tuple(mixed))  # behind subsampling
    with pytest.raises(RuntimeError, match="impossible shape"):
        learn_online(strided, tensors, tensors, torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.long))
    with pytest.raises(RuntimeError, match="impossible shape"):
        learn_online(broken, tensors, tensors, torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.long))


def test_rates_follow_curvatures():
    weight = nn.Parameter(torch.ones(2))
    optimizer = LevenbergMarquardt([weight], 0.1)
    optimizer.state[weight]["curvature"] = torch.tensor([0.0, 0.98])
    weight.grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([1 - 0.1 / DAMPING, 1 - 0.1 / 1.0]))


def test_the_schedule_is_the_papers():
    recipe = RECIPES["lenet5-1998"]
    rates = [learning_rate(recipe, step, 10) for step in range(0, 200, 10)]
    assert rates == pytest.approx([5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8, rel=1e-12)


@pytest.mark.parametrize("name", CLASSIC)
def test_they_learn(name: str):
    data = load("digits", "train")
    recipe = replace(RECIPES[name], epochs=4, data="digits", validation=200)
    epochs = list(train(make_model(recipe, 0), data, recipe))
    assert epochs[-1].validation_accuracy is not None
    # Behind bitmaps the first thousand images bring little: every code begins near zeros.
    assert epochs[-1].validation_accuracy > (0.4 if name == "lenet5-1998" else 0.9)
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_a_module_of_another_kind_is_refused():
    data = load("digits", "train")
    module = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 10))
    with pytest.raises(RecipeError, match="sdlm goes through the layers of a LeNet"):
        next(train(module, data, replace(RECIPES["lenet5-1998"], data="digits")))


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path):
    recipe = replace(RECIPES["lenet1-1998"], data="digits", epochs=3, validation=300).override(
        {"shift": 0.05}
    )

    def finish(folder: RunFolder, epochs: int = 3) -> RunFolder:
        for record in run_training(folder):
            if isinstance(record, Epoch) and record.epoch == epochs < 3:
                break
        return folder

    whole = finish(begin_run(recipe, device="cpu", runs_dir=tmp_path / "whole"))
    killed = finish(begin_run(recipe, device="cpu", runs_dir=tmp_path / "killed"), epochs=1)
    finish(killed)
    for kind in ("last", "best"):
        assert (whole.path / f"{kind}.safetensors").read_bytes() == (
            killed.path / f"{kind}.safetensors"
        ).read_bytes()


def test_every_image_is_a_step_whatever_the_batch():
    """Without distortions the batch size is only how many images are handed over at once."""
    data = load("digits", "train").subset(torch.arange(120))
    weights = []
    for batch_size in (120, 17):
        recipe = replace(RECIPES["lenet1-1998"], data="digits", epochs=1, batch_size=batch_size)
        model = make_model(recipe, 0)
        list(train(model, data, recipe))
        weights.append(torch.cat([value.flatten() for value in model.state_dict().values()]))
    torch.testing.assert_close(*weights, rtol=0, atol=1e-6)
