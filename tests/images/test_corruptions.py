"""Corruptions are what they say, and pure functions of the images and the seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from lenet.data.corrupted import corrupt_all, load_corrupted
from lenet.data.imageset import ImageSet
from lenet.errors import DataError
from lenet.images.corruptions import CHUNK, CORRUPTIONS, corrupt
from lenet.images.pixel_corruptions import draw_clouds

# Mean and standard deviation of the pixels on the 360 test digits of `digits`, seed 0.
GOLDEN = {
    "shot_noise": (0.177, 0.327),
    "impulse_noise": (0.253, 0.373),
    "glass_blur": (0.203, 0.247),
    "motion_blur": (0.203, 0.276),
    "shear": (0.203, 0.316),
    "scale": (0.100, 0.240),
    "rotate": (0.203, 0.310),
    "brightness": (0.647, 0.209),
    "translate": (0.203, 0.318),
    "stripe": (0.667, 0.402),
    "fog": (0.425, 0.169),
    "spatter": (0.211, 0.299),
    "dotted_line": (0.227, 0.337),
    "zigzag": (0.242, 0.351),
    "canny_edges": (0.115, 0.320),
}
CHANCE = set(CORRUPTIONS) - {"scale", "brightness", "stripe", "canny_edges"}
every = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def images(digits_test: ImageSet) -> Tensor:
    return digits_test.images


def test_there_are_fifteen():
    assert len(CORRUPTIONS) == 15
    assert list(CORRUPTIONS) == list(GOLDEN)


@every
def test_they_are_pure_functions(images: Tensor, name: str):
    before = images.clone()
    first, again, other = corrupt(images, name), corrupt(images, name, seed=0), corrupt(images, name, seed=1)
    assert torch.equal(images, before)
    assert (first.dtype, first.shape) == (torch.uint8, images.shape)
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name not in CHANCE)
    assert not torch.equal(first, images)


@every
def test_their_ink_is_as_it_was(images: Tensor, name: str):
    ink = corrupt(images, name).double() / 255
    assert (ink.mean().item(), ink.std().item()) == pytest.approx(GOLDEN[name], abs=0.006)


@every
def test_each_image_is_spoilt_by_itself(images: Tensor, name: str):
    """Another neighbour changes nothing: not even where an operator could reach from image to image."""
    changed = images[:20].clone()
    changed[[0, 7, 19]] = 255
    kept = [place for place in range(20) if place not in (0, 7, 19)]
    if name == "shot_noise":
        kept = []  # how many numbers are drawn depends on the ink
    assert torch.equal(corrupt(images[:20], name)[kept], corrupt(changed, name)[kept])


@every
def test_more_images_leave_the_first_chunk_as_it_is(images: Tensor, name: str):
    many = images.repeat(3, 1, 1, 1)
    assert len(many) > CHUNK
    assert torch.equal(corrupt(many, name)[:CHUNK], corrupt(many[:CHUNK], name))
    assert corrupt(images[:0], name).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("name", sorted(CHANCE))
def test_no_two_images_are_spoilt_alike(images: Tensor, name: str):
    twice = images[3:4].repeat(40, 1, 1, 1)
    assert len(corrupt(twice, name).unique(dim=0)) >= (2 if name in ("shear", "rotate") else 4)


def sample(images: Tensor, matrix: np.ndarray) -> np.ndarray:
    """A second route: scipy's interpolation of each image about its middle, x and y exchanged."""
    middle = np.array([13.5, 13.5])
    ink = images[:, 0].numpy().astype(float)
    offset = middle - matrix @ middle
    return np.stack(
        [ndimage.affine_transform(one, matrix, offset, order=1, mode="grid-constant") for one in ink]
    )


def test_shapes_are_those_of_another_library(images: Tensor):
    some = images[:60]
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    for name, matrices in {
        "scale": [np.eye(2) / 0.7],
        "shear": [np.array([[1, 0], [slant, 1]]) for slant in (0.4, -0.4)],
        "rotate": [turn, turn.T],
    }.items():
        corrupted = corrupt(some, name)[:, 0].numpy().astype(float)
        distances = [np.abs(sample(some, matrix) - corrupted).max(axis=(1, 2)) for matrix in matrices]
        assert np.min(distances, axis=0).max() <= 1, name  # rounding
        used = {int(np.argmin([d[place] for d in distances])) for place in range(60)}
        assert len(used) == len(matrices), "both sides are drawn"


def test_translation_is_by_three_pixels():
    dot = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    dot[:, :, 13, 13] = 255
    places = corrupt(dot, "translate")[:, 0].flatten(1).argmax(dim=1).unique()
    assert {divmod(place, 28) for place in places.tolist()} == {(r, c) for r in (10, 16) for c in (10, 16)}
    assert corrupt(dot, "translate").amax(dim=(1, 2, 3)).min() == 255


def test_light(images: Tensor):
    brighter = corrupt(images, "brightness").int() - (images.int() + 127.5).clamp(max=255)
    assert brighter.abs().max() <= 0.5  # rounding
    striped = corrupt(images, "stripe")
    assert torch.equal(striped[..., :7], 255 - images[..., :7])
    assert torch.equal(striped[..., 7:21], images[..., 7:21])
    assert torch.equal(striped[..., 21:], 255 - images[..., 21:])


