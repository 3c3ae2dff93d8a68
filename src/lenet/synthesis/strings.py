"""Pictures of rows of digits, composed of images of single digits from a seed, with known texts.

A style is the pen, the slant, the size, the paper and the light of one picture. Styles vary widely, because
thresholds that are fitted to composed pictures are applied to pictures of real paper.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.uint8]
Plane = NDArray[np.float64]

SPACINGS = {"apart": (3, 9), "close": (0, 4), "touching": (-3, 1)}  # pixels between digits of 20 pixels
SHARES = {"apart": 0.4, "close": 0.4, "touching": 0.2}  # of the pictures that `compose_strings` makes
MARGIN = 10  # pixels of an image, on each side
INK = 0.4  # the darkness that counts as ink when digits are set apart


@dataclass(frozen=True)
class Style:
    """How one picture looks. The default is a clean scan of upright digits."""

    zoom: float = 3.0
    """Pixels of the picture for each pixel of an image."""
    slant: float = 0.0
    """Tangent of the angle of the strokes; above 0 leans to the right."""
    climb: float = 0.0
    """Rows that the baseline rises for each column."""
    variation: float = 0.0
    """Maximum change of the size, the width and the slant from digit to digit."""
    pen: float = 0.5
    """The darkness of an image that becomes the edge of a stroke, 0..1: less makes the pen wider."""
    sharpness: float = 1.0
    """The gain at the edge of a stroke; 1 keeps the softness of the image."""
    paper: float = 235.0
    """Level of the paper, 0..255."""
    ink: float = 35.0
    """Level of the ink, 0..255; above `paper` the writing is light."""
    shade: float = 0.0
    """The share of the light that is lost at the darkest edge."""
    grain: float = 3.0
    """Standard deviation of the noise, in levels of 255."""
    ruled_line: float = 0.0
    """Darkness of a ruled line below the writing, as a share of the ink's; 0 draws none."""
    pattern: float = 0.0
    """Amplitude of a printed pattern of waves, as a share of the contrast between paper and ink."""
    separators: bool = False
    """Whether points stand between some digits, and a dash after the last one, as in amounts."""


PLAIN = Style()


def draw_style(generator: np.random.Generator) -> Style:
    """A random style: pens, slants, sizes, shades and light of scans and photographs."""
    paper, contrast = generator.uniform(150, 250), generator.uniform(60, 220)
    levels = paper, max(paper - contrast, 5.0)
    if generator.random() < 0.1:
        levels = levels[1], levels[0]
    return Style(
        zoom=float(generator.uniform(1.5, 4)),
        slant=float(generator.uniform(-0.2, 0.45)),
        climb=float(generator.uniform(-0.06, 0.06)),
        variation=float(generator.uniform(0, 0.2)),
        pen=float(generator.uniform(0.25, 0.65)),
        sharpness=float(generator.uniform(1, 4)),
        paper=levels[0],
        ink=levels[1],
        shade=float(generator.uniform(0, 0.4)) if generator.random() < 0.5 else 0.0,
        grain=float(generator.uniform(0, 8)),
        ruled_line=float(generator.uniform(0.3, 1)) if generator.random() < 0.15 else 0.0,
        pattern=float(generator.uniform(0.05, 0.15)) if generator.random() < 0.3 else 0.0,
        separators=bool(generator.random() < 0.3),
    )


def compose_string(
    images: Iterable[Image], generator: np.random.Generator, spacing: str = "apart", style: Style = PLAIN
) -> Image:
    """One picture uint8 (h, w) of digits in a row.

    Args:
        images: uint8 (28, 28) each, white on black.
        generator: the only source of randomness.
        spacing: a name in SPACINGS. Where it is negative, digits overlap.
        style: how the picture looks.
    """
    drawn = [draw_digit(image, generator, style) for image in images]
    if style.separators and len(drawn) > 1:
        drawn = add_separators(drawn, generator, style)
    gaps = generator.integers(*SPACINGS[spacing], endpoint=True, size=len(drawn)) * style.zoom
    offsets = generator.uniform(-2, 2, len(drawn)) * style.zoom
    margin = round(MARGIN * style.zoom)
    height = max(len(digit) for digit in drawn)
    width = sum(digit.shape[1] + abs(int(gap)) for digit, gap in zip(drawn, gaps, strict=True)) + 2 * margin
    rise = abs(style.climb) * width
    canvas = np.zeros((height + 2 * margin + int(2 * rise), width))
    right, bottom = float(margin), 0
    for number, (digit, gap) in enumerate(zip(drawn, gaps, strict=True)):
        left = max(0, round(right + (gap if number else 0)))
        middle = (len(canvas) - len(digit)) / 2 - style.climb * (left - width / 2)
        top = int(np.clip(middle + offsets[number], 0, len(canvas) - len(digit)))
        here = canvas[top : top + len(digit), left : left + digit.shape[1]]
        np.maximum(here, digit, out=here)
        right, bottom = max(right, left + digit.shape[1]), max(bottom, top + len(digit))
    canvas = canvas[:, : int(right) + margin]
    if style.ruled_line:
        thickness = max(1, round(style.zoom / 2))
        row = min(len(canvas) - thickness, bottom + int(generator.uniform(-2, 4) * style.zoom))
        np.maximum(canvas[row : row + thickness], style.ruled_line, out=canvas[row : row + thickness])
    return put_on_paper(canvas, generator, style)


