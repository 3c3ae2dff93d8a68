"""Reads a picture that lies on its side or stands on its head, where its upright reading is rejected."""

from collections.abc import Callable
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


def read_turned(
    decoded: DecodedPicture, read: Callable[[DecodedPicture], Reading], upright: Reading
) -> tuple[Reading, int]:
    """The most confident reading of the turned picture, and by how many quarters of a circle it was turned,
    counter-clockwise; `upright` and 0 if none is accepted.

    The reason of the reading says by how much the picture was turned, and whether its digits can be read both
    ways up, as 6 and 9 can.
    """
    readings = [(read(turn_picture(decoded, quarters)), quarters) for quarters in QUARTERS]
    accepted = [(reading, quarters) for reading, quarters in readings if not reading.rejected]
    if not accepted:
        return upright, 0
    best, quarters = max(accepted, key=lambda pair: pair[0].confidence)
    reason = f"turned by {90 * quarters}°"
    if set(best.text) <= UPSIDE_DOWN:
        reason += "; ambiguous: it can be read upside down, too"
    digits = tuple(turn_back(digit, quarters, decoded.width, decoded.height) for digit in best.digits)
    return replace(best, reason=reason, digits=digits), quarters
