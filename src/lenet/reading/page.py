"""Finds the page within frames, converts it to grey with dark ink, and divides by the paper's brightness."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lenet.images.framing import Plane
from lenet.phrases import Phrase

FRAME_SPREAD = 24  # levels of 255: the maximum unevenness of a compressed frame of one colour
MIN_PAGE_SIDE = 8  # pixels
MIN_PASTED_SIDE = 24  # pixels: a smaller region may be a blurred digit
MAT_SPREAD = 2  # levels of 255: the maximum unevenness of a mat, which has no grain
MAX_ASPECT = 2.0  # height to width of a page; a taller region may be a 1
MIN_PAPER = 0.3  # brightness: division by darker paper would amplify its noise more than its ink
WHITE = np.float32(255 / 256)  # has few bits, so that inversion is exact
COLOUR_SIDE = 128  # pixels: enough edges to find the colour of ink
LIGHT_SIDE = 192  # pixels: enough for light, which changes slowly
MIN_LIT_SIDE = 24  # pixels: smaller pictures have no shadows, and tight crops no border of paper
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
    while (found := find_inside(pixels[page])) is not None:
        (rows, columns), spread = found
        page = (
            slice(page[0].start + rows.start, page[0].start + rows.stop),
            slice(page[1].start + columns.start, page[1].start + columns.stop),
        )
        frames += 1
    if frames and np.ptp(pixels[page].reshape(-1, 3), axis=0).max() > spread:
        return page, Phrase(
            "{frames} frames peeled off" if frames > 1 else "1 frame peeled off", frames=frames
        )
    return full, Phrase("no frame")


def find_inside(pixels: NDArray[np.uint8]) -> tuple[Rectangle, int] | None:
    """The rectangle within the outermost mat or frame of a picture (h, w, 3), and the unevenness of that."""
    edge = take_ring(pixels)
    colour = np.median(edge, axis=0)
    stray = np.abs(edge - colour).max(axis=1)
    for spread, is_one in (
        (MAT_SPREAD, (stray <= 1).mean() >= 0.5),
        (FRAME_SPREAD, stray.max() <= FRAME_SPREAD),
    ):
        if not is_one:
            continue
        same = cv2.inRange(pixels, np.ceil(colour - spread), np.floor(colour + spread))
        left, top, width, height = cv2.boundingRect(255 - same)
        differs = same[top : top + height, left : left + width] == 0
        if not differs.size:
            continue
        around, rim = take_ring(differs).mean(), 1 + max(pixels.shape) // 200
        is_mat = (
            around >= 0.5
            and min(width, height) >= MIN_PASTED_SIDE
            and height <= MAX_ASPECT * width
            and differs.mean() >= 0.8
        )
        if (is_mat if spread == MAT_SPREAD else around >= 0.95) and min(
            width, height
        ) - 2 * rim >= MIN_PAGE_SIDE:
            # At the rim, resizing has mixed frame and page.
            rows, columns = slice(top + rim, top + height - rim), slice(left + rim, left + width - rim)
            return (rows, columns), spread
    return None


def take_ring(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (h, w) or (h, w, channels), as one sequence."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def to_grey(pixels: NDArray[np.uint8]) -> tuple[Plane, str]:
    """Project the channels (h, w, 3) onto the colour direction with the strongest edges: grey (h, w).

    The direction is the first eigenvector of the colour structure tensor (Di Zenzo, 1986). Red ink on green
    paper of equal brightness is visible in it. Black is 0 and white is WHITE. The weights are multiples of
    1/4096, so that the inverted picture gives exactly WHITE minus the same plane.
    """
    apart = max(1, max(pixels.shape) // COLOUR_SIDE)
    thinned = pixels[::apart, ::apart].astype(np.float32)
    down, right = np.diff(thinned, axis=0).reshape(-1, 3), np.diff(thinned, axis=1).reshape(-1, 3)
    tensor = (down.T @ down + right.T @ right).astype(np.float64)
    axis = np.linalg.eigh(tensor)[1][:, -1] if tensor.any() else np.ones(3)
    largest = np.argmax(np.abs(axis))
    axis *= np.sign(axis[largest]) / np.abs(axis).sum()
    shares = np.rint(axis * 4096)
    shares[largest] += 4096 - np.abs(shares).sum()
    black = -255 * np.minimum(shares, 0).sum()
    grey = cv2.transform(pixels.astype(np.float32), np.array([[*shares, black]], np.float32) / 2**20)
    red, green, blue = (round(100 * share) for share in axis)
    mix = "most telling mix: red {red} %, green {green} %, blue {blue} %"
    return grey.reshape(pixels.shape[:2]), Phrase(mix, red=red, green=green, blue=blue)


def to_dark_ink(grey: Plane) -> tuple[Plane, str]:
    """Invert a grey plane (h, w) if its ink is light; ink is what differs from the local median."""
    darker, lighter = measure_deviations(shrink(grey, POLARITY_SIDE))
    share = max(darker, lighter) / max(darker + lighter, 1e-9)
    if lighter > darker:
        light = "light ink, inverted: {share:.0%} of what strays from the paper is lighter"
        return WHITE - grey, Phrase(light, share=share)
    return grey, Phrase("dark ink: {share:.0%} of what strays from the paper is darker", share=share)


def measure_deviations(small: Plane) -> tuple[float, float]:
    """The sums of squared deviations of a thumbnail (h, w) from its local median, to dark and to light.

    The thumbnail is padded with paper, since a tight crop has as much ink as paper at its border.
    """
    level = small - fit_slope(small)
    level -= np.median(take_ring(level))
    steps = np.rint(level * (127 / max(np.abs(level).max(), 1e-6)))  # rounds to zero on both sides alike
    padded = np.pad(steps + 128, 1, constant_values=128).astype(np.uint8)
    paper = cv2.medianBlur(padded, max(small.shape) // 4 * 2 + 1)[1:-1, 1:-1] - 128.0
    deviation = paper - steps
    return float(np.square(np.maximum(deviation, 0)).sum()), float(np.square(np.minimum(deviation, 0)).sum())


def flatten_light(dark: Plane) -> tuple[Plane, str]:
    """Divide by the paper's brightness, which removes shadows and uneven light; returns contrast (h, w).

    Paper is near 0, with its grain on both sides; ink is at most 1.
    """
    border = np.sort(take_border(dark))
    low, middle, high = border[(border.size * np.array([5, 50, 95])) // 100]
    if max(dark.shape) <= MIN_LIT_SIDE:
        paper: Any = np.float32(np.percentile(dark, 95))
        reason = Phrase("too small for uneven light: paper is {paper:.2f}", paper=paper)
    elif high - low < MIN_CONTRAST:
        paper = middle
        reason = Phrase("even light: paper is {paper:.2f} all along the border", paper=paper)
    else:
        paper = estimate_paper(dark)
        ends = {"low": paper.min(), "high": paper.max()}
        reason = Phrase("uneven light: paper goes from {low:.2f} to {high:.2f}", **ends)
    return np.minimum((paper - dark) / np.maximum(paper, np.float32(MIN_PAPER)), 1), reason


def estimate_paper(dark: Plane) -> Plane:
    """The paper's brightness (h, w), interpolated under the strokes.

    The reach is as small as possible, so that shadows with hard edges count as paper: REACHES are tried from
    large to small while they still fill the darkest ink.
    """
    small = cv2.GaussianBlur(shrink(dark, LIGHT_SIDE), (0, 0), 1)
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
    smooth = np.minimum(cv2.GaussianBlur(paper, (0, 0), 2), paper)
    light: Plane = cv2.resize(smooth, dark.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return light


def fill_strokes(small: Plane, slope: Plane, reach: int) -> Plane:
    """The grey closing (h, w): strokes narrower than `reach` pixels become as light as their paper.

    Closing also fills the dark end of a gradient at the picture's edge; closing without the gradient does so
    at the edge of a hard shadow. Neither is below the picture, so the minimum of both is the better one.
    """
    around = np.ones((reach, reach), np.uint8)
    flat, level = (cv2.morphologyEx(plane, cv2.MORPH_CLOSE, around) for plane in (small, small - slope))
    filled: Plane = np.minimum(flat, level + slope)
    return filled


def fit_slope(plane: Plane) -> Plane:
    """The least-squares linear gradient (h, w) of `plane`: light that falls off from side to side."""
    height, width = plane.shape
    down, across = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    # On a full grid the terms are orthogonal, so each weight is a projection.
    fall = (plane.mean(axis=1) @ down) / max(down @ down, 1e-6)
    drift = (plane.mean(axis=0) @ across) / max(across @ across, 1e-6)
    slope: Plane = (plane.mean() + fall * down[:, None] + drift * across).astype(np.float32)
    return slope


def shrink(plane: Plane, side: int) -> Plane:
    """The plane (h, w), averaged down so that its longer side is at most `side` pixels."""
    scale = side / max(plane.shape)
    if scale >= 1:
        return plane
    height, width = (max(1, round(length * scale)) for length in plane.shape)
    reduced: Plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return reduced


def take_border(plane: Plane) -> Plane:
    """The values along the four edges, to a depth of 1/20 of the shorter side."""
    depth = max(1, min(plane.shape) // 20)
    edges = plane[:depth], plane[-depth:], plane[:, :depth], plane[:, -depth:]
    return np.concatenate([edge.ravel() for edge in edges])
