"""Evidence by a second route: finite differences, the sum that it has to give, patches put by hand."""

import pytest
import torch
from torch import nn

from lenet.data.imageset import ImageSet
from lenet.insight.attribution import compute_attribution, compute_gradient, occlude
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.network import LeNet, initialise


def make(config: LeNetConfig, biases: bool = True) -> LeNet:
    model = LeNet(config)
    initialise(model, "default", torch.Generator().manual_seed(3))
    for layer in model.children():
        if not biases and isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.zeros_(layer.bias)
    return model.eval()


@pytest.fixture
def image(digits_test: ImageSet) -> torch.Tensor:
    return digits_test.images[3]


@pytest.mark.parametrize("name", ["lenet5-tanh", "lenet5-sigmoid"])
def test_gradients_are_what_finite_differences_are(name: str, image: torch.Tensor):
    model = make(MODELS[name]).double()
    gradient = compute_gradient(model, image, [2, 7])
    pixels, step = image[None].double() / 255, 1e-5
    for row, column in ((14, 14), (10, 17), (20, 12), (0, 0)):
        more, less = pixels.clone(), pixels.clone()
        more[0, 0, row, column] += step
        less[0, 0, row, column] -= step
        with torch.no_grad():
            slope = (model(more) - model(less))[0, [2, 7]] / (2 * step)
        assert torch.allclose(gradient[:, row, column].double(), slope, rtol=1e-3, atol=1e-7)


def test_contributions_add_up_to_the_logit(image: torch.Tensor):
    """A network of ReLU and max-pooling without biases is linear around each image, through zero."""
    model = make(LeNetConfig(activation="relu", pooling="max"), biases=False)
    found = compute_attribution(model, image)
    with torch.no_grad():
        logits = model(image[None])[0]
    expected = logits[[found.predicted, found.rival]]
    assert torch.allclose(found.contribution.sum(dim=(1, 2)), expected, rtol=1e-4)


@pytest.mark.parametrize("patch", [1, 4, 5])
def test_occlusion_is_a_patch_put_by_hand(image: torch.Tensor, patch: int):
    model = make(LeNetConfig())
    maps = occlude(model, image, patch)
    assert maps.shape == (10, 28, 28)
    for row, column in ((0, 0), (14, 13), (27, 27)):
        covered = image.clone()
        for y in range(row - patch // 2, row - patch // 2 + patch):
            for x in range(column - patch // 2, column - patch // 2 + patch):
                if 0 <= y < 28 and 0 <= x < 28:
                    covered[0, y, x] = 0
        with torch.no_grad():
            fall = (model(image[None]) - model(covered[None]))[0]
        assert torch.allclose(maps[:, row, column], fall, atol=1e-5)
    # To cover what is blank changes nothing.
    assert (maps[:, image[0] == 0].abs() < 1e-6).all() == (patch == 1)


def test_a_cover_over_everything_leaves_a_blank_image(image: torch.Tensor):
    model = make(LeNetConfig())
    with torch.no_grad():
        fall = (model(image[None]) - model(torch.zeros_like(image)[None]))[0]
    assert torch.allclose(occlude(model, image, 57), fall[:, None, None].expand(10, 28, 28), atol=1e-5)


def test_large_images_are_covered_in_steps():
    model = make(LeNetConfig(input_size=100, hidden=(8,)))
    image = torch.randint(0, 256, (1, 100, 100), dtype=torch.uint8)
    maps = occlude(model, image, 15)
    assert maps.shape == (10, 100, 100)
    assert torch.equal(maps[:, 0, 0], maps[:, 2, 2])
    assert not torch.equal(maps[:, 2, 2], maps[:, 3, 3])


def test_class_and_rival(image: torch.Tensor):
    model = make(LeNetConfig())
    with torch.no_grad():
        order = model(image[None])[0].argsort(descending=True).tolist()
    found = compute_attribution(model, image)
    assert [found.predicted, found.rival] == order[:2]
    assert compute_attribution(model, image, order[5]).rival == order[5]
    assert compute_attribution(model, image, order[0]).rival == order[1]  # no class is its own rival
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_nothing_is_left_behind(image: torch.Tensor):
    model = make(LeNetConfig(dropout=0.5)).train()
    found = [compute_attribution(model, image) for _ in range(2)]
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(found[0].gradient, found[1].gradient)
    assert torch.equal(found[0].occlusion, found[1].occlusion)
