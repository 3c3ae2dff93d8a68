"""The framing in the page against the framing that reading and synthesis use."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lenet.images.framing import frame_digit

FRAME = """async ({ drawings, height, width }) => {
  const { frameDigit } = await import("lenet/framing.js");
  const size = height * width;
  const framed = Array.from({ length: drawings.length / size }, (_, index) => {
    const drawing = new Float32Array(drawings.subarray(index * size, (index + 1) * size));
    return [...frameDigit(drawing.map((byte) => byte / 255), height, width)];
  });
  return Uint8Array.from(framed.flat());
}"""
FINER = 3  # drawn so many times larger, for soft edges


def draw(number: int, height: int, width: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One drawing of bytes: lines, or symmetric shapes; some are faint."""
    page = Image.new("L", (FINER * width, FINER * height))
    pen = ImageDraw.Draw(page)
    side = min(height, width) * FINER
    stroke = max(2, int(side * random.uniform(0.01, 0.15)))
    left, top, right, bottom = (
        int(side * share) for share in (*random.uniform(0.1, 0.4, 2), *random.uniform(0.5, 0.9, 2))
    )
    match number % 6:
        case 0 | 1:
            points = random.uniform(0.1, 0.9, (random.integers(2, 7), 2)) * [FINER * width, FINER * height]
            pen.line([tuple(point) for point in points], fill=255, width=stroke, joint="curve")
        case 2:
            pen.ellipse([left, top, right, bottom], outline=255, width=stroke)
        case 3:
            pen.rectangle([left, top, right, bottom], fill=255)
        case 4:
            pen.line([left, top, left, bottom], fill=255, width=stroke)
            pen.line([top, right, bottom, right], fill=255, width=stroke)
        case 5:
            pen.arc([left, top, right, bottom], *random.uniform(0, 360, 2), fill=255, width=stroke)
            pen.ellipse([right, bottom, right + stroke, bottom + stroke], fill=255)
    ink = np.asarray(page.resize((width, height), Image.Resampling.BOX)) * random.choice([1, 1, 0.8, 0.5])
    return ink.astype(np.uint8)


@pytest.mark.parametrize("size", [(280, 280), (60, 91), (28, 28)])
def test_drawings_are_framed_as_python_frames_them(modules, size):
    random = np.random.default_rng(7)
    drawings = np.stack([draw(number, *size, random) for number in range(60)])
    expected = np.stack([frame_digit(drawing.astype(np.float32) / 255) for drawing in drawings]).astype(int)
    framed = modules.run(FRAME, drawings=drawings, height=size[0], width=size[1])
    difference = np.abs(framed.reshape(expected.shape).astype(int) - expected)
    assert expected.any(axis=(1, 2)).mean() > 0.9
    assert difference.max() <= 3
    assert (difference <= 1).mean() >= 0.999


def test_a_blank_or_faint_drawing_gives_a_blank_image(modules):
    drawings = np.zeros((2, 40, 50), np.uint8)
    drawings[1, 10:20, 10:20] = 110
    assert not modules.run(FRAME, drawings=drawings, height=40, width=50).any()
