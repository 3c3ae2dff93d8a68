"""The page within plain frames and mats: drawn boxes, black bars, a photograph pasted on white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.images.framing import Plane, resize

FRAME_SPREAD = 24  # levels of 255: how uneven compression makes a plain frame
SMALLEST_PAGE = 8  # pixels a side
SMALLEST_PASTED = 24  # pixels a side: in less, a blurred digit differs from its paper as much all over
MAT_SPREAD = 2  # levels of 255: what no camera saw is of one colour, where paper has grain
MOST_UPRIGHT = 2.0  # height to width of a page; a single full stroke is a 1, and more upright
Rectangle = tuple[slice, slice]  # rows and columns


def find_page(pixels: NDArray[np.uint8]) -> tuple[Rectangle, str]:
    """Peel off plain frames and mats, as many as lie around each other, unless nothing is left inside.

    A frame is one colour all along the edge of the picture, and the rectangle inside it differs from that
    colour all along its own edge: ink never does, save for a 0 drawn as a box, which has nothing inside. A
    mat is one colour exactly, and what it surrounds differs from it nearly everywhere, be it by a little.
    """
    whole = page = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    frames, least = 0, 0
    while (found := _inside_mat(pixels[page]) or _inside_frame(pixels[page])) is not None:
        (rows, columns), least = found
        page = (
            slice(page[0].start + rows.start, page[0].start + rows.stop),
            slice(page[1].start + columns.start, page[1].start + columns.stop),
        )
        frames += 1
    if frames and np.ptp(pixels[page].astype(np.int16), axis=(0, 1)).max() > least:
        return page, f"{frames} frame{'s' * (frames > 1)} peeled off"
    return whole, "no frame"


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
    if min(height, width) < SMALLEST_PASTED:
        return None
    inner = _within_rim(box, pixels)
    return None if inner is None or height > MOST_UPRIGHT * width else (inner, MAT_SPREAD)


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
    """The rectangle less its rim, where reduced pictures mix frame and page."""
    rim = 1 + max(pixels.shape) // 200
    rows, columns = (slice(side.start + rim, side.stop - rim) for side in inner)
    smallest = min(rows.stop - rows.start, columns.stop - columns.start)
    return (rows, columns) if smallest >= SMALLEST_PAGE else None


def _ring(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (h, w) or (h, w, channels), one after the other."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


DARKEST_PAPER = 0.3  # below that, dividing by the paper would lift its noise more than its ink
WHITE = np.float32(255 / 256)  # a number of few bits, so that turning round is exact
SMALLEST_LIT = 24  # pixels: in less there are no shadows, and a digit cut close leaves no border of paper
LIGHT_SIDE = 192  # pixels: light changes slowly
REACHES = 1 / 3, 1 / 6, 1 / 12  # of the longest side: strokes are narrower, shadows wider
UNFILLED = 0.02  # of the ink: so little may a narrow reach leave to count as filling
POLARITY_SIDE = 24  # pixels: which of light and dark is ink shows in a thumbnail
FAINTEST_INK = 0.02  # contrast; paper and compression are louder than anything below


def to_grey(pixels: NDArray[np.uint8]) -> tuple[Plane, str]:
    """Mix the channels (h, w, 3) along the colour direction in which the picture's edges are strongest.

    That direction is the first axis of the colour structure tensor (Di Zenzo, 1986). Red ink on green paper
    of equal brightness has its edges there, where brightness has none. Black is 0 and white is WHITE; the
    shares are whole 4096ths, so the inverted picture gives WHITE minus the same plane to the last bit.
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
    """Turn light ink on dark paper round. Ink is what strays from the paper around each place."""
    height, width = grey.shape
    shrink = min(1.0, POLARITY_SIDE / max(height, width))
    small = resize(grey, (round(width * shrink), round(height * shrink)))
    darker, lighter = darkness(small), darkness(WHITE - small)
    share = max(darker, lighter) / max(darker + lighter, 1e-9)
    if lighter > darker:
        return WHITE - grey, f"light ink, inverted: {share:.0%} of what strays from the paper is lighter"
    return grey, f"dark ink: {share:.0%} of what strays from the paper is darker"


