"""Fonts for what matplotlib's own font lacks: a subset of Noto Sans SC that is shipped, and installed fonts.

The subset has the characters of the catalogue of texts; `docs/subset_font.py` makes it. It has a name of its
own, so that a complete Noto Sans SC that is installed is found beside it.
"""

import re
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMILY = "LeNet Sans SC"
SUBSET = Path(__file__).with_name("lenet-sans-sc.ttf")
SPACES = "\n\u00a0\u3000"  # need no glyph
MANY_SCRIPTS = re.compile(
    r"CJK|Noto S(ans|erif)(?!.*(Emoji|Symbols))|Source Han|WenQuanYi|Hei\b|YaHei|PingFang|Hiragino|Song"
    r"|SimSun|Ming|Gothic|Meiryo|Malgun|Droid Sans Fallback|Arial Unicode"
)
"""Names of fonts that may have Chinese, Japanese, Korean and other characters."""


class GlyphWarning(UserWarning):
    """A figure shows codes in place of characters, because no installed font has them."""


def choose_fonts(figure: "Figure") -> list[str]:
    """Give every text of a figure families that have its characters; returns them, matplotlib's own first.

    Characters that no font has are replaced by their codes, as Python writes them: a box would say nothing.
    Warns with GlyphWarning where that happens. Control characters become codes, too.
    """
    from matplotlib import rcParams
    from matplotlib.text import Text

    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    labels = {axis: [text.get_text() for text in axis.get_ticklabels()] for axis in axes}
    texts = figure.findobj(Text)
    signs = set().union(*(text.get_text() for text in texts)) - set(SPACES)
    control = {sign for sign in signs if not sign.isprintable()}
    families = list(rcParams["font.family"])
    lacking = find_lacking(signs - control, families)
    if lacking:
        families.append(add_subset())
        lacking = find_lacking(lacking, families[-1:])
    if lacking:
        found = find_fonts(lacking)
        families += found
        lacking = find_lacking(lacking, found)
    if lacking:
        first = "".join(sorted(lacking))
        warnings.warn(
            f"no font here has {first[:12]}{'…' * (len(first) > 12)}, so a figure shows codes such as "
            f"{_write_code(first[0])}; install one, such as Noto Sans CJK",
            GlyphWarning,
            stacklevel=4,
        )
    codes = str.maketrans({sign: _write_code(sign) for sign in lacking | control})
    for text in texts:
        text.set_fontfamily(families)
        text.set_text(text.get_text().translate(codes))
    for axis, names in labels.items():
        if codes and any(name != name.translate(codes) for name in names):
            axis.set_ticklabels([name.translate(codes) for name in names])
    return families


def find_lacking(characters: Collection[str], families: Sequence[str]) -> set[str]:
    """Those of some characters that the fonts of all these families lack."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families]
    return {sign for sign in characters if not any(font.get_char_index(ord(sign)) for font in fonts)}


@cache
def add_subset() -> str:
    """Make the font that is shipped known to matplotlib; returns the name of its family."""
    from matplotlib.font_manager import fontManager, get_font

    fontManager.addfont(SUBSET)
    return str(get_font(SUBSET).family_name)


def find_fonts(characters: Collection[str]) -> list[str]:
    """Families of installed fonts that have these characters, together as many as can be found."""
    from matplotlib.font_manager import findSystemFonts, fontManager, get_font

    known = {entry.fname for entry in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:  # installed since matplotlib made its list
        with suppress(OSError, RuntimeError):
            fontManager.addfont(path)
    left, families = set(characters), []
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.weight != 400, entry.name)):
        if not left:
            break
        if MANY_SCRIPTS.search(entry.name):
            found = {sign for sign in left if get_font(entry.fname).get_char_index(ord(sign))}
            if found:
                families.append(entry.name)
                left -= found
    return families


def _write_code(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
