"""The ways in which people write each digit, as strokes: a table of forms, and random variants of them.

MNIST was written in one country. A form of the table is a digit as one of the world's schools teaches it, or
as a hurried hand leaves it. Its strokes are separated by `/` and its points, `x,y`, by spaces; they are
percentages of the digit's height, with y downwards. A stroke is smooth, except at points that end in `!`. A
coordinate is a number, or a range `low:high` to draw from. `s=low:high` names what was drawn; `s+low:high` is
measured from it.
"""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

Points = NDArray[np.float64]

JITTER = 0.012  # standard deviation of each point, in digit heights
BEND = 0.025  # standard deviation of the amplitude of a smooth deformation, in digit heights
ASPECT = 0.17  # standard deviation of the logarithm of the width
SAMPLES = 6  # points of a smooth stroke for each point of its form

FORMS: dict[int, dict[str, tuple[int, str]]] = {
    0: {
        "round": (4, "26:36,0:4 8,14 0,50 8,86 30,100 52,86 60,50 52,14 28:34,0:3"),
        "narrow": (2, "14:20,0:5 4,14 0,50 5,86 17,100 29,86 33,50 29,14 15:19,0:4"),
        "open": (3, "38:46,4:12 24,0 6,16 0,52 8,86 28,100 50,84 57,50 51:56,14:26"),
        "open left": (1, "4:12,14:24 2,50 8,86 28,100 50,84 57,50 48,14 28,0 14:22,2:8"),
        "overlapped": (2, "24:34,2:8 6,18 0,52 10,88 30,100 52,84 58,48 46,12 26,-2:5 4:14,4:16"),
        "curled in": (2, "26:36,0:4 8,14 0,50 8,86 30,100 52,86 60,50 50,14 30,2 16:24,12:24"),
        "boxy": (2, "40:52,0:4 22,-1 4,4 -1,28 -1,72 4,96 26,101 48,97 54,72 54,28 50,4 38:46,0:3"),
        "wide": (1, "36:46,0:4 10,14 0,50 10,86 42,100 74,86 84,50 74,14 36:44,0:3"),
        "slashed": (3, "28,0 8,14 0,50 8,86 30,100 52,86 60,50 52,14 30,0 / 50:66,0:16 -6:10,84:100"),
        "slashed back": (1, "28,0 8,14 0,50 8,86 30,100 52,86 60,50 52,14 30,0 / -4:10,4:18 50:64,82:98"),
        "slashed inside": (2, "28,0 8,14 0,50 8,86 30,100 52,86 60,50 52,14 30,0 / 40:46,24:34 14:20,66:76"),
        "dotted": (1, "28,0 8,14 0,50 8,86 30,100 52,86 60,50 52,14 30,0 / 28,46:50 31,50:54"),
        "joined": (2, "44:52,6:16 22,0 4,24 0,54 10,88 30,100 52,84 58,46 46:54,10:16 70:96,0:20"),
        "joined twice": (1, "40,8 22,0 4,24 0,54 10,88 30,100 52,84 58,46 50,13 70:96,0:20 / -34:-10,9 12,8"),
    },
    1: {
        "plain": (4, "0,0 -2:2,50 0,100"),
        "flagged": (4, "f=-32:-12,14:32 0,0! -2:2,100"),
        "flat flag": (2, "-26:-14,12:18 0,0! -2:2,100"),
        "long flag": (3, "-44:-28,36:62 0,0! -3:3,100"),
        "upstroke": (2, "-42:-28,48:66 -15:-12,20:25 0,0! 0,100"),
        "tall upstroke": (3, "-52:-30,62:96 -18:-10,26:34 0,0! -2:4,100"),
        "curved flag": (3, "-32:-18,18:30 -14:-10,15:19 0,0! -2:2,50 -2:2,100"),
        "flagged, footed": (3, "-30:-14,14:30 0,0! 0,100 / -30:-14,98:102 14:30,98:102"),
        "curved flag, footed": (1, "-28:-18,20:28 -12,16 0,0! 0,100 / -30:-14,98:102 14:30,98:102"),
        "footed": (1, "0,0 0,100 / -28:-16,98:102 16:28,98:102"),
        "leaning": (2, "s=22:42,0 s+-24:-18,50 0,100"),
        "leaning, flagged": (2, "s=18:36,0 s+-28:-14,18:30 / s,0 0,100"),
        "serifs": (1, "-14:-8,6:12 0,0! 0,100 / -14:-8,99:101 8:14,99:101"),
    },
    2: {
        "round": (4, "2:8,14:26 24,0 50,20 38,56 0:4,98! 52:64,97:102"),
        "hooked": (3, "12:22,28:38 2,22 12,3 36,0 50,22 34,60 0:4,98! 50:62,96:102"),
        "looped": (4, "2:8,14:26 24,0 48,18 38,52 10,93 -6,90:94 4,78:84 26,90 56:68,92:100"),
        "closed head": (1, "26:34,32:40 6,30 8,6 34,0 48,20 34,60 0:4,98! 50:62,97:102"),
        "closed head, looped": (1, "28:34,37 6,30 8,6 34,0 48,20 38,54 10,93 -6,92 4,82 26,91 56:66,92:100"),
        "wavy foot": (2, "2:8,14:26 24,0 50,20 34,60 0,98! 12,90 32,96:100 54:64,88:94"),
        "z-like": (3, "0:6,0:10 44:54,0! 0:6,97:100! 50:60,96:102"),
        "round z": (2, "0:6,6:12 20,0 40,0 48,10 36,40 0:4,98! 50:60,96:102"),
        "swan": (2, "2:8,16:24 26,0 50,22 32,60 4,94 20,95 54:64,94:100"),
        "short foot": (2, "2:8,14:26 24,0 48,20 36,56 2,98! 26:38,96:101"),
        "long foot": (1, "2:8,14:26 22,0 44,20 34,56 0,98! 70:84,95:101"),
    },
    3: {
        "round": (4, "2:8,8:18 24,0 46,16 40,36 18:26,46! 44,54 52,76 26,100 -2:4,84:92"),
        "no corner": (2, "2:8,8:18 24,0 46,18 32,42 28,50 48,60 50,84 24,100 0,84:92"),
        "looped": (2, "2:8,8:18 24,0 46,16 34,40 14,49 14,42 34,48 50,72 28,99 -2:4,86:92"),
        "flat": (5, "0:6,0:4 46:54,0! 16:26,36:42! 42,46 52,70 34,97 -2:6,88:96"),
        "flat, small": (3, "0:6,0:4 38:46,0! 14:20,30:36! 44,42 54,68 34,97 -2:6,88:96"),
        "flat, no corner": (2, "0:6,0:4 46:54,0! 28,34 30,42 50,58 48,86 24,100 -2:4,88:94"),
        "flat, serif": (2, "0:6,12:20 2:6,1! 46:54,0! 18:26,36:42! 42,46 52,70 34,97 -2:6,88:96"),
        "slanted bar": (2, "0:6,6:14 44:54,0! 16:26,38:44! 42,48 52,72 34,98 -2:6,88:96"),
        "flat, straight": (1, "0:6,0:4 46:52,0! 14:20,42:46! 30:36,44:48 50,64:72 -2:4,98:100"),
        "pointed": (1, "0:4,0:10 46,18:24! 10:16,44:50! 50,72:78! -2:4,96:100"),
        "curled": (2, "12:18,22:28 2,16 16,0 42,6 42,34 20:26,46! 46,54 50,84 22,100 0,90 8:12,76:82"),
        "open": (2, "0:4,2:10 26,2 44,18 34,36 22:28,44! 46,56 48,80 24,98 -4:2,98:101"),
    },
    4: {
        "open": (4, "l=6:18,0:6 0,b=54:68! 52:64,b+-6:2 / 36:42,14:40 34:40,100"),
        "open, equal": (2, "6:14,0:4 0,b=52:64! 50:62,b+-5:2 / 38:44,0:8 36:42,100"),
        "closed": (5, "s=34:46,0:2 0,b=56:72! s+8:26,b+-6:3 / s+0:2,0 s+-4:3,100"),
        "closed, long bar": (1, "s=32:40,0:2 0,b=60:72! s+24:36,b+-4:2 / s+0:2,0 s+-3:2,100"),
        "boat": (2, "s=36:46,100 s+-1:3,0! 0,b=56:70! s+10:24,b+-4:2"),
        "overshot": (2, "s=30:38,6:12 0,b=58:70! s+12:26,b+-4:2 / s+-2:5,0 s+-6:2,100"),
        "footed": (1, "s=34:44,0:2 0,b=58:68! s+10:24,b+-3:3 / s,0 s,100 / s+-16:-10,100 s+10:16,100"),
        "u-shaped": (3, "4:10,0:6 0,30 6,48 20,54:58 36:40,44:50 / 40:46,0:10 38:44,100"),
        "u-shaped, crossed": (2, "4:10,0:6 0,34 8,54 26,60 56:66,50:56 / 40:44,8:26 38:42,100"),
        "one stroke": (2, "4:10,0:6 1,32 10,52 28,52 40,30 42:46,0:6! 38:42,100"),
        "long stem": (3, "h=6:14,t=0:16 0,b=34:46! 38:50,b+-4:2 / 28:34,0:18 24:32,100"),
        "long stem, closed": (2, "s=26:34,0 0,b=40:50! s+8:20,b+-4:2 / s+0:2,0 s+-6:2,100"),
        "stem above": (2, "8:14,22:34 0,b=58:66! 50:60,b+-4:2 / 32:38,0 30:36,100"),
        "low stem": (1, "8:16,0 0,b=54:62! 48:58,b+-4:2 / 34:38,38:46 30:36,100"),
    },
    5: {
        "two strokes": (4, "6:10,0 3:6,42! 26,34:38 48,62 36,94 -2:4,88:96 / 7:10,0 44:56,-3:3"),
        "one stroke": (3, "44:54,0 6:10,1! 3:6,42! 26,34:38 48,62 36,94 -2:4,88:96"),
        "bar apart": (4, "6:10,0 3:6,40! 26,32:36 48,62 36,94 -2:4,88:96 / 14:22,-8:4 48:62,-12:2"),
        "bar above": (2, "6:10,4 3:6,44! 26,36:40 48,64 36,95 -2:4,88:96 / 4:12,-8:-3 44:58,-12:-3"),
        "long bar": (1, "6:10,0 3:6,40! 26,34:38 46,62 36,94 -2:4,88:96 / 7:10,0 64:80,-6:3"),
        "short bar": (2, "8:12,0 3:6,42! 26,34:38 48,62 36,94 -2:4,88:96 / 9:12,0 32:42,-3:3"),
        "slanted bar": (2, "6:10,4 3:6,42! 26,34:38 48,62 36,94 -2:4,88:96 / 7:10,4 46:58,-14:-6"),
        "sagging bar": (1, "42:52,-4:0 24,6 8:10,2! 3:6,42! 26,34:38 48,62 36,94 -2:4,88:96"),
        "no curl": (3, "44:54,0 6:10,1! 3:6,42! 28,37 46,54 42,78 6:20,98:100"),
        "straight belly": (1, "44:54,0 8:12,1! 3:6,42! 36:42,48:52! 40:46,60:66 0:8,99"),
        "s-like": (1, "44:52,0:4 24,0 8,8:12 8,34 34,46 46,70 30,97 -2:4,88:96"),
        "curled": (1, "46:54,0 8:10,1! 4,40! 28,34 48,60 38,92 12,99 0,90 6:10,78:84"),
        "long neck": (1, "44:54,0 8:10,1! 3:6,52:58! 28,48 46,70 36,95 -2:4,90:97"),
    },
    6: {
        "curved": (4, "32:42,0:4 10,30 0,68 18,98 42,88 44,64 24,54 2:6,66:76"),
        "straight": (3, "30:44,0 18:24,28:32 2,66 14,97 40,92 44,66 24,56 2:6,68:76"),
        "curled": (3, "42:50,8:16 30,0 8,22 0,64 16,98 44,90 46,62 24,50 2:5,62:72"),
        "looped": (3, "34:42,0:4 10,30 0,66 16,98 42,88 42,64 22,56 2,72 -12:-4,82:92"),
        "crossed": (1, "34:42,0:4 12,30 0,66 16,98 42,88 42,64 22,56 -10:-4,60:66"),
        "b-like": (3, "2:8,0 2,36 0,76 16,99 40,92 42,66 22,56 1:4,66:74"),
        "b-like, leaning": (1, "14:22,0 6,36 0,74 14,99 38,92 40,66 22,58 1:4,68:76"),
        "closed high": (2, "30:40,0:4 8,26 0,62 18,98 46,84 48,54 26,36:42 2:4,54:62"),
        "small loop": (2, "32:42,0:4 10,34 0,74 14,99 34,94 36,76 20,69 2:4,78:84"),
        "open": (1, "32:42,0:4 10,30 0,68 18,98 42,88 42,66 28,58 14:18,64:70"),
    },
    7: {
        "plain": (3, "0,-2:8 w=40:60,0! 8:26,100"),
        "curved": (3, "0,-2:8 w=42:58,0! 26:32,44 10:18,100"),
        "upright": (1, "0,-2:6 w=38:52,0! w+-8:-2,100"),
        "crossed": (4, "0,-2:8 w=42:60,0! 10:22,100 / 4:14,46:56 46:60,42:54"),
        "curved, crossed": (3, "0,-2:8 w=42:58,0! 28:32,46 10:18,100 / 8:14,48:56 46:58,44:52"),
        "serif": (2, "-4:3,12:24 0,0! w=42:58,0! 10:22,100"),
        "serif, curved": (2, "-3:3,14:24 0,0! w=42:56,0! 28:32,44 14:18,100"),
        "serif, crossed": (3, "-4:3,12:24 0,0! w=44:58,0! 10:22,100 / 6:14,46:56 46:58,42:54"),
        "round": (2, "0,2:10 18,0:3 38,0:3 48,8 36,44 16:24,100"),
        "round, crossed": (1, "0,2:10 18,0:3 38,0:3 48,8 34,46 16:24,100 / 8:14,46:56 48:58,42:52"),
        "wavy bar": (2, "-2:2,12:18 4,1 22,8 46:54,0! 26:30,46 12:20,100"),
        "wavy bar, crossed": (2, "-2:2,12:18 4,1 22,8 46:54,0! 26:30,46 12:20,100 / 8:14,50:54 44:54,46:52"),
        "short bar": (2, "0,-2:4 w=34:42,0! w+-28:-16,100"),
        "short bar, crossed": (1, "0,-2:4 w=28:38,0! w+-26:-10,100 / -4:4,48:54 36:46,44:50"),
        "long bar": (1, "0,-2:6 w=64:80,0! 26:40,100"),
    },
    8: {
        "closed": (4, "42:46,10:14 24,0 4,20 22,46 44,72 24,100 2,76 22,48 44,22 42:46,9:15"),
        "open": (4, "44:50,12:18 26,0 4,20 22,46 44,72 24,100 2,76 22,48 38,24 46:56,-4:6"),
        "open top": (2, "36:44,4:10 18,2 4,22 22,46 44,72 24,100 2,76 22,48 44,26 48:56,6:12"),
        "upstroke": (3, "40:46,8:16 22,0 4,18 22,44 44,72 24,100 2,82! 42:50,6:14"),
        "two circles": (4, "24,0 6,8 4,32 24,46 44,32 42,8 24,0 / 24,46 2,58 2,88 24,100 46,88 46,58 24,46"),
        "circles apart": (2, "24,0 8,8 6,30 24,42 42,30 40,8 22,0 / 24,50 2,60 2,88 24,99 46,88 46,60 24,50"),
        "small head": (2, "24,0 12,6 10,26 24,36 38,26 36,6 24,0 / 24,36 0,52 0,88 24,100 48,88 48,52 24,36"),
        "from the middle": (2, "24,46:52 4,24 24,0 44,22 24,48 2,76 24,100 46,76 22:27,46:52"),
        "narrow": (1, "26:30,9:13 16,0 3,20 15,46 30,72 16,100 1,76 15,48 29,22 26:30,9:13"),
    },
    9: {
        "straight": (5, "42,12:18 24,0 2,14 6,42 26,44 42,20 43:46,2:8! 40:46,100"),
        "leaning": (3, "42,12:18 24,0 2,14 6,42 26,44 44,16! 14:32,100"),
        "two strokes": (3, "24,0 4,10 2,34 20,48 40,36 40,10 24,0:2 / 42:46,0:14 40:46,100"),
        "two strokes, leaning": (1, "24,0 4,10 2,34 20,48 40,36 40,10 24,0:2 / 42:45,10:20 20:36,100"),
        "curved": (4, "42,12:18 24,0 2,14 6,42 28,44 44,14 46,46 38,80 18:28,100"),
        "curled": (3, "42,12:18 24,0 2,14 6,40 28,42 44,14 46,60 34,96 12,98 0:4,84:90"),
        "hooked": (2, "42,10:16 24,0 2,12 6,38 28,40 43,10! 44,76 34,98 14,98 2:8,88:94"),
        "open": (2, "34:40,2:8 14,2 1,24 14,44 34,40 44,14:20 / 42:46,2:10 40:46,100"),
        "rho": (3, "8:16,44:54 1:7,20 20,0 42,6 45,26 26:36,46 6:14,42:50! -2:8,100"),
        "rho, curved": (2, "20:26,48:54 4,30 14,2 40,2 46,22 34,42 16:22,48:56 4:12,78 -6:6,100"),
        "lasso": (2, "c=26:34,46:50 4,40 0,14 22,0 44,12 42,34 c+2:6,66 c+-18:-4,100"),
        "crossed": (2, "40:50,40:46 16,46 0,30 6,6 26,0 44,12 42,36 30,68 6:18,100"),
        "small loop": (2, "36,12:18 22,0 4,10 6,32 22,36 36,12! 32:38,100"),
        "flicked": (1, "42,12:18 24,0 2,14 6,42 26,44 43,8! 42,92 46,98 54:60,90:95"),
    },
}  # fmt: skip
"""The forms of each digit: their frequencies, relative to each other, and their strokes."""


