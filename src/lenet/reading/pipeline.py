"""From a decoded picture to the lines of its writing, in steps; each step has a reason.

    decode -> page -> grey -> polarity -> flatten -> ink -> lines -> strips

Up to the ink a picture is a float32 plane (h, w) in 0..1. From `flatten_light` on it is contrast: 0 is paper
and 1 is full ink. Sizes are relative to the picture or the writing, so that a drawing is read in the same way
at every size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet.images.decoding import DecodedPicture
from lenet.images.framing import Mask, Plane
from lenet.images.strips import cut_strip
from lenet.phrases import Phrase
from lenet.reading.digits import Line, Piece
from lenet.reading.lines import find_lines
from lenet.reading.page import Rectangle, find_page, flatten_light, to_dark_ink, to_grey
from lenet.reading.strokes import find_strokes, measure_grain

COLOURS = np.array([(31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189)])
FADED = 160  # grey level of ink that belongs to no digit


@dataclass(frozen=True, eq=False)
class ReadingStep:
    """One step for people: its image uint8 (h, w) or (h, w, 3), and the reason of the result."""

    name: str
    image: NDArray[np.uint8]
    reason: str


@dataclass(frozen=True, eq=False)
class FoundWriting:
    """What was found in a picture: its `contrast` (h, w), the ink on it, and the lines in reading order.

    `page` are the rows and columns of the decoded picture that the planes show.
    """

    decoded: DecodedPicture
    page: Rectangle
    contrast: Plane
    strokes: Mask
    lines: tuple[Line, ...]
    planes: tuple[tuple[str, Plane | Mask, str], ...]
    """The name, the plane and the reason of each step."""

    def move_box(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in the page as left, top, width and height in the upright picture."""
        height, width = self.decoded.pixels.shape[:2]
        corner = np.array([self.page[1].start, self.page[0].start] * 2)
        limits = np.array([self.decoded.width, self.decoded.height] * 2)
        moved = ((np.array(box) + corner) * limits / [width, height, width, height]).clip(0, limits)
        left, top = np.minimum(np.floor(moved[:2]), limits[:2] - 1).astype(int).tolist()
        right, bottom = np.rint(moved[2:]).astype(int).tolist()
        return left, top, max(1, right - left), max(1, bottom - top)


def find_writing(decoded: DecodedPicture) -> FoundWriting:
    """Find the lines of a picture. Raises PictureError when there are too many marks to read."""
    page, page_reason = find_page(decoded.pixels)
    grey, grey_reason = to_grey(decoded.pixels[page])
    dark, dark_reason = to_dark_ink(grey)
    contrast, contrast_reason = flatten_light(dark)
    strokes, reason = find_strokes(contrast, measure_grain(contrast))
    lines = []
    for writing in find_lines(strokes):
        box = writing.rows, writing.columns
        strip = cut_strip(contrast, writing.strokes, *box, writing.height, writing.slope)
        lines.append(Line(writing, strip))
    planes = (
        (Phrase("grey"), grey, Phrase("{page}; {grey}", page=page_reason, grey=grey_reason)),
        (Phrase("polarity"), dark, dark_reason),
        (Phrase("flattened"), np.clip(contrast, 0, 1), contrast_reason),
        (Phrase("ink"), strokes, reason),
    )
    return FoundWriting(decoded, page, contrast, strokes, tuple(lines), planes)


def show_steps(found: FoundWriting, pieces: list[Piece]) -> list[ReadingStep]:
    """The steps of a reading as images: the planes, the strip of each line, the digits in colours."""
    steps = [
        ReadingStep(name, np.rint(plane * 255.0).astype(np.uint8), why) for name, plane, why in found.planes
    ]
    for line in found.lines:
        reason = Phrase("a line, {height:g} pixels high", height=line.writing.height)
        if line.writing.slope:
            angle = np.degrees(np.arctan(line.writing.slope))
            reason = Phrase("{line}, straightened by {angle:.0f}°", line=reason, angle=angle)
        steps.append(ReadingStep(Phrase("line"), line.strip.image, reason))
    coloured = np.where(found.strokes[:, :, None], FADED, 255).astype(np.uint8).repeat(3, axis=2)
    for number, piece in enumerate(pieces):
        coloured[piece.rows, piece.columns] = COLOURS[number % len(COLOURS)]
    digits = Phrase("1 digit" if len(pieces) == 1 else "{count} digits", count=len(pieces))
    lines = Phrase("1 line" if len(found.lines) == 1 else "{count} lines", count=len(found.lines))
    reason = Phrase("{digits} on {lines}", digits=digits, lines=lines)
    return [*steps, ReadingStep(Phrase("digits"), coloured, reason)]
