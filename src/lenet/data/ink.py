"""Random changes of the ink of a whole batch: pens, covered strips, pale ink, coarse scans, noise."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.data.distortions import Distortions


def vary_ink(images: Tensor, settings: Distortions, generator: torch.Generator) -> Tensor:
    """Change the ink of each image at random, in the order in which it happens on paper and in a camera.

    A pure function of its arguments, as `augment`. Takes and returns float (N, 1, H, W), 0 to 1.
    """

    def draw(least: float, most: float, share: float = 1.0) -> Tensor:
        """One number an image (N, 1, 1, 1): uniform for a share of the images, 0 for the rest."""
        drawn = torch.rand(2, len(images), 1, 1, 1, generator=generator, device=generator.device)
        return torch.where(drawn[1] < share, least + (most - least) * drawn[0], 0).to(images)

    if settings.pen:
        images = change_pen(images, draw(-settings.pen, settings.pen))
    if settings.cover:
        images = cover_strip(images, draw(0, settings.cover, 0.2), draw(0, 1), draw(0, 1) < 0.5)
    if settings.fading:
        images = images * (1 - draw(0, settings.fading, 0.5))
    if settings.coarseness:
        chance, share = torch.rand(2, generator=generator, device=generator.device).tolist()
        if chance < 1 / 3:
            images = coarsen(images, settings.coarseness * share)
    if settings.blur:
        images = torch.lerp(images, blur(images, settings.blur), draw(0, 1, 0.5))
    if settings.noise:
        noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
        images = (images + draw(0, settings.noise, 0.5) * noise).clamp(0, 1)
    return images


def change_pen(images: Tensor, wider: Tensor) -> Tensor:
    """Strokes wider by so many pixels (N, 1, 1, 1), from -2 to 2: towards each pixel's neighbourhood.

    Thinning takes ink away from strokes that have little; what is left is brought to the old darkness.
    """
    sign = wider.sign()
    most = F.max_pool2d(sign * images, 3, 1, 1) * sign  # the least where strokes get thinner
    changed = torch.lerp(images, most, wider.abs() / 2)
    before, after = (ink.amax(dim=(2, 3), keepdim=True) for ink in (images, changed))
    return changed * (before / after.clamp(min=1e-3)).clamp(max=4)


def cover_strip(images: Tensor, width: Tensor, place: Tensor, upright: Tensor) -> Tensor:
    """Blank a strip of each image: its width and place in shares of the side, (N, 1, 1, 1) each."""
    sides = images.shape[2:]
    down, across = ((torch.arange(side, device=images.device) + 0.5) / side for side in sides)
    position = torch.where(upright, across.view(1, 1, 1, -1), down.view(1, 1, -1, 1))
    return images * ((position - place).abs() >= width / 2)


def coarsen(images: Tensor, share: float) -> Tensor:
    """Reduce by a share of the side and enlarge again, as a coarse scan does."""
    size = [max(1, round(side * (1 - share))) for side in images.shape[2:]]
    small = F.interpolate(images, size, mode="area")
    return F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)


def blur(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur; outside is black."""
    down, across = (gaussian(side, deviation).to(images) for side in images.shape[2:])
    return down @ images @ across


@lru_cache(maxsize=16)
def gaussian(side: int, deviation: float) -> Tensor:
    """How much of each pixel of a side comes to each other one: float (side, side), symmetric."""
    places = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    every = torch.exp(-0.5 * (torch.arange(-100, 101) / deviation) ** 2).sum()
    return (weights / every).float()