@dataclass(frozen=True, eq=False)
class Form:
    """A form as numbers: the range of each coordinate (n, 2), and what is measured from what."""

    low: Points
    high: Points
    links: tuple[tuple[int, int], ...]
    """Pairs (i, j) of places in the flattened coordinates: i is measured from j."""
    strokes: tuple[tuple[slice, ...], ...]
    """The smooth pieces of each stroke; neighbouring pieces share a point."""


COORDINATE = re.compile(r"(?:(?P<name>[a-z])=)?(?:(?P<link>[a-z])\+?)?(?P<low>-?\d+)?(?::(?P<high>-?\d+))?")


@cache
def parse_form(text: str) -> Form:
    """Parse the strokes of a form. Raises ValueError where they do not follow the notation."""
    ranges: list[tuple[float, float]] = []
    links: list[tuple[int, int]] = []
    strokes: list[tuple[slice, ...]] = []
    names: dict[str, int] = {}
    for stroke in text.split(" / "):
        first = len(ranges) // 2
        pieces: list[slice] = []
        points = stroke.split()
        for place, point in enumerate(points, first):
            for coordinate in point.removesuffix("!").split(","):
                match = COORDINATE.fullmatch(coordinate)
                if not match or not coordinate or match["link"] not in (None, *names):
                    raise ValueError(f"{coordinate!r} is no coordinate, in {text!r}")
                name, link, low, high = match.groups()
                if name:
                    names[name] = len(ranges)
                if link:
                    links.append((len(ranges), names[link]))
                ranges.append((float(low or 0), float(high or low or 0)))
            if point.endswith("!") or place == first + len(points) - 1:
                pieces.append(slice(first if not pieces else pieces[-1].stop - 1, place + 1))
        strokes.append(tuple(pieces))
    low, high = np.array(ranges).T / 100
    return Form(low, high, tuple(links), tuple(strokes))


