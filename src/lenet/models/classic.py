"""What the networks of 1989 to 1998 had and today's do not, as plain numbers: partial connections, bitmaps.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", sections
II.B and III.C; LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition". No torch
here. docs/classic.md lists what the papers leave open, and what is assumed.
"""

from typing import Literal

Wiring = Literal["full", "lenet1", "lenet4", "lenet5", "lenet1989"]

AMPLITUDE, SLOPE = 1.7159, 2 / 3  # of the squashing function A · tanh(S · a); f(1) = 1 and f(-1) = -1
WHITE, BLACK = -0.1, 1.175  # of pixels: background and ink, so that they have mean 0 and variance 1
SCALE = 1 / 84  # of the squared distance from a bitmap, which is then the mean over its pixels
BORDER = -1.0  # of 1989: the background, which is what lies around the input of every convolution
MARGIN = 1.0  # the constant j of equation 9: the distance of a code of zeros from every bitmap

# For each map of the second convolution, the maps of the layer before it that it sees.
LINKS: dict[str, tuple[tuple[int, ...], ...]] = {
    # Table 1 of LeCun et al. 1990, "Handwritten digit recognition with a back-propagation network".
    "lenet1": (
        (0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1),
        (2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3),
    ),
    # Ours: the paper prints none. Every map sees three neighbours, so that the 260,000 multiply-adds are met.
    "lenet4": tuple(tuple(sorted((first + step) % 8 for step in (0, 1, second)))
                    for second in (2, 4) for first in range(8)),
    # Table 1 of the paper.
    "lenet5": (
        (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
        (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
        (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
        (0, 1, 2, 3, 4, 5),
    ),
    # Ours: the paper of 1989 says that it is eight of twelve, not which. Each map sees eight neighbours.
    "lenet1989": tuple(tuple(sorted((first + step) % 12 for step in range(8))) for first in range(12)),
}  # fmt: skip
COPIES = {"lenet4": 2}  # subsampling maps behind each map of the first convolution; elsewhere one

# Stylised digits of 7 × 12 pixels: our own drawings, after the idea of the paper's figure 3.
BITMAPS = """
..###.. ...#... ..###.. .#####. ....##. ####### ...###. ####### ..###.. ..###..
.#...#. ..##... .#...#. #.....# ...#.#. #...... ..#.... ......# .#...#. .#...#.
#.....# .#.#... #.....# ......# ...#.#. #...... .#..... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# .....#. ..#..#. #.###.. #.###.. .....#. .#...#. #.....#
#.....# ...#... .....#. ..###.. .#...#. ##...#. ##...#. ....#.. ..###.. .#...##
#.....# ...#... ....#.. .....#. .#...#. ......# #.....# ....#.. .#...#. ..###.#
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. #.....# #.....# ..#.... #.....# .....#.
.#...#. ...#... #...... #.....# .....#. .#...#. .#...#. ..#.... .#...#. ....#..
..###.. .#####. ####### .#####. .....#. ..###.. ..###.. .#..... ..###.. .###...
"""
BITMAP_PIXELS = 84


def read_bitmaps(classes: int) -> list[list[int]]:
    """The bitmaps of so many classes: lists of 84 numbers, row by row, 1 for ink and -1 for paper."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    return [[1 if pixel == "#" else -1 for row in rows for pixel in row[digit]] for digit in range(classes)]
