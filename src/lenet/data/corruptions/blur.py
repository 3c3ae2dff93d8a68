"""Blur: a pane of frosted glass, and a hand that moved."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GLASS_DEVIATION = 0.7  # pixels
GLASS_PASSES = 2
TRAIL, TRAIL_DEVIATION = 21, 3.0  # pixels
MOST_DEGREES = 45.0


def blur_through_glass(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Frosted glass: a little blur, pixels that change places with neighbours, a little blur again."""
    count, height, width = ink.shape
    pixels = np.moveaxis(_soften(ink), 0, 2).reshape(height * width, count)
    everyone = np.arange(count)
    for _ in range(GLASS_PASSES):
        steps = generator.integers(0, 2, (height, width, 2, count), np.int8)
        # One place after the other, since a pixel may travel on: with the one above, left, both, or neither.
        for row in range(height - 1, 0, -1):
            for column in range(width - 1, 0, -1):
                up, left = steps[row, column].astype(np.int64)
                here, there = row * width + column, (row - up) * width + column - left
                moved = pixels[there, everyone]
                pixels[there, everyone] = pixels[here]
                pixels[here] = moved
    return _soften(np.moveaxis(pixels.reshape(height, width, count), 2, 0))


def blur_by_motion(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A trail to one side, half a Gaussian long, at up to 45° from the horizontal."""
    count, height, width = ink.shape
    radians = np.deg2rad(generator.uniform(-MOST_DEGREES, MOST_DEGREES, count))
    weights = np.exp(-0.5 * (np.arange(TRAIL) / TRAIL_DEVIATION) ** 2)
    weights /= weights.sum()
    room = TRAIL - 1
    padded = np.pad(ink, ((0, 0), (room, room), (room, room)), mode="edge")
    stride = width + 2 * room
    rows, columns = np.mgrid[room : room + height, room : room + width]
    places = (rows * stride + columns).reshape(1, -1)  # (1, H · W)
    flat = padded.reshape(count, stride * (height + 2 * room))
    trail = np.zeros((count, height * width), np.float32)
    for distance, weight in enumerate(weights.astype(np.float32)):
        down, right = (np.rint(distance * f(radians)).astype(np.int64) for f in (np.sin, np.cos))
        trail += weight * np.take_along_axis(flat, places + (down * stride + right)[:, None], axis=1)
    return trail.reshape(ink.shape)


def _soften(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    softened: NDArray[np.float32] = ndimage.gaussian_filter(ink, (0, GLASS_DEVIATION, GLASS_DEVIATION))
    return softened
