"""Distortions do what their units say: checked against scipy, by the ink's place, and by their laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from lenet.images.affine import sampling_matrices
from lenet.synthesis.augmentation import augment, random_displacements, random_matrices
from lenet.synthesis.distortions import Distortions

EVERYTHING = Distortions(degrees=15, scale=0.15, shear=0.2, shift=0.1, elastic=1.0, flip=True)
SIDES = [(28, 28), (32, 32), (24, 36), (17, 9)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(
    degrees: float = 0.0,
    size: float = 1.0,
    shear: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    mirrored: bool = False,
    aspect: float = 1.0,
) -> Tensor:
    """The sampling matrix of one image: (1, 2, 3)."""
    one = torch.ones(1)
    return sampling_matrices(
        degrees * one, size * one, shear * one, torch.tensor([shift]), torch.tensor([mirrored]), aspect
    )


def distort(image: Tensor, **known: object) -> Tensor:
    """One image (H, W) distorted by known parameters, with PyTorch's own grid."""
    height, width = image.shape
    theta = matrix(aspect=width / height, **known)  # type: ignore[arg-type]
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
    return F.grid_sample(image[None, None], grid, align_corners=False)[0, 0]


def smooth_blobs(height: int, width: int) -> Tensor:
    """A smooth picture with no symmetry and a black border: (H, W), 0 to 1."""
    noise = np.random.default_rng(0).random((height, width))
    noise[:4], noise[-4:], noise[:, :4], noise[:, -4:] = 0, 0, 0, 0
    blurred = ndimage.gaussian_filter(noise, 1.0)
    return torch.from_numpy(blurred / blurred.max()).float()


