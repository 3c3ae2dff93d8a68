"""Finds the page within frames, converts it to grey with dark ink, and divides by the paper's brightness."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import Plane, resize

FRAME_SPREAD = 24  # levels of 255: the maximum unevenness of a compressed frame of one colour
MIN_PAGE_SIDE = 8  # pixels
MIN_PASTED_SIDE = 24  # pixels: a smaller region may be a blurred digit
MAT_SPREAD = 2  # levels of 255: the maximum unevenness of a mat, which has no grain
MAX_ASPECT = 2.0  # height to width of a page; a taller region may be a 1
MIN_PAPER = 0.3  # brightness: division by darker paper would amplify its noise more than its ink
WHITE = np.float32(255 / 256)  # has few bits, so that inversion is exact
MIN_LIT_SIDE = 24  # pixels: smaller pictures have no shadows, and tight crops no border of paper
LIGHT_SIDE = 192  # pixels: enough for light, which changes slowly
REACHES = 1 / 3, 1 / 6, 1 / 12  # of the longer side: wider than strokes, narrower than shadows
MAX_UNFILLED = 0.02  # of the ink: the maximum that a reach may leave unfilled
POLARITY_SIDE = 24  # pixels: a thumbnail is enough to decide whether ink is light or dark
MIN_CONTRAST = 0.02  # noise of paper and compression is stronger than any ink below
Rectangle = tuple[slice, slice]  # rows and columns


def find_page(pixels: NDArray[np.uint8]) -> tuple[Rectangle, str]:
    """Remove nested frames and mats of a picture (h, w, 3); returns the page and the reason.

    A frame has one colour along the whole edge of the picture, and the rectangle inside it differs from that
    colour along its whole edge. Ink does not, except a 0 drawn as a box, which is empty inside; so frames
    around nothing are kept. A mat has exactly one colour, and its inside differs from it nearly everywhere,
    even if slightly.
    """
    full = page = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    frames, spread = 0, 0
    while (found := _inside_mat(pixels[page]) or _inside_frame(pixels[page])) is not None:
        (rows, columns), spread = found
        page = (
            slice(page[0].start + rows.start, page[0].start + rows.stop),
            slice(page[1].start + columns.start, page[1].start + columns.stop),
        )
        frames += 1
    if frames and np.ptp(pixels[page].astype(np.int16), axis=(0, 1)).max() > spread:
        return page, f"{frames} frame{'s' * (frames > 1)} peeled off"
    return full, "no frame"


def _inside_mat(pixels: NDArray[np.uint8]) -> tuple[Rectangle, int] | None:
    edge = _ring(pixels)
    colour = np.median(edge, axis=0).astype(np.int16)
    if (np.abs(edge - colour).max(axis=1) <= 1).mean() < 0.5:
        return None
    differs = np.abs(pixels - colour).max(axis=2) > MAT_SPREAD
    box = _box_of(differs)
    if box is None or differs[box].mean() < 0.8 or _ring(differs[box]).mean() < 0.5:
        return None
    height, width = differs[box].shape
    if min(height, width) < MIN_PASTED_SIDE:
        return None
    inner = _within_rim(box, pixels)
    return None if inner is None or height > MAX_ASPECT * width else (inner, MAT_SPREAD)


def _inside_frame(pixels: NDArray[np.uint8]) -> tuple[Rectangle, int] | None:
    edge = _ring(pixels)
    colour = np.median(edge, axis=0).astype(np.int16)
    if np.abs(edge - colour).max() > FRAME_SPREAD:
        return None
    differs = np.abs(pixels - colour).max(axis=2) > FRAME_SPREAD
    box = _box_of(differs)
    if box is None or _ring(differs[box]).mean() < 0.95:
        return None
    inner = _within_rim(box, pixels)
    return None if inner is None else (inner, FRAME_SPREAD)


def _box_of(differs: NDArray[np.bool_]) -> Rectangle | None:
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if rows.size else None


def _within_rim(inner: Rectangle, pixels: NDArray[np.uint8]) -> Rectangle | None:
    """The rectangle without its rim, where resizing has mixed frame and page; None if it is too small."""
    rim = 1 + max(pixels.shape) // 200
    rows, columns = (slice(side.start + rim, side.stop - rim) for side in inner)
    smallest = min(rows.stop - rows.start, columns.stop - columns.start)
    return (rows, columns) if smallest >= MIN_PAGE_SIDE else None


def _ring(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (h, w) or (h, w, channels), as one sequence."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def to_grey(pixels: NDArray[np.uint8]) -> tuple[Plane, str]:
    """Project the channels (h, w, 3) onto the colour direction with the strongest edges: grey (h, w).

    The direction is the first eigenvector of the colour structure tensor (Di Zenzo, 1986). Red ink on green
    paper of equal brightness is visible in it. Black is 0 and white is WHITE. The weights are multiples of
    1/4096, so that the inverted picture gives exactly WHITE minus the same plane.
    """
    planes = pixels.astype(np.float32)
    apart = max(1, max(pixels.shape) // 256)
    thinned = planes[::apart, ::apart]
    down, right = np.diff(thinned, axis=0).reshape(-1, 3), np.diff(thinned, axis=1).reshape(-1, 3)
    tensor = (down.T @ down + right.T @ right).astype(np.float64)
    axis = np.linalg.eigh(tensor)[1][:, -1] if tensor.any() else np.ones(3)
    largest = np.argmax(np.abs(axis))
    axis *= np.sign(axis[largest]) / np.abs(axis).sum()
    shares = np.rint(axis * 4096)
    shares[largest] += 4096 - np.abs(shares).sum()
    grey = planes @ (shares / 2**20).astype(np.float32)
    grey -= np.float32(255 / 2**20 * np.minimum(shares, 0).sum())
    red, green, blue = (round(100 * share) for share in axis)
    return grey, f"most telling mix: red {red} %, green {green} %, blue {blue} %"


def to_dark_ink(grey: Plane) -> tuple[Plane, str]:
    """Invert a grey plane (h, w) if its ink is light; ink is what differs from the local median."""
    height, width = grey.shape
    shrink = min(1.0, POLARITY_SIDE / max(height, width))
    small = resize(grey, (round(width * shrink), round(height * shrink)))
    darker, lighter = measure_darkness(small), measure_darkness(WHITE - small)
    share = max(darker, lighter) / max(darker + lighter, 1e-9)
    if lighter > darker:
        return WHITE - grey, f"light ink, inverted: {share:.0%} of what strays from the paper is lighter"
    return grey, f"dark ink: {share:.0%} of what strays from the paper is darker"


def measure_darkness(small: Plane) -> float:
    """The sum of squared deviations of a thumbnail (h, w) from its paper to dark; paper is the local median.

    The thumbnail is padded with paper, since a tight crop has as much ink as paper at its border.
    """
    level = small - fit_slope(small)
    ring = float(np.median(np.concatenate([level[0], level[-1], level[:, 0], level[:, -1]])))
    level = np.pad(level, 1, constant_values=ring)
    paper = ndimage.median_filter(level, max(1, max(small.shape) // 2), mode="reflect")
    return float(np.square(np.maximum(paper - level, 0)).sum())


def flatten_light(dark: Plane) -> tuple[Plane, str]:
    """Divide by the paper's brightness, which removes shadows and uneven light; returns contrast (h, w).

    Paper is near 0, with its grain on both sides; ink is at most 1.
    """
    low, high = np.percentile(get_border(dark), (5, 95))
    if max(dark.shape) <= MIN_LIT_SIDE:
        paper = np.full_like(dark, np.percentile(dark, 95))
        reason = f"too small for uneven light: paper is {paper[0, 0]:.2f}"
    elif high - low < MIN_CONTRAST:
        paper = np.full_like(dark, np.median(get_border(dark)))
        reason = f"even light: paper is {paper[0, 0]:.2f} all along the border"
    else:
        paper = estimate_paper(dark)
        reason = f"uneven light: paper goes from {paper.min():.2f} to {paper.max():.2f}"
    return np.minimum((paper - dark) / np.maximum(paper, np.float32(MIN_PAPER)), 1), reason


def estimate_paper(dark: Plane) -> Plane:
    """The paper's brightness (h, w), interpolated under the strokes.

    The reach is as small as possible, so that shadows with hard edges count as paper: REACHES are tried from
    large to small while they still fill the darkest ink.
    """
    height, width = dark.shape
    shrink = min(1.0, LIGHT_SIDE / max(height, width))
    small = ndimage.gaussian_filter(resize(dark, (round(width * shrink), round(height * shrink))), 1)
    slope = fit_slope(small)
    widest, *narrower = (max(1, round(share * max(small.shape))) for share in REACHES)
    paper = fill_strokes(small, slope, widest)
    deviation = paper - small
    ink = deviation > 0.5 * deviation.max()
    wanted = 0.9 * paper[ink]
    for reach in narrower:
        filled = fill_strokes(small, slope, reach)
        if not ink.any() or (filled[ink] < wanted).mean() > MAX_UNFILLED:
            break
        paper = filled
    # Smoothing must not lighten the dark side of a hard shadow, which would then look like ink.
    return resize(np.minimum(ndimage.gaussian_filter(paper, 2), paper), (width, height))


def fill_strokes(small: Plane, slope: Plane, reach: int) -> Plane:
    """The grey closing (h, w): strokes narrower than `reach` pixels become as light as their paper.

    Closing also fills the dark end of a gradient at the picture's edge; closing without the gradient does so
    at the edge of a hard shadow. Neither is below the picture, so the minimum of both is the better one.
    """
    size = (reach, reach)
    flat, level = (ndimage.grey_closing(plane, size=size, mode="nearest") for plane in (small, small - slope))
    filled: Plane = np.minimum(flat, level + slope)
    return filled


def fit_slope(plane: Plane) -> Plane:
    """The least-squares linear gradient (h, w) of `plane`: light that falls off from side to side."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, side) for side in plane.shape), indexing="ij")
    # On a full grid the three terms are orthogonal, so each weight is a projection.
    terms = (np.ones_like(down), down, across)
    slope: Plane = sum(term * (plane * term).sum() / max(np.square(term).sum(), 1) for term in terms)
    return slope.astype(np.float32)


def get_border(plane: Plane) -> Plane:
    """The values along the four edges, to a depth of 1/20 of the shorter side."""
    depth = max(1, min(plane.shape) // 20)
    edges = plane[:depth], plane[-depth:], plane[:, :depth], plane[:, -depth:]
    return np.concatenate([edge.ravel() for edge in edges])
