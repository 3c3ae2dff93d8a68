"""Local contrast normalisation: what it must not see, and a second way to compute it."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.preprocessing import MIN_CONTRAST, gaussian_rows, normalise_contrast


def make_images(count: int = 4, height: int = 28, width: int = 28) -> torch.Tensor:
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("deviation", [0.7, 2.0, 5.0])
def test_it_is_what_gaussian_filters_give(deviation: float) -> None:
    images = make_images(3, 20, 31)
    for image, normal in zip(
        images.double().numpy()[:, 0], normalise_contrast(images, deviation), strict=True
    ):

        def smooth(plane: np.ndarray) -> np.ndarray:
            return ndimage.gaussian_filter(plane, deviation, mode="nearest", truncate=12)

        difference = image - smooth(image)
        expected = difference / np.maximum(np.sqrt(smooth(difference**2)), MIN_CONTRAST)
        np.testing.assert_allclose(normal[0].numpy(), expected, atol=1e-4)


def test_brightness_and_contrast_are_gone() -> None:
    images = 0.2 + 0.6 * make_images()  # contrast well above the least, also at half of it
    normal = normalise_contrast(images, 2.0)
    torch.testing.assert_close(normalise_contrast(images + 0.2, 2.0), normal, atol=1e-4, rtol=0)
    inner = normalise_contrast(0.9 * images, 2.0)
    assert (inner - normal).abs().median() < 1e-3


def test_inverted_images_come_out_inverted() -> None:
    images = make_images()
    torch.testing.assert_close(
        normalise_contrast(1 - images, 2.0), -normalise_contrast(images, 2.0), atol=1e-4, rtol=0
    )


def test_blank_paper_stays_blank() -> None:
    for shade in (0.0, 0.3, 1.0):
        assert normalise_contrast(torch.full((1, 1, 28, 28), shade), 2.0).abs().max() < 1e-4
    faint = 0.5 + 0.01 * make_images()
    assert normalise_contrast(faint, 2.0).abs().max() < 0.2


def test_weights_are_means() -> None:
    weights = gaussian_rows(28, 2.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights.min() >= 0
    assert weights[weights > 0].min() > 1e-15  # products with denormal numbers are slow


def test_a_network_sees_every_light_alike() -> None:
    model = LeNet(LeNetConfig(contrast_sigma=2.0)).eval()
    images = 0.5 * make_images()
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(images + 0.4), atol=1e-3, rtol=0)
        traced = list(model.trace(images).values())[-1]
        torch.testing.assert_close(traced, model(images), atol=1e-5, rtol=0)


def test_gradients_pass_whoever_came_first() -> None:
    """Weights are kept: those first asked for where no gradients are must serve where they are."""
    images = make_images(2, 13, 17)
    images[1] = 0  # nor may the root of no contrast at all spoil them
    with torch.inference_mode():
        normalise_contrast(images, 1.5)
    images.requires_grad_()
    normalise_contrast(images, 1.5).square().mean().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad[0].abs().sum() > 0