def darkness(small: Plane) -> float:
    """How far a thumbnail strays from its paper towards dark; paper is the median around each place.

    One more ring of paper lies around it, for a digit cut close has as much ink as paper around it.
    """
    level = small - fit_slope(small)
    ring = float(np.median(np.concatenate([level[0], level[-1], level[:, 0], level[:, -1]])))
    level = np.pad(level, 1, constant_values=ring)
    paper = ndimage.median_filter(level, max(1, max(small.shape) // 2), mode="reflect")
    return float(np.square(np.maximum(paper - level, 0)).sum())


def flatten_light(dark: Plane) -> tuple[Plane, str]:
    """Divide by the paper's own brightness, so that shadows and lamps fade; the result is contrast.

    Paper comes out around 0, its grain to both sides of it; ink is 1 at most.
    """
    low, high = np.percentile(border_of(dark), (5, 95))
    if max(dark.shape) <= SMALLEST_LIT:
        paper = np.full_like(dark, np.percentile(dark, 95))
        reason = f"too small for uneven light: paper is {paper[0, 0]:.2f}"
    elif high - low < FAINTEST_INK:
        paper = np.full_like(dark, np.median(border_of(dark)))
        reason = f"even light: paper is {paper[0, 0]:.2f} all along the border"
    else:
        paper = paper_under(dark)
        reason = f"uneven light: paper goes from {paper.min():.2f} to {paper.max():.2f}"
    return np.minimum((paper - dark) / np.maximum(paper, np.float32(DARKEST_PAPER)), 1), reason


def paper_under(dark: Plane) -> Plane:
    """The paper's brightness (h, w) with the strokes filled in.

    What is filled is as narrow as possible, so that shadows with hard edges stay paper: REACHES are tried
    from wide to narrow as long as they fill the darkest ink as well.
    """
    height, width = dark.shape
    shrink = min(1.0, LIGHT_SIDE / max(height, width))
    small = ndimage.gaussian_filter(resize(dark, (round(width * shrink), round(height * shrink))), 1)
    slope = fit_slope(small)
    widest, *narrower = (max(1, round(share * max(small.shape))) for share in REACHES)
    paper = fill_strokes(small, slope, widest)
    strays = paper - small
    ink = strays > 0.5 * strays.max()
    wanted = 0.9 * paper[ink]
    for reach in narrower:
        filled = fill_strokes(small, slope, reach)
        if not ink.any() or (filled[ink] < wanted).mean() > UNFILLED:
            break
        paper = filled
    # Smoothed, but not over the edge of a hard shadow, whose dark side would look like ink.
    return resize(np.minimum(ndimage.gaussian_filter(paper, 2), paper), (width, height))


def fill_strokes(small: Plane, slope: Plane, reach: int) -> Plane:
    """The grey closing (h, w): strokes narrower than `reach` pixels become as light as their paper.

    Closing never falls below the picture, but along the edge it fills the dark end of a slope as if that were
    a stroke; with the slope taken out first it does so at the foot of a hard shadow. The lower one is right.
    """
    size = (reach, reach)
    flat, level = (ndimage.grey_closing(plane, size=size, mode="nearest") for plane in (small, small - slope))
    filled: Plane = np.minimum(flat, level + slope)
    return filled


def fit_slope(plane: Plane) -> Plane:
    """The flat slope (h, w) nearest to `plane`: light that falls off from one side to the other."""
    down, across = np.meshgrid(*(np.linspace(-1, 1, side) for side in plane.shape), indexing="ij")
    # Over a whole grid the three terms are at right angles, so each weight is a projection of its own.
    terms = (np.ones_like(down), down, across)
    slope: Plane = sum(term * (plane * term).sum() / max(np.square(term).sum(), 1) for term in terms)
    return slope.astype(np.float32)


def border_of(plane: Plane) -> Plane:
    """The values along the four edges, a twentieth of the picture deep."""
    depth = max(1, min(plane.shape) // 20)
    edges = plane[:depth], plane[-depth:], plane[:, :depth], plane[:, -depth:]
    return np.concatenate([edge.ravel() for edge in edges])
