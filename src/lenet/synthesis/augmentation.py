"""Random distortions of a batch: rotation, scale, shear, shift, mirroring, elastic; then changes of the ink.

The geometric distortions are composed into one sampling grid, so that images are interpolated once: this is
sharper and faster than one pass per distortion. The affine ones follow LeCun et al. 1998, section III.C; the
elastic one follows Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks": a
random displacement field, smoothed by a Gaussian.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.images.affine import pixel_centres, sampling_matrices
from lenet.synthesis.distortions import Distortions

ELASTIC_SMOOTHING = 4.0  # pixels: standard deviation of the Gaussian, the value of Simard et al.
RULED_LINES = ("left", "right", "top", "bottom", "across", "across")
MAX_TILT = 0.06  # radians: of a line beside the writing
NEGLIGIBLE = 1e-12  # weight; denormal numbers would make a product twenty times as slow


def augment(images: Tensor, settings: Distortions, generator: torch.Generator) -> Tensor:
    """Distort each image at random by one bilinear interpolation, then change its ink; the outside is black.

    A pure function of its arguments: the same generator state gives the same images. Random numbers are drawn
    on the generator's device, so that a CPU generator gives the same distortions on every device. The affine
    distortions do not depend on whether elastic deformation is on.

    Args:
        images: float (N, 1, H, W), 0 to 1.
        settings: the strength of each distortion.
        generator: the only source of randomness; it advances unless every strength is zero.

    Returns:
        Tensor of the same shape, type, device and range; `images` itself if every strength is zero.
    """
    if settings.is_none:
        return images
    count, _, height, width = images.shape
    matrices = random_matrices(count, settings, generator, aspect=width / height).to(images)  # (N, 2, 3)
    points = matrices @ pixel_centres(height, width).to(images)  # (N, 2, H · W)
    if settings.elastic:
        points += random_displacements(count, height, width, settings.elastic, generator).to(images)
    grid = points.view(count, 2, height, width).permute(0, 2, 3, 1)  # (N, H, W, 2)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return vary_ink(moved, settings, generator) if settings.changes_ink else moved


def random_matrices(
    count: int, settings: Distortions, generator: torch.Generator, aspect: float = 1.0
) -> Tensor:
    """Draw the affine distortions of `count` images: float (count, 2, 3), as `sampling_matrices`."""
    drawn = torch.rand(count, 6, generator=generator, device=generator.device)
    symmetric = 2 * drawn - 1  # uniform in -1..1
    matrices = sampling_matrices(
        degrees=settings.degrees * symmetric[:, 0],
        size=1 + settings.scale * symmetric[:, 1],
        shear=settings.shear * symmetric[:, 2],
        shift=settings.shift * symmetric[:, 3:5],
        mirrored=(drawn[:, 5] < 0.5) & settings.flip,
        aspect=aspect,
    )
    if settings.aspect:
        wider = 1 + settings.aspect * (2 * torch.rand(count, generator=generator, device=drawn.device) - 1)
        matrices[:, 0] /= wider[:, None]  # last in the inverse, so first on the image
    return matrices


def random_displacements(
    count: int, height: int, width: int, deviation: float, generator: torch.Generator
) -> Tensor:
    """Draw a smooth displacement of each pixel: float (N, 2, H · W), right and down, in half sides.

    Each displacement is normal with the standard deviation `deviation`, in pixels, everywhere in the image.
    """
    device = generator.device
    down, across = gaussian_weights(height).to(device), gaussian_weights(width).to(device)  # (side, nodes)
    noise = torch.randn(count, 2, down.shape[1], across.shape[1], generator=generator, device=device)
    pixel = torch.tensor([2 / width, 2 / height], device=device)  # in half sides
    noise = deviation * pixel[:, None, None] * noise  # (N, 2, nodes, nodes)
    return (down @ noise @ across.T).flatten(2)


@lru_cache(maxsize=16)
def gaussian_weights(side: int) -> Tensor:
    """The weight of each node of a coarse grid for each pixel of a side: float (side, nodes), rows of norm 1.

    A sum of independent standard normal numbers with these weights is standard normal. A spacing of 1.5
    standard deviations is small enough that the grid is not visible.
    """
    step = 1.5 * ELASTIC_SMOOTHING
    count = math.ceil(side / step) + 2  # one past either end
    nodes = (side - 1) / 2 + step * (torch.arange(count, dtype=torch.float64) - (count - 1) / 2)
    distances = torch.arange(side, dtype=torch.float64)[:, None] - nodes
    return F.normalize(torch.exp(-0.5 * (distances / ELASTIC_SMOOTHING) ** 2), dim=1).float()


def vary_ink(images: Tensor, settings: Distortions, generator: torch.Generator) -> Tensor:
    """Change the ink of each image at random, in the order of writing, paper and camera.

    A pure function of its arguments, as `augment`. Takes and returns float (N, 1, H, W), 0 to 1.
    """

    def draw(low: float, high: float, share: float = 1.0) -> Tensor:
        """One number per image (N, 1, 1, 1): uniform for a share of the images, 0 for the others."""
        drawn = torch.rand(2, len(images), 1, 1, 1, generator=generator, device=generator.device)
        return torch.where(drawn[1] < share, low + (high - low) * drawn[0], 0).to(images)

    if settings.pen:
        images = change_pen(images, draw(-settings.pen, settings.pen))
    if settings.cover:
        images = cover_strip(images, draw(0, settings.cover, 0.2), draw(0, 1), draw(0, 1) < 0.5)
    if settings.fading:
        images = images * (1 - draw(0, settings.fading, 0.5))
    if settings.ruled_lines:
        for kind in RULED_LINES:
            dark = draw(0.3, 1, settings.ruled_lines)
            images = draw_ruled_line(images, kind, dark, draw(0.4, 1.4), draw(0, 1), draw(-1, 1))
    if settings.paper:
        cells = int(torch.randint(2, 9, (1,), generator=generator, device=generator.device))
        shades = torch.rand(len(images), 1, cells, cells, generator=generator, device=generator.device)
        paper = interpolate_shades(shades.to(images), images)
        images = torch.lerp(images, paper, draw(0, settings.paper, 0.4))
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
    """Widen strokes by `wider` pixels (N, 1, 1, 1), from -2 to 2, by dilation or erosion.

    Erosion fades thin strokes; afterwards they are brought back to the maximum they had.
    """
    sign = wider.sign()
    extreme = dilate(sign * images) * sign  # the minimum where strokes get thinner
    changed = torch.lerp(images, extreme, wider.abs() / 2)
    before, after = (ink.amax(dim=(2, 3), keepdim=True) for ink in (images, changed))
    return changed * (before / after.clamp(min=1e-3)).clamp(max=4)


def dilate(images: Tensor) -> Tensor:
    """The maximum of each pixel and its eight neighbours, (N, 1, H, W)."""
    padded = F.pad(images, (1, 1, 1, 1), value=-math.inf)
    rows = torch.maximum(torch.maximum(padded[:, :, :-2], padded[:, :, 1:-1]), padded[:, :, 2:])
    # Ten times as fast as a max_pool2d, which also notes where each maximum is.
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def cover_strip(images: Tensor, width: Tensor, place: Tensor, upright: Tensor) -> Tensor:
    """Blank a strip of each image; width and place are shares of the side, (N, 1, 1, 1) each."""
    sides = images.shape[2:]
    down, across = ((torch.arange(side, device=images.device) + 0.5) / side for side in sides)
    position = torch.where(upright, across.view(1, 1, 1, -1), down.view(1, 1, -1, 1))
    return images * ((position - place).abs() >= width / 2)


def draw_ruled_line(
    images: Tensor, kind: str, dark: Tensor, thick: Tensor, place: Tensor, tilt: Tensor
) -> Tensor:
    """Draw a straight line over each image.

    `kind` is a side of the image, along whose outer third the line runs, or "across": through the middle in
    any direction. The others are (N, 1, 1, 1): `dark` the ink, 0 to 1, `thick` half the width in pixels,
    `place` 0 to 1 and `tilt` -1 to 1.
    """
    height, width = images.shape[2:]
    y = (torch.arange(height, device=images.device) - (height - 1) / 2).view(1, 1, -1, 1)
    x = (torch.arange(width, device=images.device) - (width - 1) / 2).view(1, 1, 1, -1)
    angle, side = MAX_TILT * tilt, width
    match kind:
        case "across":
            angle, offset = torch.pi / 2 * tilt, (place - 0.5) * 0.7 * side
        case "left" | "right":
            offset = (0.5 - place * 0.3) * side * (1 if kind == "right" else -1)
        case _:
            angle, side = angle + torch.pi / 2, height
            offset = (0.5 - place * 0.3) * side * (1 if kind == "bottom" else -1)
    distance = (x * angle.cos() + y * angle.sin() - offset).abs()
    return torch.maximum(images, dark * (thick + 0.5 - distance).clamp(0, 1))


def interpolate_shades(shades: Tensor, images: Tensor) -> Tensor:
    """Shades (N, 1, cells, cells), 0 to 1, interpolated smoothly to the size of `images`."""
    smooth = F.interpolate(shades, images.shape[2:], mode="bicubic", align_corners=True)
    return smooth.clamp(0, 1)


def coarsen(images: Tensor, share: float) -> Tensor:
    """Reduce by a share of the side and enlarge again, like a scan of low resolution."""
    size = [max(1, round(side * (1 - share))) for side in images.shape[2:]]
    small = F.interpolate(images, size, mode="area")
    return F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)


def blur(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur with a standard deviation in pixels; the outside is black."""
    down, across = (blur_matrix(side, deviation).to(images) for side in images.shape[2:])
    return down @ images @ across


@lru_cache(maxsize=16)
def blur_matrix(side: int, deviation: float) -> Tensor:
    """The weights of a Gaussian blur along one side: float (side, side), symmetric."""
    places = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    total = torch.exp(-0.5 * (torch.arange(-100, 101) / deviation) ** 2).sum()
    return (weights / total).where(weights > NEGLIGIBLE, 0).float()
