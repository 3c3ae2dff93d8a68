"""Digits with segmentation artefacts: a ligature, a piece of a neighbour or of a ruled line, or a cut end.

They are framed again, so that foreign ink shifts and shrinks the digit. The shares of foreign and of missing
ink stay below those of the negatives `join_digits` and `cut_pieces`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.images.framing import EDGE, frame_digits
from lenet.synthesis.negatives import CHUNK, extent, shift_images, uniform

MARGIN = 12  # pixels of paper on each side while ink is added
MIN_OWN_INK = 0.92  # share of a digit's ink that must remain
MIN_OWN_INK_OF_ZERO = 0.72  # the same for a 0, which may share a wall with another 0
MAX_FOREIGN_INK = 0.2  # of all ink
MIN_CHANGE = 0.02  # of the ink: a smaller change is no artefact
OFTEN_JOINED = (0, 9)  # digits that writers join to the next one
RULED = (0, 2, 3, 4, 5, 6, 8, 9)  # with a line above or below, a 1 may become a 7 and a 7 a 2


def make_segmentation_artefacts(
    images: Tensor, labels: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Make digits with artefacts: uint8 (up to about `count`, 1, H, W), and their labels (N,).

    Args:
        images: the digits, uint8 (N, 1, H, W), white on black.
        labels: (N,), 0 to 9.
        count: the number of candidates; those with too much foreign ink, or no change, are left out.
        generator: the only source of randomness, on the CPU.
    """
    often = torch.ones(len(images))
    often[torch.isin(labels, torch.tensor(OFTEN_JOINED))] = 2
    made, made_labels = [images[:0]], [labels[:0]]
    for make, share, suited in MAKERS:
        weights = often * torch.isin(labels, torch.tensor(suited))
        wanted = round(share * count)
        for size in [CHUNK] * (wanted // CHUNK) + [wanted % CHUNK]:
            if not size or not weights.any():
                continue
            chosen = torch.multinomial(weights, size, replacement=True, generator=generator)
            digits = F.pad(images[chosen].float() / 255, (MARGIN,) * 4)
            canvas = make(digits, generator)
            own = torch.minimum(canvas, digits).sum(dim=(1, 2, 3)) / digits.sum(dim=(1, 2, 3))
            foreign = (canvas - digits).clamp(min=0).sum(dim=(1, 2, 3)) / canvas.sum(dim=(1, 2, 3))
            changed = (foreign > MIN_CHANGE) | (own < 1 - MIN_CHANGE)
            minimum = torch.where(labels[chosen] == 0, MIN_OWN_INK_OF_ZERO, MIN_OWN_INK)
            good = changed & (own >= minimum) & (foreign <= MAX_FOREIGN_INK)
            made.append(frame_digits(canvas[good], images.shape[2:]))
            made_labels.append(labels[chosen[good]])
    return torch.cat(made), torch.cat(made_labels)


def add_ligature(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add one or two strokes from the ink outwards, to the right or to the left: float (N, 1, H, W)."""
    linked = images
    for often in (1.0, 0.35):
        mirrored = uniform(generator, len(images)) < 0.35
        turned = torch.where(mirrored, linked.flip(3), linked)
        stroke = draw_ligature(turned, generator)
        stroke = torch.where(mirrored, stroke.flip(3), stroke)
        linked = torch.where(uniform(generator, len(images)) < often, torch.maximum(linked, stroke), linked)
    return linked


def draw_ligature(images: Tensor, generator: torch.Generator) -> Tensor:
    """A curved stroke from the rightmost ink of a random row to the right, about as wide as the digit's."""
    count, _, height, width = images.shape
    inked = (images > EDGE).float()  # (N, 1, H, W)
    row = torch.multinomial(inked.amax(dim=3).view(count, height) + 1e-9, 1, generator=generator)  # (N, 1)
    last = width - 1 - inked[:, 0].flip(2).argmax(dim=2)  # (N, H)
    column = last.gather(1, row) - 0.5
    start = torch.stack([column, row.float()], dim=2)  # (N, 1, 2)

    def step(right: float) -> Tensor:
        across, down = uniform(generator, count, 0.0, right), uniform(generator, count, -4, 4)
        return torch.cat([across, down], dim=3).view(count, 1, 2)

    middle = start + step(4)
    return draw_curve(
        start, middle, middle + step(5), measure_stroke_widths(images, generator), height, width
    )


def add_ruled_line(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add a piece of a horizontal line near the bottom or the top of the digit: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    left, right = extent(images)
    top, bottom = extent(images.transpose(2, 3))
    at = torch.where(
        uniform(generator, count) < 0.65,
        bottom + uniform(generator, count, -2, 5),
        top - uniform(generator, count, -1, 5),
    )
    length = uniform(generator, count, 0.3, 1.2) * (right - left)
    begin = left + uniform(generator, count, -0.3, 1) * (right - left) - length / 2
    slope = uniform(generator, count, -1, 1)
    ends = [
        torch.cat([x, y], dim=3).view(count, 1, 2) for x, y in ((begin, at), (begin + length, at + slope))
    ]
    widths = uniform(generator, count, 1.0, 2.5)
    line = draw_curve(ends[0], (ends[0] + ends[1]) / 2, ends[1], widths, height, width)
    return torch.maximum(images, line)


def add_neighbour(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add a piece of a neighbouring digit, as left by a cut too far away: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    neighbours = images[torch.randperm(count, generator=generator)]
    mirrored = uniform(generator, count) < 0.5
    images = torch.where(mirrored, images.flip(3), images)  # so that all neighbours are on the right
    right = extent(images)[1] + uniform(generator, count, -3, 2) - extent(neighbours)[0] + 1
    beside = shift_images(neighbours, right, uniform(generator, count, -4, 4))
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) * 1.0, indexing="ij")
    edge = extent(images)[1] + uniform(generator, count, 0, 6) + uniform(generator, count, -0.4, 0.4) * y
    both = torch.maximum(images, beside * (x < edge))
    return torch.where(mirrored, both.flip(3), both)


def cut_end(images: Tensor, generator: torch.Generator) -> Tensor:
    """Remove the ink at one end, beyond a nearly vertical or horizontal line: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    quarter = torch.randint(4, (count, 1, 1, 1), generator=generator)
    angle = (quarter + uniform(generator, count, -0.25, 0.25)) * torch.pi / 2
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) - width / 2, indexing="ij")
    position = x * angle.cos() + y * angle.sin()  # (N, 1, H, W)
    farthest = torch.where(images > EDGE, position, -float(width)).amax(dim=(2, 3), keepdim=True)
    return images * (position < farthest - uniform(generator, count, 0.5, 5))


def draw_curve(start: Tensor, middle: Tensor, end: Tensor, widths: Tensor, height: int, width: int) -> Tensor:
    """Quadratic Bézier strokes (N, 1, height, width), 0 to 1, with `middle` as control point.

    Points are (N, 1, 2), x and y in pixels; `widths` (N, 1, 1, 1) are in pixels.
    """
    time = torch.linspace(0, 1, 16).view(1, 16, 1)
    points = (1 - time) ** 2 * start + 2 * time * (1 - time) * middle + time**2 * end  # (N, 16, 2)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=2).view(1, -1, 2).float().expand(len(points), -1, -1)
    distance = torch.cdist(pixels, points).amin(dim=2).view(-1, 1, height, width)
    return (widths / 2 + 0.5 - distance).clamp(0, 1)


def measure_stroke_widths(images: Tensor, generator: torch.Generator) -> Tensor:
    """The approximate stroke width of each image in pixels, varied at random: (N, 1, 1, 1)."""
    solid = (images > EDGE).float()
    edge = solid + F.max_pool2d(-solid, 3, 1, 1)
    stroke = 2 * solid.sum(dim=(1, 2, 3)) / edge.sum(dim=(1, 2, 3)).clamp(min=1)
    return stroke.clamp(1.5, 4).view(-1, 1, 1, 1) * uniform(generator, len(images), 0.6, 1.0)


# The function, its share, and the digits that keep their class.
MAKERS: tuple[tuple[Callable[[Tensor, torch.Generator], Tensor], float, Sequence[int]], ...] = (
    (add_ligature, 0.35, range(10)),
    (add_ruled_line, 0.2, RULED),
    (add_neighbour, 0.25, range(10)),
    (cut_end, 0.2, range(10)),
)