def centre_of_ink(image: Tensor) -> tuple[float, float]:
    """(x, y) from the middle of the picture, in pixels, y downwards."""
    y, x = ndimage.center_of_mass(image.numpy())
    return x - (image.shape[1] - 1) / 2, y - (image.shape[0] - 1) / 2


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 32), (24, 36)])
@pytest.mark.parametrize(
    ("degrees", "size", "shear", "shift", "mirrored"),
    [
        (0.0, 1.0, 0.0, (0.1, -0.05), False),
        (25.0, 1.0, 0.0, (0.0, 0.0), False),
        (0.0, 0.8, 0.3, (0.0, 0.0), False),
        (0.0, 1.0, 0.0, (0.0, 0.0), True),
        (-17.0, 1.15, 0.2, (0.07, 0.03), True),
    ],
)
def test_second_route_through_scipy(
    height: int,
    width: int,
    degrees: float,
    size: float,
    shear: float,
    shift: tuple[float, float],
    mirrored: bool,
) -> None:
    image = smooth_blobs(height, width)
    is_own = distort(image, degrees=degrees, size=size, shear=shear, shift=shift, mirrored=mirrored)

    # forwards, in pixels (x, y), y downwards; scipy wants the inverse, in (row, column)
    turn = math.radians(degrees)
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    slant = np.array([[1, -shear], [0, 1]])
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0])
    backwards = np.linalg.inv(rotation @ slant @ (size * np.eye(2)) @ mirror)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = middle - backwards @ (middle + np.array(shift) * [width, height])
    theirs = ndimage.affine_transform(
        image.double().numpy(), backwards[::-1, ::-1], offset[::-1], order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(is_own.numpy(), theirs, atol=2e-5)


def test_augment_uses_the_matrices_it_draws() -> None:
    """The fast grid equals PyTorch's own `affine_grid` for the same random numbers."""
    images = torch.rand(5, 1, 24, 36, generator=generator())
    planar = Distortions(degrees=15, scale=0.15, shear=0.2, shift=0.1, flip=True)
    theta = random_matrices(5, planar, generator(7), aspect=36 / 24)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(augment(images, planar, generator(7)), expected, atol=1e-4, rtol=0)


@given(
    count=st.integers(1, 9),
    sides=st.sampled_from(SIDES),
    degrees=st.floats(0, 180),
    scale=st.floats(0, 0.9),
    shear=st.floats(0, 2),
    shift=st.floats(0, 1),
    elastic=st.floats(0, 6),
    flip=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_shape_range_and_repeatability(
    count: int,
    sides: tuple[int, int],
    degrees: float,
    scale: float,
    shear: float,
    shift: float,
    elastic: float,
    flip: bool,
    seed: int,
) -> None:
    images = torch.rand(count, 1, *sides, generator=generator(1))
    before = images.clone()
    strengths = Distortions(degrees, scale, shear, shift, elastic, flip)
    first = augment(images, strengths, generator(seed))
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert bool(torch.isfinite(first).all())
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6
    assert torch.equal(first, augment(images, strengths, generator(seed)))
    assert torch.equal(images, before), "the images given must not change"


def test_no_strength_changes_nothing() -> None:
    images = torch.rand(3, 1, 28, 28)
    assert augment(images, Distortions(), generator()) is images


def test_an_empty_batch_is_still_a_batch() -> None:
    assert augment(torch.zeros(0, 1, 28, 28), EVERYTHING, generator()).shape == (0, 1, 28, 28)


def test_double_precision_stays() -> None:
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    assert augment(images, EVERYTHING, generator()).dtype == torch.float64


def test_the_global_random_state_is_not_touched() -> None:
    images = torch.rand(3, 1, 28, 28)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    augment(images, EVERYTHING, generator())
    assert torch.equal(state, torch.get_rng_state())


def test_each_image_and_each_call_differs() -> None:
    images = smooth_blobs(28, 28).expand(8, 1, 28, 28)
    source = generator()
    first, second = augment(images, EVERYTHING, source), augment(images, EVERYTHING, source)
    assert len({image.numpy().tobytes() for image in torch.cat([first, second])}) == 16


def test_positive_degrees_turn_counter_clockwise() -> None:
    image = torch.zeros(29, 29)
    image[14, 22] = 1  # to the right of the middle
    x, y = centre_of_ink(distort(image, degrees=90.0))
    assert (x, y) == pytest.approx((0, -8), abs=0.01)  # now above it


def test_positive_shear_leans_to_the_right() -> None:
    image = torch.zeros(29, 29)
    image[6, 14] = 1  # eight above the middle
    x, y = centre_of_ink(distort(image, shear=0.25))
    assert (x, y) == pytest.approx((2, -8), abs=0.01)


def test_shift_is_a_share_of_the_side_to_the_right_and_down() -> None:
    image = torch.zeros(20, 40)
    image[10, 20] = 1
    moved = distort(image, shift=(0.25, 0.1))
    assert moved[12, 30] == pytest.approx(1, abs=1e-5)


def test_size_is_a_factor_of_both_sides() -> None:
    image = smooth_blobs(40, 40)
    x, y = centre_of_ink(image)
    larger = distort(F.pad(image, (20, 20, 20, 20)), size=1.5)
    assert centre_of_ink(larger) == pytest.approx((1.5 * x, 1.5 * y), abs=0.02)
    assert larger.sum() == pytest.approx(1.5**2 * float(image.sum()), rel=0.01)


def test_strengths_bound_what_is_drawn() -> None:
    count = 20_000
    strengths = Distortions(degrees=10, scale=0.2, shift=0.05)
    theta = random_matrices(count, strengths, generator())
    size = 1 / theta[:, :, :2].det().sqrt()
    assert 0.8 <= size.min() < 0.805
    assert 1.195 < size.max() <= 1.2 + 1e-5
    degrees = torch.rad2deg(torch.atan2(theta[:, 1, 0], theta[:, 1, 1]))
    assert 9.9 < degrees.abs().max() <= 10 + 1e-4
    assert degrees.mean().abs() < 0.2
    shift = torch.linalg.solve(theta[:, :, :2], -theta[:, :, 2]) / 2
    assert 0.0499 < shift.abs().max() <= 0.05 + 1e-5
    slanted = random_matrices(count, Distortions(shear=0.3), generator())
    assert 0.299 < slanted[:, 0, 1].abs().max() <= 0.3 + 1e-6


def test_half_of_the_images_are_mirrored_and_only_when_asked() -> None:
    image = smooth_blobs(28, 28)
    images = image.expand(2000, 1, 28, 28)
    result = augment(images, Distortions(flip=True), generator())[:, 0]
    as_given = (result - image).abs().amax((1, 2)) < 1e-4
    mirrored = (result - image.flip(1)).abs().amax((1, 2)) < 1e-4
    assert bool((as_given ^ mirrored).all())
    assert 900 < mirrored.sum() < 1100
    still = augment(images[:200], Distortions(degrees=1), generator())[:, 0]
    assert bool(((still - image).abs().mean((1, 2)) < (still - image.flip(1)).abs().mean((1, 2))).all())


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_elastic_is_the_standard_deviation_in_pixels_everywhere(height: int, width: int) -> None:
    moves = random_displacements(4000, height, width, 1.5, generator()).unflatten(2, (height, width))
    pixels = moves * torch.tensor([width / 2, height / 2])[:, None, None]
    torch.testing.assert_close(pixels.std(0), torch.full((2, height, width), 1.5), atol=0.1, rtol=0)
    assert pixels.mean(0).abs().max() < 0.12


def test_elastic_moves_neighbours_together() -> None:
    """Neighbours shift_images alike, points far apart do not: as noise under a Gaussian of 4 pixels does."""
    moves = random_displacements(4000, 28, 28, 1.0, generator()).unflatten(2, (28, 28))[:, 0, 14]
    for distance in (1, 4, 8, 14):
        seen = torch.corrcoef(moves[:, [7, 7 + distance]].T)[0, 1]
        assert seen == pytest.approx(math.exp(-(distance**2) / (4 * 4**2)), abs=0.06)


def test_elastic_leaves_the_planar_distortions_as_they_were() -> None:
    image = smooth_blobs(28, 28).expand(50, 1, 28, 28)
    planar = Distortions(degrees=20, shift=0.1)
    weak = Distortions(degrees=20, shift=0.1, elastic=0.01)
    torch.testing.assert_close(
        augment(image, planar, generator()), augment(image, weak, generator()), atol=0.05, rtol=0
    )


def test_ink_is_roughly_kept() -> None:
    image = smooth_blobs(28, 28)
    result = augment(image.expand(500, 1, 28, 28), Distortions(12, 0, 0.15, 0.08, 1.0), generator())
    assert result.sum((1, 2, 3)).mean() == pytest.approx(float(image.sum()), rel=0.03)
