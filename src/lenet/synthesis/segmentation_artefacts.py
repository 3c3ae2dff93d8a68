"""Digits as they are cut out of a row: with a ligature, a rest of a neighbour or of a ruling, or not whole.

They are framed again, so that what is foreign moves and shrinks them. What is foreign, or missing, stays
below what makes two digits in one frame, or a piece of one, no digit.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.images.framing import EDGE, frame_digits
from lenet.synthesis.negatives import CHUNK, extent, move, random

ROOM = 12  # pixels of paper on each side while something is added
LEAST_OWN = 0.92  # of a digit's ink is left
LEAST_OF_ZERO = 0.72  # of a 0's, whose wall went to the 0 that shared it
MOST_FOREIGN = 0.2  # of all ink
LEAST_CHANGE = 0.02  # of the ink: with less, it is the digit as it was
LINKED_OFTEN = (0, 9)  # digits that writers join to the next one
RULED = (0, 2, 3, 4, 5, 6, 8, 9)  # with a line above or below, a 1 may be a 7 and a 7 a 2


def make_segmentation_artefacts(
    images: Tensor, labels: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Such digits as uint8 (about `count` at most, 1, H, W), and their labels.

    Args:
        images: the digits, uint8 (N, 1, H, W), white on black.
        labels: (N,), 0 to 9.
        count: how many to make; those with too much that is foreign, or nothing, are left out of it.
        generator: the only source of randomness, on the CPU.
    """
    often = torch.ones(len(images))
    often[torch.isin(labels, torch.tensor(LINKED_OFTEN))] = 2
    made, meant = [images[:0]], [labels[:0]]
    for make, share, suited in MAKERS:
        weights = often * torch.isin(labels, torch.tensor(suited))
        wanted = round(share * count)
        for size in [CHUNK] * (wanted // CHUNK) + [wanted % CHUNK]:
            if not size or not weights.any():
                continue
            chosen = torch.multinomial(weights, size, replacement=True, generator=generator)
            whole = F.pad(images[chosen].float() / 255, (ROOM,) * 4)
            canvas = make(whole, generator)
            own = torch.minimum(canvas, whole).sum(dim=(1, 2, 3)) / whole.sum(dim=(1, 2, 3))
            foreign = (canvas - whole).clamp(min=0).sum(dim=(1, 2, 3)) / canvas.sum(dim=(1, 2, 3))
            changed = (foreign > LEAST_CHANGE) | (own < 1 - LEAST_CHANGE)
            least = torch.where(labels[chosen] == 0, LEAST_OF_ZERO, LEAST_OWN)
            good = changed & (own >= least) & (foreign <= MOST_FOREIGN)
            made.append(frame_digits(canvas[good], images.shape[2:]))
            meant.append(labels[chosen[good]])
    return torch.cat(made), torch.cat(meant)


def link(images: Tensor, generator: torch.Generator) -> Tensor:
    """A stroke or two from the ink outwards, to the right, or to the left: float (N, 1, H, W)."""
    linked = images
    for often in (1.0, 0.35):
        mirrored = random(generator, len(images)) < 0.35
        turned = torch.where(mirrored, linked.flip(3), linked)
        stroke = draw_tail(turned, generator)
        stroke = torch.where(mirrored, stroke.flip(3), stroke)
        linked = torch.where(random(generator, len(images)) < often, torch.maximum(linked, stroke), linked)
    return linked


def draw_tail(images: Tensor, generator: torch.Generator) -> Tensor:
    """A bent stroke from the rightmost ink of some row to the right, about as wide as those of the digit."""
    count, _, height, width = images.shape
    inked = (images > EDGE).float()  # (N, 1, H, W)
    row = torch.multinomial(inked.amax(dim=3).view(count, height) + 1e-9, 1, generator=generator)  # (N, 1)
    last = width - 1 - inked[:, 0].flip(2).argmax(dim=2)  # (N, H)
    column = last.gather(1, row) - 0.5
    start = torch.stack([column, row.float()], dim=2)  # (N, 1, 2)

    def step(right: float) -> Tensor:
        away, down = random(generator, count, 0.0, right), random(generator, count, -4, 4)
        return torch.cat([away, down], dim=3).view(count, 1, 2)

    middle = start + step(4)
    return draw_curve(start, middle, middle + step(5), measure_pens(images, generator), height, width)


def add_ruled_line(images: Tensor, generator: torch.Generator) -> Tensor:
    """A piece of a level line near the foot of the digit, or near its head: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    left, right = extent(images)
    top, bottom = extent(images.transpose(2, 3))
    at = torch.where(
        random(generator, count) < 0.65,
        bottom + random(generator, count, -2, 5),
        top - random(generator, count, -1, 5),
    )
    length = random(generator, count, 0.3, 1.2) * (right - left)
    begin = left + random(generator, count, -0.3, 1) * (right - left) - length / 2
    slope = random(generator, count, -1, 1)
    ends = [
        torch.cat([x, y], dim=3).view(count, 1, 2) for x, y in ((begin, at), (begin + length, at + slope))
    ]
    pens = random(generator, count, 1.0, 2.5)
    line = draw_curve(ends[0], (ends[0] + ends[1]) / 2, ends[1], pens, height, width)
    return torch.maximum(images, line)


def leave_rest(images: Tensor, generator: torch.Generator) -> Tensor:
    """A neighbour beside each digit, cut off a little too late: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    neighbours = images[torch.randperm(count, generator=generator)]
    mirrored = random(generator, count) < 0.5
    images = torch.where(mirrored, images.flip(3), images)  # then all neighbours stand on the right
    right = extent(images)[1] + random(generator, count, -3, 2) - extent(neighbours)[0] + 1
    beside = move(neighbours, right, random(generator, count, -4, 4))
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) * 1.0, indexing="ij")
    edge = extent(images)[1] + random(generator, count, 0, 6) + random(generator, count, -0.4, 0.4) * y
    both = torch.maximum(images, beside * (x < edge))
    return torch.where(mirrored, both.flip(3), both)


