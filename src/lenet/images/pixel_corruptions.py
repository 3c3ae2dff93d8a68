"""Corruptions of pixel values: noise, light and blur."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

PHOTONS = 3.0  # mean number that a pixel of full ink sends during the exposure
IMPULSE_SHARE = 0.17  # of the pixels; half become black, half white
MUD_LEVEL = 63 / 255
BRIGHTNESS = 0.5
STRIPES = (slice(0, 7), slice(21, 28))  # columns
FOG = 3.0  # times as strong as ink
FOG_DECAY = 1.4**2  # factor between the amplitudes of one scale of the fog and of half that scale
GLASS_DEVIATION = 0.7  # pixels
GLASS_PASSES = 2
TRAIL_LENGTH, TRAIL_DEVIATION = 21, 3.0  # pixels
MAX_DEGREES = 45.0


def add_shot_noise(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Photon noise of a dark exposure: Poisson counts of the ink. Pixels without ink do not change."""
    return (generator.poisson(PHOTONS * ink) / PHOTONS).astype(np.float32)


def add_impulse_noise(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Salt-and-pepper noise: some pixels become black or white."""
    drawn = generator.random(ink.shape, np.float32)
    return np.where(drawn < IMPULSE_SHARE, (drawn < IMPULSE_SHARE / 2).astype(np.float32), ink)


def spatter(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Spots of mud that cover the image.

    Mud lies where a smooth random field exceeds 0.65 in most of the neighbourhood; spots have soft edges.
    """
    field = ndimage.gaussian_filter(0.65 + 0.3 * generator.standard_normal(ink.shape, np.float32), (0, 1, 1))
    cover = ndimage.gaussian_filter((field > 0.65).astype(np.float32), (0, 1.5, 1.5))
    cover[cover < 0.8] = 0
    mixed: NDArray[np.float32] = ink + cover * (MUD_LEVEL - ink)
    return mixed


def brighten(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Add half of the range: black becomes grey, grey becomes white."""
    return np.asarray(ink + BRIGHTNESS, np.float32)


def invert_stripes(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Invert the left and the right quarter."""
    striped = ink.copy()
    for columns in STRIPES:
        striped[:, :, columns] = 1 - striped[:, :, columns]
    return striped


def add_fog(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Add clouds three times as strong as the ink, and rescale to 0..1."""
    count, height, width = ink.shape
    clouds = draw_clouds(count, generator)[:, :height, :width]
    return np.asarray((ink + FOG * clouds) / (1 + FOG), np.float32)


def draw_clouds(count: int, generator: np.random.Generator, side: int = 32) -> NDArray[np.float32]:
    """Random clouds (count, side, side), each from 0 to 1; `side` is a power of two.

    Midpoint displacement (Fournier, Fussell and Carpenter 1982) on a torus: the centre of each square, then
    the centre of each edge, is the mean of its four neighbours plus noise that decreases with the scale.
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


def blur_through_glass(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Frosted glass: slight blur, random swaps of neighbouring pixels, slight blur again."""
    count, height, width = ink.shape
    pixels = np.moveaxis(_soften(ink), 0, 2).reshape(height * width, count)
    numbers = np.arange(count)
    for _ in range(GLASS_PASSES):
        steps = generator.integers(0, 2, (height, width, 2, count), np.int8)
        # Each pixel in turn is swapped with its upper, left or upper left neighbour, or stays. In sequence,
        # since a pixel can move several times.
        for row in range(height - 1, 0, -1):
            for column in range(width - 1, 0, -1):
                up, left = steps[row, column].astype(np.int64)
                here, there = row * width + column, (row - up) * width + column - left
                moved = pixels[there, numbers]
                pixels[there, numbers] = pixels[here]
                pixels[here] = moved
    return _soften(np.moveaxis(pixels.reshape(height, width, count), 2, 0))


def blur_by_motion(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Motion blur to one side with half-Gaussian weights, at up to 45° from the horizontal."""
    count, height, width = ink.shape
    radians = np.deg2rad(generator.uniform(-MAX_DEGREES, MAX_DEGREES, count))
    weights = np.exp(-0.5 * (np.arange(TRAIL_LENGTH) / TRAIL_DEVIATION) ** 2)
    weights /= weights.sum()
    margin = TRAIL_LENGTH - 1
    padded = np.pad(ink, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    stride = width + 2 * margin
    rows, columns = np.mgrid[margin : margin + height, margin : margin + width]
    places = (rows * stride + columns).reshape(1, -1)  # (1, H · W)
    flat = padded.reshape(count, stride * (height + 2 * margin))
    trail = np.zeros((count, height * width), np.float32)
    for distance, weight in enumerate(weights.astype(np.float32)):
        down, right = (np.rint(distance * f(radians)).astype(np.int64) for f in (np.sin, np.cos))
        trail += weight * np.take_along_axis(flat, places + (down * stride + right)[:, None], axis=1)
    return trail.reshape(ink.shape)


def _soften(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    softened: NDArray[np.float32] = ndimage.gaussian_filter(ink, (0, GLASS_DEVIATION, GLASS_DEVIATION))
    return softened
