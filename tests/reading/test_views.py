"""Several looks at a crop, against the same looks taken one by one."""

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.models.checkpoint import load_checkpoint
from lenet.models.network import LeNet
from lenet.reading.single import TEST_TIME_TRANSFORMS, average_augmented


@pytest.fixture(scope="module")
def model() -> LeNet:
    return load_checkpoint("reader").model


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(7, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 4:24, 8:20] = torch.randint(256, (7, 1, 20, 12), generator=generator, dtype=torch.uint8)
    return images


def turn(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The same view by Pillow, whose pixels are counted from the corner."""
    middle = 14 - place[:, :2] @ np.array([14, 14])
    matrix = [*place[0, :2], middle[0], *place[1, :2], middle[1]]
    page = Image.fromarray(image.astype(np.float32))
    return np.asarray(page.transform((28, 28), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def test_the_mean_of_the_views_one_by_one(model: LeNet, images: torch.Tensor):
    with torch.inference_mode():
        rows = []
        for image in images:
            views = np.stack([turn(image[0].numpy(), place.numpy()) for place in TEST_TIME_TRANSFORMS])
            rows.append(model.probabilities(torch.from_numpy(views).unsqueeze(1) / 255).mean(dim=0))
        torch.testing.assert_close(average_augmented(model, images), torch.stack(rows), atol=1e-3, rtol=0)


def test_one_image_and_many_give_the_same(model: LeNet, images: torch.Tensor):
    with torch.inference_mode():
        alone = torch.cat([average_augmented(model, image[None]) for image in images])
        torch.testing.assert_close(average_augmented(model, images), alone, atol=1e-5, rtol=0)


def test_each_lean_and_each_turn_undoes_the_other():
    for one, other in ((1, 2), (3, 4)):
        torch.testing.assert_close(
            TEST_TIME_TRANSFORMS[one, :, :2] @ TEST_TIME_TRANSFORMS[other, :, :2], torch.eye(2)
        )
