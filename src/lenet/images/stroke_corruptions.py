"""Corruptions by strokes: a dotted line, a zigzag, and edges instead of strokes."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REACH = 2.3  # pixels from the centre of a stroke to where the logarithm of its ink diverges
DASH = 2  # pixels of a dot and of a gap
FIRST_COLUMN, LAST_COLUMN = 2, 25  # columns that the zigzag spans
AMPLITUDE = 2  # pixels, and the pixels of a quarter of the wavelength
MAX_RISE = 5  # rows, from the left end of the zigzag to the right one
SMOOTHING = 1.0  # pixels: standard deviation of the Gaussian before the Sobel operator
LOW_SLOPE, HIGH_SLOPE = 0.1, 0.2  # hysteresis thresholds of the Sobel gradient
WITHIN_IMAGE = np.zeros((3, 3, 3), bool)
WITHIN_IMAGE[1] = True  # eight-connected within an image, not connected between images


def draw_dotted_line(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw a dotted line from the left to the right edge; its ends keep away from the corners."""
    count, height, width = ink.shape
    starts, ends = generator.integers(3, height - 3, (2, count, 1))
    columns = np.arange(width)
    line = _stroke(starts + (ends - starts) * columns / (width - 1), height)
    return ink + line * (columns // DASH % 2).astype(np.float32)


def draw_zigzag(ink: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw a zigzag from left to right that rises or falls slightly."""
    count, height, width = ink.shape
    margin = MAX_RISE + AMPLITUDE
    starts = generator.integers(margin, height - margin, (count, 1))
    rises = generator.integers(-MAX_RISE, MAX_RISE + 1, (count, 1))
    columns = np.arange(width)
    along = columns - FIRST_COLUMN
    quarters = along / AMPLITUDE  # of the wavelength
    teeth = AMPLITUDE * (np.abs((quarters - 1) % 4 - 2) - 1)  # 0, up, 0, down, 0 at 0, 1, 2, 3, 4 quarters
    zigzag = _stroke(starts + rises * along / (LAST_COLUMN - FIRST_COLUMN) + teeth, height)
    return ink + zigzag * ((columns >= FIRST_COLUMN) & (columns <= LAST_COLUMN))


def _stroke(rows: NDArray[np.float64], height: int) -> NDArray[np.float32]:
    """The ink of a stroke along `rows` (N, W): full at the centre, with logarithmic decay."""
    distances = np.abs(np.arange(height)[:, None] - rows[:, None, :])  # (N, H, W)
    remainder = np.clip(1 - distances / REACH, 1e-6, None)
    return np.asarray(np.clip(1 + np.log(remainder), 0, None), np.float32)


def find_edges(ink: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """The edges of the strokes, white and one pixel wide, by Canny's method (1986).

    Smoothing, Sobel gradient, non-maximum suppression, and hysteresis between two thresholds.
    """
    smooth = ndimage.gaussian_filter(ink.astype(np.float64), (0, SMOOTHING, SMOOTHING), mode="constant")
    down, right = (ndimage.correlate1d(smooth, [-1, 0, 1], axis) for axis in (1, 2))
    down, right = (ndimage.correlate1d(slopes, [1, 2, 1], axis) for slopes, axis in ((down, 2), (right, 1)))
    slope = np.hypot(down, right)
    ridge = _find_maxima(slope, down, right)
    weak, strong = ridge & (slope >= LOW_SLOPE), ridge & (slope >= HIGH_SLOPE)
    edges = ndimage.binary_propagation(strong, structure=WITHIN_IMAGE, mask=weak)
    return np.asarray(edges, dtype=np.float32)


def _find_maxima(
    slope: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Non-maximum suppression: the pixels whose slope is the maximum along the gradient, interpolated.

    Of two equal neighbours one is kept.
    """
    count, height, width = slope.shape
    larger = np.maximum(np.abs(down), np.abs(right))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.stack([down, right]) / larger  # to the neighbouring pixels; one of the two is ±1
    step = np.where(larger > 0, step, 0)
    places = np.mgrid[0:count, 0:height, 0:width].astype(np.float64)
    uphill, downhill = (
        ndimage.map_coordinates(
            slope, places + np.stack([np.zeros_like(slope), *(sign * step)]), order=1, mode="constant"
        )
        for sign in (1, -1)
    )
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    steepest: NDArray[np.bool_] = (slope >= uphill) & (slope > downhill) & inside
    return steepest
