"""One rule for the colours of all maps: red is above zero, blue below; without signs, from dark to bright."""

import numpy as np
from numpy.typing import NDArray

SIGNED, UNSIGNED = "RdBu_r", "magma"
NOTHING = (0.62, 0.68, 0.76)  # blue-grey, where no pixel is

Array = NDArray[np.floating]
Colours = tuple[str, float, float]  # the map's name, and the values at its ends


def find_colours(values: Array, signed: bool = False) -> Colours:
    """Red above zero and blue below where there is anything below zero, else from dark to bright."""
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    if signed or least < 0:
        most = max(abs(least), abs(most)) or 1.0
        return SIGNED, -most, most
    return UNSIGNED, least, most if most > least else least + 1