def draw_digit(image: Image, generator: np.random.Generator, style: Style) -> Plane:
    """A digit in the style's size, slant and pen: darkness 0..1, (h, w), cut to its ink."""
    size, wider, leaning = 1 + style.variation * generator.uniform(-1, 1, 3)
    vertical = style.zoom * size
    matrix = np.array([[1.0, 0.0], [style.slant + leaning - 1, 1.0]]) @ np.diag(
        [1 / vertical, 1 / (vertical * wider)]
    )
    height, width = int(28 * vertical), int(40 * vertical * wider)
    centre = np.array([13.5, 13.5]) - matrix @ np.array([(height - 1) / 2, (width - 1) / 2])
    grey = ndimage.affine_transform(image / 255.0, matrix, centre, (height, width), order=1)
    ink: Plane = np.clip((grey - style.pen) * style.sharpness + 0.5, 0, 1) * (grey > 0.05)
    rows, columns = np.flatnonzero((ink > INK).any(axis=1)), np.flatnonzero((ink > INK).any(axis=0))
    if not rows.size:
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def add_separators(digits: list[Plane], generator: np.random.Generator, style: Style) -> list[Plane]:
    """The digits (h, w), with points between some of them, and perhaps a dash after the last one."""
    thick = max(2, round(2.5 * style.zoom))
    point = np.zeros((max(len(digit) for digit in digits), thick))
    point[-thick:] = 1
    dash = np.zeros((len(point), round(generator.uniform(8, 16) * style.zoom)))
    dash[len(dash) // 2 :][: thick * 2 // 3] = 1
    marked = []
    for left in range(len(digits), 0, -1):
        marked.append(digits[-left])
        if left > 1 and generator.random() < 0.25:
            marked.append(point)
    return [*marked, dash] if generator.random() < 0.5 else marked


def put_on_paper(ink: Plane, generator: np.random.Generator, style: Style) -> Image:
    """Darkness (h, w), 0..1, as a picture uint8 (h, w): levels, pattern, uneven light, grain."""
    if style.pattern:
        rows, columns = np.indices(ink.shape) / style.zoom
        length, bend, turn = generator.uniform(3, 8), generator.uniform(0, 4), generator.uniform(0, np.pi)
        along, across = (
            rows * np.sin(turn) + columns * np.cos(turn),
            columns * np.sin(turn) - rows * np.cos(turn),
        )
        waves = np.cos(2 * np.pi * (across + bend * np.sin(along / 6)) / length)
        ink = np.maximum(ink, style.pattern * (1 + waves))
    picture = style.paper + (style.ink - style.paper) * ink
    if style.shade:
        rows, columns = np.mgrid[-1 : 1 : ink.shape[0] * 1j, -1 : 1 : ink.shape[1] * 1j]
        angle = generator.uniform(0, 2 * np.pi)
        side = (rows * np.sin(angle) + columns * np.cos(angle)) / np.sqrt(2)  # -1..1
        picture *= 1 - style.shade * (side + 1) / 2
    return (picture + generator.normal(0, style.grain, ink.shape)).clip(0, 255).astype(np.uint8)


def compose_strings(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    lengths: Sequence[int],
    seed: int,
) -> Iterator[tuple[Image, str]]:
    """Pictures in random styles and spacings, and their texts, one for each length in `lengths`.

    Args:
        images: uint8 (N, 28, 28), white on black; digits are drawn from them with repetition.
        labels: (N,), numbers of classes.
        classes: the names of the classes; longer names than one character are separated by spaces.
        lengths: the number of digits of each picture.
        seed: equal seeds give equal pictures.
    """
    separator = "" if all(len(name) == 1 for name in classes) else " "
    for number, length in enumerate(lengths):
        generator = np.random.default_rng([seed, number])
        chosen = generator.integers(len(images), size=length)
        spacing = str(generator.choice(list(SHARES), p=list(SHARES.values())))
        picture = compose_string(images[chosen], generator, spacing, draw_style(generator))
        yield picture, separator.join(classes[label] for label in labels[chosen])
