"""Light that is too bright, inverted in places, or scattered by fog."""

import numpy as np
from numpy.typing import NDArray

BRIGHTNESS = 0.5
STRIPES = (slice(0, 7), slice(21, 28))  # columns
FOG = 3.0  # times as strong as ink
FOG_DECAY = 1.4**2  # how much fainter parts of the fog are that are half as large


def brighten(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Everything lighter by half the range: black becomes grey, grey becomes white."""
    return np.asarray(ink + BRIGHTNESS, np.float32)


def invert_stripes(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Black and white exchanged in the left quarter and in the right one."""
    striped = ink.copy()
    for columns in STRIPES:
        striped[:, :, columns] = 1 - striped[:, :, columns]
    return striped


def add_fog(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Light grey clouds, three times as strong as the ink; then exposed so that nothing is too light."""
    count, height, width = ink.shape
    clouds = draw_clouds(count, generator)[:, :height, :width]
    return np.asarray((ink + FOG * clouds) / (1 + FOG), np.float32)


def draw_clouds(count: int, generator: np.random.Generator, side: int = 32) -> NDArray[np.float32]:
    """Random clouds: floats (count, side, side), each from 0 to 1; `side` is a power of two.

    Midpoint displacement (Fournier, Fussell and Carpenter 1982) on a torus: the middle of each square, then
    the middle of each edge, is the mean of its four neighbours and something random, less each time.
    """
    clouds = np.zeros((count, side, side), np.float32)
    step, swing = side, 1.0
    while step > 1:
        half = step // 2

        def displace(*neighbours: NDArray[np.float32], swing: float = swing) -> NDArray[np.float32]:
            noise = generator.uniform(-swing, swing, neighbours[0].shape).astype(np.float32)
            displaced: NDArray[np.float32] = sum(neighbours) / np.float32(4) + noise
            return displaced

        corners = clouds[:, ::step, ::step]
        below, right = np.roll(corners, -1, 1), np.roll(corners, -1, 2)
        middles = displace(corners, below, right, np.roll(below, -1, 2))
        clouds[:, half::step, half::step] = middles
        clouds[:, ::step, half::step] = displace(corners, right, middles, np.roll(middles, 1, 1))
        clouds[:, half::step, ::step] = displace(corners, below, middles, np.roll(middles, 1, 2))
        step, swing = half, swing / FOG_DECAY
    low, high = (pick(clouds, axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
    return np.asarray((clouds - low) / (high - low))
