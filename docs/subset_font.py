"""Makes the font of Chinese figures: the characters of the catalogue of texts, out of Noto Sans SC.

    npm pack @fontsource/noto-sans-sc@5.3.0
    tar xzf fontsource-noto-sans-sc-5.3.0.tgz
    pip install fonttools
    python docs/subset_font.py package

Noto Sans SC is licensed under the SIL Open Font License 1.1, which allows subsets; its reserved font name is
`Source`. The subset is called `LeNet Sans SC`, so that nothing takes it for the complete font.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from lenet.data.sources import SOURCES
from lenet.insight.language import read_catalogue
from lenet.insight.plots.fonts import FAMILY, SUBSET

SOURCE = "files/noto-sans-sc-chinese-simplified-400-normal.woff"
COPYRIGHT, FAMILY_NAME, STYLE, IDENTITY, FULL_NAME, VERSION, POSTSCRIPT_NAME, LICENCE, LICENCE_URL = (
    0, 1, 2, 3, 4, 5, 6, 13, 14,
)  # fmt: skip


def list_characters() -> set[str]:
    """Every character beyond ASCII that a figure or a report may show of its own."""
    catalogue = read_catalogue()
    texts = [*catalogue["texts"].values(), *catalogue["classes"].values()]
    names = [name for source in SOURCES.values() for name in source.classes]
    return {sign for text in (*texts, *names) for sign in text if not sign.isascii() and not sign.isspace()}


def make_subset(package: Path, path: Path) -> None:
    """Write the subset. Names, dates and the order of glyphs depend on the source alone."""
    font = TTFont(package / SOURCE, recalcTimestamp=False)
    options = Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[COPYRIGHT])
    options.drop_tables += ["vhea", "vmtx", "STAT", "BASE", "GPOS", "GSUB", "GDEF"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=map(ord, list_characters()))
    subsetter.subset(font)
    postscript = FAMILY.replace(" ", "") + "-Regular"
    values = {
        FAMILY_NAME: FAMILY,
        STYLE: "Regular",
        IDENTITY: postscript,
        FULL_NAME: f"{FAMILY} Regular",
        VERSION: "Version 2.004",
        POSTSCRIPT_NAME: postscript,
        LICENCE: "This Font Software is licensed under the SIL Open Font License, Version 1.1.",
        LICENCE_URL: "https://openfontlicense.org",
    }
    for number, value in values.items():
        font["name"].setName(value, number, 3, 1, 0x409)
    font["OS/2"].usWeightClass = 400
    font.flavor = None
    font.save(path)


if __name__ == "__main__":
    make_subset(Path(sys.argv[1]), SUBSET)
