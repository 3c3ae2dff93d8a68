"""Ink changes as its units say, and only where it is asked to."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from lenet.synthesis.augmentation import (
    RULED_LINES,
    augment,
    blur,
    blur_matrix,
    change_pen,
    coarsen,
    cover_strip,
    dilate,
    draw_ruled_line,
    interpolate_shades,
    random_matrices,
    vary_ink,
)
from lenet.synthesis.distortions import Distortions

EVERYTHING = Distortions(
    pen=1.5, blur=1, coarseness=0.5, noise=0.2, cover=0.2, fading=0.4, ruled_lines=0.3, paper=0.6
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_bar(width: int, count: int = 1) -> Tensor:
    """Upright strokes (count, 1, 28, 28), so many pixels wide."""
    images = torch.zeros(count, 1, 28, 28)
    images[:, :, 4:24, 12 : 12 + width] = 1
    return images


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


@given(
    strengths=st.fixed_dictionaries(
        {
            "pen": st.floats(0, 2),
            "blur": st.sampled_from([0, 0.1, 0.7, 2]),
            "coarseness": st.floats(0, 0.9),
            "noise": st.floats(0, 1),
            "cover": st.floats(0, 0.9),
            "fading": st.floats(0, 0.9),
            "ruled_lines": st.floats(0, 1),
            "paper": st.floats(0, 0.9),
            "degrees": st.sampled_from([0, 10]),
        }
    ),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=60)
def test_range_and_repeatability(strengths: dict[str, float], seed: int) -> None:
    images = torch.rand(6, 1, 17, 24, generator=generator(1))
    before = images.clone()
    first = augment(images, Distortions(**strengths), generator(seed))
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-5
    assert torch.equal(first, augment(images, Distortions(**strengths), generator(seed)))
    assert torch.equal(images, before)


def test_the_planar_distortions_stay_as_they_were() -> None:
    images = make_bar(3, 8)
    planar = Distortions(degrees=20, shift=0.1)
    faint = replace(planar, noise=1e-9)
    torch.testing.assert_close(augment(images, planar, generator()), augment(images, faint, generator()))


@pytest.mark.parametrize(("wider", "width"), [(2, 6), (1, 5), (0, 4), (-1, 3), (-2, 2)])
def test_a_pen_is_wider_by_so_many_pixels(wider: float, width: float) -> None:
    changed = change_pen(make_bar(4), column(wider))
    assert changed[0, 0, 14].sum() == pytest.approx(width)
    assert changed.max() == 1


def test_thinning_leaves_the_thinnest_stroke() -> None:
    assert change_pen(make_bar(1), column(-1))[0, 0, 14].sum() == pytest.approx(1)
    assert change_pen(torch.zeros(1, 1, 28, 28), column(-1)).sum() == 0


def test_dilation_is_the_maximum_of_nine_pixels() -> None:
    images = torch.rand(3, 1, 12, 17, generator=generator()) - 0.5
    assert torch.equal(dilate(images), functional.max_pool2d(images, 3, 1, 1))


def test_a_strip_is_blank_and_the_rest_is_not() -> None:
    images = torch.ones(2, 1, 10, 20)
    covered = cover_strip(images, column(0.2, 0.2), column(0.5, 0.5), column(1, 0).bool())
    assert covered[0, 0, 0].tolist() == [1] * 8 + [0] * 4 + [1] * 8
    assert covered[1, 0, :, 0].tolist() == [1] * 4 + [0] * 2 + [1] * 4


def test_blur_is_scipys() -> None:
    images = torch.rand(2, 1, 28, 28, generator=generator())
    theirs = ndimage.gaussian_filter(images.numpy(), (0, 0, 1.3, 1.3), mode="constant", radius=12)
    np.testing.assert_allclose(blur(images, 1.3).numpy(), theirs, atol=1e-6)


def test_no_weight_of_a_blur_is_denormal() -> None:
    """Products with such numbers take twenty times as long."""
    weights = blur_matrix(28, 1.0)
    assert weights[weights > 0].min() > 1e-15


def test_coarse_images_keep_their_ink() -> None:
    images = make_bar(4)
    assert torch.equal(coarsen(images, 0.0), images)
    assert coarsen(images, 0.5).sum() == pytest.approx(images.sum().item(), rel=0.02)


def test_shares_of_the_images() -> None:
    images = make_bar(4, 4000)
    for strengths, least, most in [
        (Distortions(fading=0.5), 0.45, 0.55),
        (Distortions(noise=0.5), 0.45, 0.55),
        (Distortions(blur=1.0), 0.45, 0.55),
        (Distortions(pen=1.0), 0.99, 1.0),
        (Distortions(cover=0.5), 0.03, 0.2),
    ]:
        changed = (vary_ink(images, strengths, generator()) - images).abs().amax(dim=(1, 2, 3)) > 1e-6
        assert least <= changed.float().mean() <= most, strengths
    levels = vary_ink(images, Distortions(fading=0.4), generator()).amax(dim=(1, 2, 3))
    assert levels.min() == pytest.approx(0.6, abs=0.01)


def test_aspect_is_width_against_height() -> None:
    theta = random_matrices(5000, Distortions(aspect=0.2), generator())
    assert torch.equal(theta[:, 1, 1], torch.ones(5000))
    wider = 1 / theta[:, 0, 0]
    assert 0.8 <= wider.min() < 0.81
    assert 1.19 < wider.max() <= 1.2 + 1e-6


def test_each_image_and_each_call_differs() -> None:
    images, source = make_bar(4, 8), generator()
    both = torch.cat([vary_ink(images, EVERYTHING, source), vary_ink(images, EVERYTHING, source)])
    assert len({image.numpy().tobytes() for image in both}) == 16


@pytest.mark.parametrize("kind", sorted({*RULED_LINES}))
def test_a_ruling_is_as_thick_as_it_says_and_leaves_the_middle_unless_it_runs_across(kind: str) -> None:
    places = column(0.2, 0.3, 1)
    still, full = torch.zeros_like(places), torch.ones_like(places)
    ruled = draw_ruled_line(torch.zeros(3, 1, 28, 28), kind, full, full, places, still)
    assert ruled.sum(dim=(1, 2, 3)) / 28 == pytest.approx(column(2, 2, 2).flatten(), abs=1)
    assert (ruled[:, :, 10:18, 10:18].sum() == 0) == (kind != "across")
    torch.testing.assert_close(draw_ruled_line(ruled, kind, 0 * full, full, places, still), ruled)
    along = 2 if kind in ("left", "right", "across") else 3
    assert (ruled.amax(dim=along) > 0.4).sum(dim=2).max() <= 3


def test_rulings_lie_on_their_side() -> None:
    one = torch.ones(1, 1, 1, 1)
    for kind, (row, high) in {
        "left": (3, False),
        "right": (3, True),
        "top": (2, False),
        "bottom": (2, True),
    }.items():
        ruled = draw_ruled_line(torch.zeros(1, 1, 28, 28), kind, one, one, 0.3 * one, 0 * one)
        where = float((ruled.sum(dim=5 - row) * torch.arange(28)).sum() / ruled.sum())
        assert (where > 13.5) == high


def test_as_many_are_ruled_as_asked_for() -> None:
    images = torch.zeros(2000, 1, 28, 28)
    ruled = vary_ink(images, Distortions(ruled_lines=0.1), generator()).amax(dim=(1, 2, 3)) > 0
    assert ruled.float().mean().item() == pytest.approx(1 - 0.9**6, abs=0.04)


def test_paper_is_smooth_and_leaves_ink_darker_than_it_was_light() -> None:
    shades = interpolate_shades(torch.rand(50, 1, 4, 4, generator=generator()), torch.zeros(50, 1, 28, 28))
    assert (shades.diff(dim=2).abs() < 0.3).all()
    assert shades.amax() <= 1
    images = make_bar(4, 400)
    on_paper = vary_ink(images, Distortions(paper=0.6), generator())
    changed = (on_paper != images).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.4, abs=0.08)
    assert on_paper[:, :, 8:20, 12:16].amin() >= 0.4 - 1e-6
    assert on_paper[:, :, :, :8].amax() <= 0.6 + 1e-6