def test_clouds_fill_the_range_and_are_smooth():
    clouds = draw_clouds(50, np.random.default_rng(0))
    assert clouds.shape == (50, 32, 32)
    assert (clouds.min(axis=(1, 2)) == 0).all()
    assert (clouds.max(axis=(1, 2)) == 1).all()
    near = np.abs(np.diff(clouds, axis=1)).mean()
    far = np.abs(clouds - np.roll(clouds, 16, axis=1)).mean()
    assert near < far / 4


def test_noise_has_the_strength_it_says():
    grey = torch.full((200, 1, 28, 28), 128, dtype=torch.uint8)
    salted = corrupt(grey, "impulse_noise")
    for value in (0, 255):
        assert (salted == value).double().mean() == pytest.approx(0.085, abs=0.005)
    assert ((salted == 128) | (salted == 0) | (salted == 255)).all()
    photons = corrupt(grey, "shot_noise")
    levels = torch.tensor([0, 85, 170, 255])  # counts of 0, 1, 2, and 3 or more
    assert set(photons.unique().tolist()) <= set(levels.tolist())
    assert (photons == 0).double().mean() == pytest.approx(np.exp(-3 * 128 / 255), abs=0.01)
    assert not corrupt(torch.zeros_like(grey), "shot_noise").any()


def test_blur_keeps_the_ink(images: Tensor):
    for name in ("glass_blur", "motion_blur"):
        corrupted, before = (some.double().sum(dim=(1, 2, 3)) for some in (corrupt(images, name), images))
        assert (corrupted / before).mean() == pytest.approx(1, abs=0.02), name


def test_a_motion_leaves_a_trail_to_one_side():
    dots = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    dots[:, :, 14, 14] = 255
    rows, columns = np.nonzero(corrupt(dots, "motion_blur")[:, 0].double().sum(dim=0).numpy())
    assert columns.max() == 14
    assert columns.min() < 8
    assert (np.abs(rows - 14) <= 14 - columns + 1).all()  # at most 45 degrees


def test_strokes_are_added_and_nothing_else():
    black = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    dotted, zigzag = (corrupt(black, name)[:, 0] for name in ("dotted_line", "zigzag"))
    off = [column for column in range(28) if column // 2 % 2 == 0]
    assert not dotted[..., off].any()
    assert (dotted.amax(dim=1)[:, 2::4] > 0).all()
    assert not zigzag[..., [0, 1, 26, 27]].any()
    tops = zigzag.float().argmax(dim=1)[:, 2:26]
    assert (tops.diff(dim=1).abs() <= 2).all()
    assert ((tops.amax(dim=1) - tops.amin(dim=1)) <= 9 + 1).all()
    assert (zigzag.amax(dim=1)[:, 2:26] > 140).all()


def test_the_outline_of_a_square_is_a_thin_closed_ring():
    square = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    square[1, :, 8:20, 9:21] = 255
    nothing, edges, also_nothing = corrupt(square, "canny_edges")[:, 0].numpy() == 255
    assert not nothing.any()
    assert not also_nothing.any()
    _, regions = ndimage.label(~edges)
    assert regions == 2  # inside and outside
    assert (edges[14].sum(), edges[:, 14].sum()) == (2, 2)
    near = ndimage.binary_dilation(square[1, 0].numpy(), iterations=1) & ~ndimage.binary_erosion(
        square[1, 0].numpy(), iterations=2
    )
    assert not (edges & ~near).any()


def test_faint_edges_count_only_where_they_hang_on_clear_ones():
    ramp = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    ramp[0, :, 5:23, 14:] = 14  # a slope between faint and clear all along
    ramp[1, :, 5:23, 14:] = torch.linspace(40, 14, 18)[:, None]  # the same below, clear above
    faint, helped = corrupt(ramp, "canny_edges")[:, 0].numpy()
    assert not faint.any()
    assert helped[12:20].any()


@pytest.mark.parametrize(
    ("bad", "name", "message"),
    [
        (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), "rain", "no corruption 'rain'"),
        (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), "identity", "no corruption 'identity'"),
        (torch.zeros(1, 1, 28, 28), "fog", "bytes"),
        (torch.zeros(1, 1, 32, 32, dtype=torch.uint8), "fog", "28, 28"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), "fog", "28, 28"),
    ],
)
def test_what_does_not_fit_is_refused(bad: Tensor, name: str, message: str):
    with pytest.raises(DataError, match=message):
        corrupt(bad, name)


def test_a_data_set_is_spoilt_with_its_labels(digits_test: ImageSet):
    corrupted = corrupt_all(digits_test)
    assert list(corrupted) == ["identity", *CORRUPTIONS]
    assert corrupted["identity"] is digits_test
    for name, data in corrupted.items():
        assert torch.equal(data.labels, digits_test.labels)
        assert data.classes == digits_test.classes
        if name != "identity":
            assert torch.equal(data.images, corrupt(digits_test.images, name))
    loaded = load_corrupted("digits", "test")
    assert torch.equal(loaded["fog"].images, corrupted["fog"].images)
    with pytest.raises(DataError, match="28, 28"):
        corrupt_all(replace(digits_test, images=digits_test.images[..., :20]))
