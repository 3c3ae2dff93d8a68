"""Reads a picture that lies on its side or stands on its head, where its upright reading is rejected."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lenet.images.decoding import DecodedPicture
from lenet.reading.reading import Digit, Reading

UPSIDE_DOWN = frozenset("01689")  # digits that are digits on their head, too
QUARTERS = (1, 2, 3)  # counter-clockwise turns by 90° that are tried


def turn_picture(decoded: DecodedPicture, quarters: int) -> DecodedPicture:
    """The picture turned counter-clockwise by quarters of a circle."""
    sides = (decoded.width, decoded.height)
    width, height = sides[::-1] if quarters % 2 else sides
    return replace(
        decoded, pixels=np.ascontiguousarray(np.rot90(decoded.pixels, quarters)), width=width, height=height
    )


def turn_back(digit: Digit, quarters: int, width: int, height: int) -> Digit:
    """The digit with its box in the picture before it was turned; `width` and `height` are its sides."""
    left, top, wide, high = digit.box
    for turned in range(quarters, 0, -1):
        side = width if turned % 2 else height  # the picture's width before this quarter
        left, top, wide, high = side - top - high, left, high, wide
    return replace(digit, box=(left, top, wide, high))


def choose_turn(decoded: DecodedPicture, readings: Mapping[int, Reading]) -> tuple[int, Reading] | None:
    """The quarters of a circle of the most confident reading, and the reading; None if none is accepted.

    `readings` are those of the turned pictures, by their quarters. The reason of the reading says by how much
    the picture was turned, and whether its digits can be read both ways up, as 6 and 9 can. Its boxes are in
    `decoded`, the picture before it was turned.
    """
    accepted = {quarters: reading for quarters, reading in readings.items() if not reading.rejected}
    if not accepted:
        return None
    quarters, best = max(accepted.items(), key=lambda pair: pair[1].confidence)
    reason = f"turned by {90 * quarters}°"
    if set(best.text) <= UPSIDE_DOWN:
        reason += "; ambiguous: it can be read upside down, too"
    digits = tuple(turn_back(digit, quarters, decoded.width, decoded.height) for digit in best.digits)
    return quarters, replace(best, reason=reason, digits=digits)