def cut_off(images: Tensor, generator: torch.Generator) -> Tensor:
    """Without the ink at one end, beyond an upright or a level line that may lean: float (N, 1, H, W)."""
    count, _, height, width = images.shape
    quarter = torch.randint(4, (count, 1, 1, 1), generator=generator)
    angle = (quarter + random(generator, count, -0.25, 0.25)) * torch.pi / 2
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) - width / 2, indexing="ij")
    position = x * angle.cos() + y * angle.sin()  # (N, 1, H, W)
    farthest = torch.where(images > EDGE, position, -float(width)).amax(dim=(2, 3), keepdim=True)
    return images * (position < farthest - random(generator, count, 0.5, 5))


def draw_curve(start: Tensor, middle: Tensor, end: Tensor, pens: Tensor, height: int, width: int) -> Tensor:
    """Strokes (N, 1, height, width), 0 to 1, from `start` to `end`, drawn towards `middle` on the way.

    Points are (N, 1, 2), across and down, in pixels; `pens` (N, 1, 1, 1) are widths.
    """
    time = torch.linspace(0, 1, 16).view(1, 16, 1)
    points = (1 - time) ** 2 * start + 2 * time * (1 - time) * middle + time**2 * end  # (N, 16, 2)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=2).view(1, -1, 2).float().expand(len(points), -1, -1)
    distance = torch.cdist(pixels, points).amin(dim=2).view(-1, 1, height, width)
    return (pens / 2 + 0.5 - distance).clamp(0, 1)


def measure_pens(images: Tensor, generator: torch.Generator) -> Tensor:
    """About the stroke width of each image, in pixels: (N, 1, 1, 1)."""
    solid = (images > EDGE).float()
    edge = solid + F.max_pool2d(-solid, 3, 1, 1)
    stroke = 2 * solid.sum(dim=(1, 2, 3)) / edge.sum(dim=(1, 2, 3)).clamp(min=1)
    return stroke.clamp(1.5, 4).view(-1, 1, 1, 1) * random(generator, len(images), 0.6, 1.0)


# The function, its share, and the digits that stay themselves under it.
MAKERS: tuple[tuple[Callable[[Tensor, torch.Generator], Tensor], float, Sequence[int]], ...] = (
    (link, 0.35, range(10)),
    (add_ruled_line, 0.2, RULED),
    (leave_rest, 0.25, range(10)),
    (cut_off, 0.2, range(10)),
)
