"""Strokes of another pen across the digit: a dotted line, a zigzag."""

import numpy as np
from numpy.typing import NDArray

REACH = 2.3  # pixels from the middle of a stroke to where its ink would have no end below 0
DASH = 2  # pixels on, as many off
FIRST, LAST = 2, 25  # columns that the zigzag spans
TOOTH = 2  # pixels up or down; a quarter of a wave is as long
MOST_RISE = 5  # rows, from the left end of the zigzag to the right one


def draw_dotted_line(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A dotted line from the left edge to the right one; neither end lies in a corner."""
    count, height, width = ink.shape
    starts, ends = generator.integers(3, height - 3, (2, count, 1))
    columns = np.arange(width)
    line = _stroke(starts + (ends - starts) * columns / (width - 1), height)
    return ink + line * (columns // DASH % 2).astype(np.float32)


def draw_zigzag(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A zigzag from the left to the right, rising or falling a little."""
    count, height, width = ink.shape
    margin = MOST_RISE + TOOTH
    starts = generator.integers(margin, height - margin, (count, 1))
    rises = generator.integers(-MOST_RISE, MOST_RISE + 1, (count, 1))
    columns = np.arange(width)
    along = columns - FIRST
    wave = along / TOOTH  # in quarters of a wave
    teeth = TOOTH * (np.abs((wave - 1) % 4 - 2) - 1)  # 0, up, 0, down, 0 at 0, 1, 2, 3, 4 quarters
    zigzag = _stroke(starts + rises * along / (LAST - FIRST) + teeth, height)
    return ink + zigzag * ((columns >= FIRST) & (columns <= LAST))


def _stroke(rows: NDArray[np.float64], height: int) -> NDArray[np.float32]:
    """Ink of a stroke that lies at `rows` (N, W): full in the middle, then logarithmically less."""
    distances = np.abs(np.arange(height)[:, None] - rows[:, None, :])  # (N, H, W)
    remainder = np.clip(1 - distances / REACH, 1e-6, None)
    return np.asarray(np.clip(1 + np.log(remainder), 0, None), np.float32)