@cache
def measure_spline(count: int) -> Points:
    """The weights of `count` points in a smooth curve through them: (points of the curve, count)."""
    knots = np.linspace(0, 1, count)
    curve = make_interp_spline(knots, np.eye(count), k=min(3, count - 1))
    weights: Points = curve(np.linspace(0, 1, SAMPLES * (count - 1) + 1 if count > 2 else 2))
    return weights


def draw_form(text: str, rng: np.random.Generator, slant: float = 0.3) -> list[Points]:
    """A random variant of one form, as `draw_strokes`."""
    form = parse_form(text)
    places = rng.uniform(form.low, form.high)
    for place, origin in form.links:
        places[place] += places[origin]
    points = places.reshape(-1, 2) + rng.normal(0, JITTER, (len(places) // 2, 2))
    strokes = [
        np.concatenate([measure_spline(piece.stop - piece.start) @ points[piece] for piece in pieces])
        for pieces in form.strokes
    ]
    x, y = np.concatenate(strokes).T
    (across, down), phases = rng.normal(0, BEND, 2), rng.uniform(0, 2 * np.pi, 2)
    lean = rng.uniform(-slant / 2, slant)  # few people lean to the left
    x = x * np.exp(rng.normal(0, ASPECT)) + across * np.sin(4 * y + phases[0]) - lean * y
    y = y + down * np.sin(4 * x + phases[1])
    written = np.column_stack([x - x.min(), y - y.min()]) / np.ptp(y)
    return np.split(written, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def choose_form(label: int, rng: np.random.Generator) -> str:
    """The strokes of a form of a digit, 0 to 9, as often as it is written."""
    forms = FORMS[label].values()
    shares = np.cumsum([share for share, _ in forms])
    chosen = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
    return list(forms)[chosen][1]


def draw_strokes(label: int, rng: np.random.Generator, slant: float = 0.3) -> list[Points]:
    """A random variant of a digit: its strokes, each (n, 2), in the order of writing.

    The points are (x, y) with y downwards, in units of the digit's height: y is from 0 to 1 and x from 0 on.
    The writing is slanted at random: to the right by up to `slant`, the tangent of the angle, and to the left
    by up to half of it. `label` is 0 to 9.
    """
    return draw_form(choose_form(label, rng), rng, slant)
