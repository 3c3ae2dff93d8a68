"""Negatives, the training images of the reject class: pieces, joined digits, letters, scribbles, dirt.

All are framed as digits, as reading frames every crop. Candidates that are as similar to a digit as digits
are to each other are left out: half of an 8 is a 3.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import make_interp_spline
from torch import Tensor
from torch.nn import functional as F

from lenet.errors import DataError
from lenet.images.framing import EDGE, frame_digits
from lenet.synthesis.glyphs import make_numpy_generator

SHEET = 96  # pixels: the side of a drawing before it is framed
CHUNK = 1000  # images at a time: bounds the memory
SHARES = {"pieces": 0.32, "neighbours": 0.22, "letters": 0.15, "scribbles": 0.12, "lines": 0.05, "dirt": 0.14}
SIMILARITY_QUANTILE = 0.1  # of digits' similarity to their nearest digit; above it, a candidate resembles one
MIN_PIECE_INK = 0.4  # of a digit's ink
MAX_REFERENCES = 20_000  # digits that candidates are compared with
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwxy"  # none looks like a digit at any slant
FONTS = (
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmtt10", "cmss10",
)  # fmt: skip


def make_negatives(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Make negatives: uint8 (up to about `count`, 1, H, W) in random order, white on black.

    Args:
        images: the digits to cut and to compare with, uint8 (N, 1, H, W).
        count: the number of candidates; those that resemble a digit are left out.
        generator: the only source of randomness, on the CPU.

    Raises DataError when none is left.
    """
    makers = {
        "pieces": cut_pieces, "neighbours": join_digits, "letters": draw_letters,
        "scribbles": draw_scribbles, "lines": draw_lines, "dirt": draw_dirt,
    }  # fmt: skip
    made = []
    for name, share in SHARES.items():
        wanted = math.ceil(share * count)
        for size in [CHUNK] * (wanted // CHUNK) + [wanted % CHUNK]:
            if size:
                chosen = images[torch.randint(len(images), (size,), generator=generator)].float() / 255
                made.append(makers[name](chosen, generator))
    bank = torch.cat([images[:0], *made])
    bank = bank[~resemble_digits(bank, images[torch.randperm(len(images), generator=generator)])]
    if not len(bank):
        raise DataError(f"nothing was made that is unlike {len(images):,} images; ask for more negatives")
    return bank[torch.randperm(len(bank), generator=generator)]


def cut_pieces(images: Tensor, generator: torch.Generator) -> Tensor:
    """A framed piece of each digit: uint8 (at most N, 1, H, W); cuts that leave too much are left out."""
    pieces = cut_digits(images, generator)
    return frame_digits(pieces[pieces.amax(dim=(1, 2, 3)) > EDGE], images.shape[2:])


def join_digits(images: Tensor, generator: torch.Generator) -> Tensor:
    """Two or three digits, or large pieces of them, side by side in one frame: uint8 (N, 1, H, W)."""
    count, width = len(images), images.shape[3]
    pieces = cut_digits(images, generator)
    # A digit with a small piece of its neighbour is still a digit (see `segmentation_artefacts`).
    ink, piece_ink = (drawings.sum(dim=(1, 2, 3), keepdim=True) for drawings in (images, pieces))
    enough = piece_ink >= MIN_PIECE_INK * ink
    left, right = (
        torch.where(enough & (uniform(generator, count) < 0.4), pieces, images)[
            torch.randperm(count, generator=generator)
        ]
        for _ in range(2)
    )
    canvas = F.pad(left, (0, 2 * width))
    for number, part in enumerate((right, images)):
        part = part[torch.randperm(count, generator=generator)]
        gap = uniform(generator, count, -4, 3)
        right_by = extent(canvas)[1] + gap - extent(part)[0]  # (N, 1, 1, 1), pixels
        down = uniform(generator, count, -3, 3)
        moved = shift_images(F.pad(part, (0, 2 * width)), right_by, down)
        shown = uniform(generator, count) < (1, 0.25)[number]
        canvas = torch.maximum(canvas, moved * shown)
    return frame_digits(canvas, images.shape[2:])


def draw_dirt(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blank paper, specks, clouds, blots and blocks of `images`' shape: uint8 (N, 1, H, W)."""
    count, _, height, width = images.shape
    kind = torch.randint(4, (count, 1, 1, 1), generator=generator)
    noise = torch.rand(count, 1, height, width, generator=generator)
    specks = (noise < uniform(generator, count, 0.0, 0.15)) * uniform(generator, count, 0.2, 1)
    cells = int(torch.randint(3, 12, (1,), generator=generator))
    coarse = torch.rand(count, 1, cells, cells, generator=generator)
    clouds = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    clouds = ((clouds - uniform(generator, count, 0.2, 0.7)) * uniform(generator, count, 1, 20)).clamp(0, 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    across, down = (uniform(generator, count, 3, side / 2) for side in (width, height))
    distance = torch.maximum(((x - width / 2) / across).abs(), ((y - height / 2) / down).abs())
    round_distance = torch.hypot((x - width / 2) / across, (y - height / 2) / down)
    blots = torch.where(uniform(generator, count) < 0.5, distance, round_distance) < 1
    faint = noise * uniform(generator, count, 0, 0.3)
    every = torch.stack([faint, specks, clouds, blots.float()])  # (4, N, 1, H, W)
    return (every.gather(0, kind.expand_as(faint)[None])[0] * 255).round().byte()


def cut_digits(images: Tensor, generator: torch.Generator) -> Tensor:
    """Keep the ink on one side of a random line, mostly vertical or horizontal; for a third, of two lines."""
    count, _, height, width = images.shape
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) - width / 2, indexing="ij")
    kept = images
    for cuts in (1.0, 0.35):
        quarter = torch.tensor([0, 2, 1, 3])[torch.multinomial(
            torch.tensor([3.0, 3.0, 1.0, 1.0]), count, replacement=True, generator=generator
        )].view(count, 1, 1, 1)  # fmt: skip
        angle = (quarter + uniform(generator, count, -0.25, 0.25)) * torch.pi / 2
        side = x * angle.cos() + y * angle.sin() > uniform(generator, count, -4, 4)
        kept = torch.where(side | (uniform(generator, count) > cuts), kept, 0.0)
    share = kept.sum(dim=(1, 2, 3)) / images.sum(dim=(1, 2, 3))
    return torch.where(((share > 0.1) & (share < 0.65)).view(count, 1, 1, 1), kept, 0.0)


def resemble_digits(candidates: Tensor, digits: Tensor) -> Tensor:
    """Which of `candidates` (N, 1, H, W) are as similar to a digit as digits are to each other: bool (N,)."""
    references, others = embed(digits[:MAX_REFERENCES]), embed(digits[MAX_REFERENCES : MAX_REFERENCES + 2000])
    if not len(others):
        others, references = references[: len(references) // 3], references[len(references) // 3 :]
    threshold = find_similarity(others, references).quantile(SIMILARITY_QUANTILE)
    return find_similarity(embed(candidates), references) > threshold


def embed(images: Tensor) -> Tensor:
    """A descriptor of each image: 7 × 7 averages, as a vector of norm 1, (N, 49)."""
    return F.normalize(F.adaptive_avg_pool2d(images.float(), (7, 7)).flatten(1), dim=1)


def find_similarity(images: Tensor, references: Tensor) -> Tensor:
    """The cosine similarity of each descriptor to the nearest reference: (N,)."""
    return torch.cat([(part @ references.T).amax(dim=1) for part in images.split(CHUNK)])


def uniform(generator: torch.Generator, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers, one per image: (count, 1, 1, 1)."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def extent(images: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last column with ink: (N, 1, 1, 1) each; 0 where there is none."""
    inked = (images.amax(dim=2, keepdim=True) > EDGE).float()
    first, last = (columns.argmax(dim=3, keepdim=True) for columns in (inked, inked.flip(3)))
    return first, images.shape[3] - 1 - last


def shift_images(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Shift each image by its own number of pixels (N, 1, 1, 1), rounded to whole pixels."""
    height, width = images.shape[2:]
    columns = torch.arange(width).view(1, 1, 1, width) - right.round().long()
    rows = torch.arange(height).view(1, 1, height, 1) - down.round().long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    place = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    return images.flatten(1).gather(1, place.flatten(1)).view_as(images) * inside


def draw_letters(images: Tensor, generator: torch.Generator) -> Tensor:
    """Printed letters, as many as `images`: uint8 (N, 1, H, W)."""
    rng = make_numpy_generator(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        font = load_font(str(rng.choice(FONTS)))
        letter = str(rng.choice(list(LETTERS)))
        ink.text((SHEET / 2, SHEET / 2), letter, fill=255, font=font, anchor="mm")

    return frame_digits(draw_sheets(len(images), draw, rng, slant=0.35), images.shape[2:])


def draw_scribbles(images: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth curves through random points, as many as `images`: uint8 (N, 1, H, W)."""
    rng = make_numpy_generator(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        points = rng.uniform(0.1 * SHEET, 0.9 * SHEET, (rng.integers(4, 13), 2))
        curve = make_interp_spline(np.linspace(0, 1, len(points)), points, k=3)(np.linspace(0, 1, 100))
        ink.line([tuple(point) for point in curve], fill=255, width=int(rng.integers(4, 13)), joint="curve")

    return frame_digits(draw_sheets(len(images), draw, rng), images.shape[2:])


def draw_lines(images: Tensor, generator: torch.Generator) -> Tensor:
    """Dashes, ruled lines, crosses and dots, as many as `images`: uint8 (N, 1, H, W)."""
    rng = make_numpy_generator(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        width = int(rng.integers(4, 12))
        kind = rng.integers(4)
        low, high = 0.15 * SHEET, 0.85 * SHEET
        for at in rng.uniform(low, high, rng.integers(1, 4)):
            slope = rng.uniform(-0.3, 0.3) * SHEET
            if kind != 3:
                ink.line([(low, at), (high, at + slope)], fill=255, width=width)
            if kind == 1:  # crosses and grids
                ink.line([(at, low), (at + slope, high)], fill=255, width=width)
            if kind == 3:  # dots
                x, radius = rng.uniform(low, high), rng.uniform(2, 8)
                ink.ellipse((x - radius, at - radius, x + radius, at + radius), fill=255)

    return frame_digits(draw_sheets(len(images), draw, rng), images.shape[2:])


def draw_sheets(
    count: int, draw: Callable[[ImageDraw.ImageDraw], None], rng: np.random.Generator, slant: float = 0.0
) -> Tensor:
    """`count` drawings of `draw`, each slanted at random by up to `slant`: float (count, 1, SHEET, SHEET)."""
    sheets = np.empty((count, 1, SHEET, SHEET), dtype=np.uint8)
    for sheet in sheets:
        page = Image.new("L", (SHEET, SHEET))
        draw(ImageDraw.Draw(page))
        if slant:
            shear = rng.uniform(-slant, slant)
            matrix = (1, shear, -shear * SHEET / 2, 0, 1, 0)
            page = page.transform(page.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        sheet[0] = np.asarray(page)
    return torch.from_numpy(sheets).float() / 255


@lru_cache
def load_font(name: str) -> ImageFont.FreeTypeFont:
    """A font that is part of matplotlib."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), SHEET * 0.7)
