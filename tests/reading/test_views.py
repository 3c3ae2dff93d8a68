"""Several looks at a crop, against the same looks taken one by one."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lenet.models.checkpoint import load_checkpoint
from lenet.models.inference import DigitNetwork, open_lenet
from lenet.models.torch_inference import ModuleLeNet
from lenet.reading.single import TEST_TIME_TRANSFORMS, apply_transforms, average_augmented


@pytest.fixture(scope="module", params=["kernel", "torch"])
def network(request: pytest.FixtureRequest) -> DigitNetwork:
    checkpoint = load_checkpoint("reader")
    return open_lenet(checkpoint) if request.param == "kernel" else ModuleLeNet(checkpoint.model)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    images = np.zeros((7, 1, 28, 28), np.uint8)
    images[:, :, 4:24, 8:20] = np.random.default_rng(0).integers(256, size=(7, 1, 20, 12))
    return images


def turn(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The same view by Pillow, whose pixels are counted from the corner."""
    middle = 14 - place[:, :2] @ np.array([14, 14])
    matrix = [*place[0, :2], middle[0], *place[1, :2], middle[1]]
    page = Image.fromarray(image.astype(np.float32))
    return np.asarray(page.transform((28, 28), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def test_the_mean_of_the_views_one_by_one(network: DigitNetwork, images: np.ndarray):
    rows = []
    for image in images:
        views = np.stack([turn(image[0], place) for place in TEST_TIME_TRANSFORMS])
        rows.append(network.compute_probabilities(views[:, None] / np.float32(255)).mean(axis=0))
    np.testing.assert_allclose(average_augmented(network, images), np.stack(rows), atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(28, 28), (20, 33), (1, 1)])
def test_views_are_those_of_pytorch(size: tuple[int, int]):
    images = np.random.default_rng(1).integers(256, size=(3, 1, *size)).astype(np.uint8)
    pixels = torch.from_numpy(images).float() / 255
    repeated = pixels.repeat(len(TEST_TIME_TRANSFORMS), 1, 1, 1)
    matrices = torch.from_numpy(TEST_TIME_TRANSFORMS).repeat_interleave(len(images), dim=0)
    grid = functional.affine_grid(matrices, list(repeated.shape), align_corners=False)
    expected = functional.grid_sample(repeated, grid, align_corners=False)
    np.testing.assert_allclose(apply_transforms(images), expected.numpy(), atol=1e-4, rtol=0)
    assert np.array_equal(apply_transforms(images)[:3], pixels.numpy())


def test_one_image_and_many_give_the_same(network: DigitNetwork, images: np.ndarray):
    alone = np.concatenate([average_augmented(network, image[None]) for image in images])
    np.testing.assert_allclose(average_augmented(network, images), alone, atol=1e-5, rtol=0)


def test_each_lean_and_each_turn_undoes_the_other():
    for one, other in ((1, 2), (3, 4)):
        both = TEST_TIME_TRANSFORMS[one, :, :2] @ TEST_TIME_TRANSFORMS[other, :, :2]
        np.testing.assert_allclose(both, np.eye(2), atol=1e-6)
