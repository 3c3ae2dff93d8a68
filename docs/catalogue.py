"""The Chinese of the generated pages, from the gettext catalogue docs/zh.po.

A generator passes every text of its page through a function `say`: `str` leaves it in English, and
`translate` calls the generator with a function that looks it up. `make docs` adds new messages to the
catalogue and removes those that no page contains; a new message is fuzzy where an old one resembles it.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from markdown.extensions.toc import slugify

CATALOGUE = Path(__file__).with_name("zh.po")
HEADER = 'msgid ""\nmsgstr ""\n"Language: zh_CN\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
HEADING = re.compile(r"^(#{2,} )(.*)$", re.MULTILINE)
FULL_WIDTH = "，。；：！？、（）"

Say = Callable[[str], str]


def translate(page: str, write: Callable[[Say], str]) -> str:
    """The Chinese of a page, named by its path in the project, that `write` writes.

    Raises SystemExit, naming the messages, where docs/zh.po lacks a translation or has a fuzzy one.
    """
    messages: dict[str, None] = {}
    english = write(lambda message: messages.setdefault(message) or message)
    catalogue = update_catalogue(page, messages)
    untranslated = [text for text in messages if not catalogue[text].string or catalogue[text].fuzzy]
    if untranslated:
        raise SystemExit("\n".join(f"docs/zh.po has no translation of: {text}" for text in untranslated))
    chinese = write(lambda message: str(catalogue[message].string))
    # Sentences are joined by spaces, which full-width punctuation does without.
    chinese = re.sub(rf"(?<=[{FULL_WIDTH}]) (?=[^| ])|(?<=[^\s|]) (?=[{FULL_WIDTH}])", "", chinese)
    return add_anchors(chinese, english)


def update_catalogue(page: str, messages: Iterable[str]) -> Catalog:
    """Make `messages` those of the page in docs/zh.po, and return the catalogue."""
    catalogue = read_catalogue()
    template = Catalog()
    for message in catalogue:
        for place, _ in message.locations:
            if place != page:
                template.add(message.id, locations=[(place, None)])
    for text in messages:
        template.add(text, locations=[(page, None)])
    catalogue.update(template)
    for message in catalogue:
        message.locations.sort()
        message.flags -= {"python-format", "python-brace-format"}  # a percent sign is no format
    with CATALOGUE.open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, width=0, omit_header=True, sort_by_file=True, ignore_obsolete=True)
    return catalogue


def read_catalogue() -> Catalog:
    """The messages of docs/zh.po."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_CN")


def add_anchors(chinese: str, english: str) -> str:
    """The Chinese page with the English anchor before each heading that differs, so that links keep it."""
    titles = iter([title for _, title in HEADING.findall(english)])

    def add(heading: re.Match[str]) -> str:
        title = next(titles)
        anchor = f'<a id="{slugify(title, "-")}"></a>\n\n'
        return heading[0] if heading[2] == title else anchor + heading[0]

    return HEADING.sub(add, chinese)
