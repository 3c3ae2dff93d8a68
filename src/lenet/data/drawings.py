"""Letters, scribbles and lines, drawn large with pens of every width, framed as digits are."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import make_interp_spline
from torch import Tensor

from lenet.data.frame import fit_frame

SHEET = 96  # pixels; a drawing is made four times as large as it will be seen
# Letters that nobody takes for a digit, however they are slanted.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwxy"
FONTS = (
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmtt10", "cmss10",
)  # fmt: skip


def draw_letters(images: Tensor, generator: torch.Generator) -> Tensor:
    """As many letters as `images` are: float (N, 1, H, W)."""
    pens = make_random(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        font = load_font(str(pens.choice(FONTS)))
        letter = str(pens.choice(list(LETTERS)))
        ink.text((SHEET / 2, SHEET / 2), letter, fill=255, font=font, anchor="mm")

    return fit_frame(draw_sheets(len(images), draw, pens, slant=0.35), images.shape[2:])


def draw_scribbles(images: Tensor, generator: torch.Generator) -> Tensor:
    """As many smooth curves through random points as `images` are: float (N, 1, H, W)."""
    pens = make_random(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        points = pens.uniform(0.1 * SHEET, 0.9 * SHEET, (pens.integers(4, 13), 2))
        curve = make_interp_spline(np.linspace(0, 1, len(points)), points, k=3)(np.linspace(0, 1, 100))
        ink.line([tuple(point) for point in curve], fill=255, width=int(pens.integers(4, 13)), joint="curve")

    return fit_frame(draw_sheets(len(images), draw, pens), images.shape[2:])


def draw_lines(images: Tensor, generator: torch.Generator) -> Tensor:
    """Dashes, rulings, crosses and dots, as many as `images` are: float (N, 1, H, W)."""
    pens = make_random(generator)

    def draw(ink: ImageDraw.ImageDraw) -> None:
        width = int(pens.integers(4, 12))
        kind = pens.integers(4)
        low, high = 0.15 * SHEET, 0.85 * SHEET
        for at in pens.uniform(low, high, pens.integers(1, 4)):
            slope = pens.uniform(-0.3, 0.3) * SHEET
            if kind != 3:
                ink.line([(low, at), (high, at + slope)], fill=255, width=width)
            if kind == 1:  # crosses and grids
                ink.line([(at, low), (at + slope, high)], fill=255, width=width)
            if kind == 3:  # dots
                x, radius = pens.uniform(low, high), pens.uniform(2, 8)
                ink.ellipse((x - radius, at - radius, x + radius, at + radius), fill=255)

    return fit_frame(draw_sheets(len(images), draw, pens), images.shape[2:])


def draw_sheets(
    count: int, draw: Callable[[ImageDraw.ImageDraw], None], pens: np.random.Generator, slant: float = 0.0
) -> Tensor:
    """`count` sheets that `draw` was called on, each slanted at random: float (count, 1, SHEET, SHEET)."""
    sheets = np.empty((count, 1, SHEET, SHEET), dtype=np.uint8)
    for sheet in sheets:
        page = Image.new("L", (SHEET, SHEET))
        draw(ImageDraw.Draw(page))
        if slant:
            shear = pens.uniform(-slant, slant)
            matrix = (1, shear, -shear * SHEET / 2, 0, 1, 0)
            page = page.transform(page.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        sheet[0] = np.asarray(page)
    return torch.from_numpy(sheets).float() / 255


def make_random(generator: torch.Generator) -> np.random.Generator:
    """NumPy's generator, seeded by one number of torch's."""
    return np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))


@lru_cache
def load_font(name: str) -> ImageFont.FreeTypeFont:
    """One of the fonts that come with matplotlib."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), SHEET * 0.7)
