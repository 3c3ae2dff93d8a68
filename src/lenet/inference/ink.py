"""Which pixels are strokes of a pen: contrast -> mask, without dust and without what clings to the edge."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lenet.inference.crop import Mask, Plane
from lenet.inference.light import FAINTEST_INK

WEAK_INK, STRONG_INK = 0.25, 0.4  # of the ink's own contrast: a stroke holds a strong pixel and ends at weak
SMALLEST_DIGIT = 1 / 40  # of the picture's longest side; what is smaller is dust
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)  # strokes hold together over corners too


def find_ink(contrast: Plane) -> tuple[Mask, str]:
    """The strokes (h, w), without what clings to the picture's edge: frames, shadows, the next field."""
    ink, reason = threshold_ink(contrast)
    clinging = find_clinging(ink)
    if clinging.any():
        # A black frame is darker than any ink; what ink is can be said only without it.
        cleared = np.where(ndimage.binary_dilation(clinging, NEIGHBOURS, iterations=2), 0, contrast)
        inside, inner_reason = threshold_ink(cleared.astype(np.float32))
        if inside.any():
            return inside, f"{inner_reason}; left out what clings to the edge"
    return ink, reason


def threshold_ink(contrast: Plane) -> tuple[Mask, str]:
    """Weak ink that holds together with strong ink and is larger than dust."""
    no_ink: Mask = np.zeros(contrast.shape, dtype=np.bool_)
    if contrast.max() <= FAINTEST_INK:
        return no_ink, f"no ink: nothing is {FAINTEST_INK:.0%} darker than paper"
    noise = grain_of(contrast)
    floor = max(FAINTEST_INK, 4 * noise)
    candidates = contrast[contrast > floor]
    if candidates.size == 0:
        return no_ink, f"no ink: nothing rises above the paper's noise of {noise:.1%}"
    level = float(np.median(candidates[candidates >= otsu(candidates)]))
    labels, _ = ndimage.label(contrast > max(floor, WEAK_INK * level), NEIGHBOURS)
    strong = np.zeros(labels.max() + 1, dtype=np.bool_)
    strong[labels[contrast > STRONG_INK * level]] = True
    strong[0] = False
    smallest = max(3.0, SMALLEST_DIGIT * max(contrast.shape))
    for label, piece in enumerate(ndimage.find_objects(labels), start=1):
        if strong[label]:
            strong[label] = max(extent(piece)) >= smallest
    found = int(strong.sum())
    return strong[
        labels
    ], f"{found} stroke{'s' * (found != 1)}: ink is {level:.2f} darker than paper, noise is {noise:.3f}"


def grain_of(contrast: Plane) -> float:
    """The standard deviation of the paper's grain: how places a 64th of the picture apart differ.

    It is told from the quarter that differ least, for in a close crop most places are of ink.
    """
    apart = max(1, max(contrast.shape) // 64)
    every = max(1, max(contrast.shape) // 160)  # so many places tell as much as all
    thinned = contrast[::every], contrast.T[::every]
    both = np.concatenate([np.abs(along[:, apart:] - along[:, :-apart]).ravel() for along in thinned])
    return float(np.quantile(both, 0.25) / (0.3186 * np.sqrt(2))) if both.size else 0.0


def find_clinging(ink: Mask) -> Mask:
    """Pieces that lie along the picture's edge or cross it from side to side, where others do not."""
    labels, count = ndimage.label(ink, NEIGHBOURS)
    edges = labels[0], labels[-1], labels[:, 0], labels[:, -1]
    contact = np.stack([np.bincount(edge, minlength=count + 1) for edge in edges])[:, 1:]  # (4, count)
    sides = np.array([extent(piece) for piece in ndimage.find_objects(labels)]).reshape(-1, 2)
    longest = sides.max(axis=1, initial=0)
    crosses = (contact[:2] > 0).all(axis=0) | (contact[2:] > 0).all(axis=0)
    clinging = (contact.max(axis=0) > longest / 4) | crosses
    # A digit cut close touches the edge as well: then there is nothing else of a digit's size.
    if not (longest[~clinging] > max(ink.shape) / 12).any():
        return np.zeros_like(ink)
    return label_mask(labels, clinging)


def otsu(values: Plane) -> float:
    """The threshold that parts `values` into the two most compact classes (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)
    above = counts.sum() - below
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)])


def label_mask(labels: NDArray[np.int32], chosen: Iterable[bool]) -> Mask:
    """The pixels of the chosen pieces: `chosen` has one truth for each label from 1 on."""
    mask: Mask = np.array([False, *chosen])[labels]
    return mask


def extent(piece: tuple[slice, slice]) -> tuple[int, int]:
    """Height and width of a piece."""
    rows, columns = piece
    return rows.stop - rows.start, columns.stop - columns.start
