"""Compare every page with its Chinese page, section by section, and record which texts belong together.

    python docs/translations.py [--same-meaning PAGE#SECTION ...]

docs/translations.json holds a hash of the English and one of the Chinese text of every section. A section
whose English changed while its Chinese did not is refused, unless --same-meaning names it: README.md#results.
Headings, anchors, code blocks, links, images, shapes of tables and numerals have to agree in any case.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
RECORD = "docs/translations.json"
PAGES = ("README*.md", "docs/**/*.md", "examples/*.ipynb")
ENGLISH_ONLY = {"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
GENERATED = {
    "docs/reference.md",
    "docs/results.md",
    "docs/studies.md",
}  # a test generates both languages again
NUMERAL = r"[0-9]+(?:[.,][0-9]+)*"
ANCHOR = r'<a id="([^"]+)">'


@dataclass
class Section:
    """A heading and what follows up to the next heading; level 0 is what stands before the first."""

    title: str
    level: int
    slug: str
    text: str = ""
    anchors: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    numerals: list[str] = field(default_factory=list)

    def compute_hash(self) -> str:
        """Twelve digits that change with the text, but not with its line breaks."""
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()[:12]

    def read_block(self, token: Token) -> None:
        """Take in a token of a block: code, table, or a paragraph with what is inside."""
        if token.type in ("fence", "code_block"):
            self.blocks.append(f"{token.info}\n{token.content}")
        elif token.type == "thead_open":
            self.tables.append("")
        elif token.type == "tr_open":
            self.tables[-1] += "\n"
        elif token.type in ("th_open", "td_open"):
            self.tables[-1] += "|"
        elif token.type == "html_block":
            self.anchors += re.findall(ANCHOR, token.content)
        for child in token.children or []:
            self.read_inline(child)

    def read_inline(self, token: Token) -> None:
        """Take in a token of a line: a link, an image, an anchor, or text and code with numerals."""
        if token.type == "link_open":
            self.links.append(str(token.attrs["href"]))
        elif token.type == "image":  # a figure may be drawn once more, with Chinese texts
            self.images.append(str(token.attrs["src"]).replace(".zh.", "."))
        elif token.type == "html_inline":
            self.anchors += re.findall(ANCHOR, token.content)
        elif token.type in ("text", "code_inline"):
            self.numerals += re.findall(NUMERAL, token.content)
        for child in token.children or []:
            self.read_inline(child)


def read_page(file: Path) -> str:
    """A page as Markdown; the cells of code of a notebook become blocks of Python."""
    text = file.read_text("utf-8")
    if file.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def split_page(text: str) -> list[Section]:
    """The sections of a page. An anchor on the line before a heading belongs to the heading."""
    text = re.sub(rf"^({ANCHOR}</a>)\n+(#+ .*)$", r"\3 \1", text, flags=re.MULTILINE)
    lines, tokens = text.splitlines(), MarkdownIt("commonmark").enable("table").parse(text)
    sections, starts = [Section("", 0, "top")], [0]
    slugs: Counter[str] = Counter()
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            children = tokens[place + 1].children or []
            title = "".join(child.content for child in children if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w -]", "", title.strip()).lower().replace(" ", "-")
            number = f"-{slugs[slug]}" if slugs[slug] else ""
            slugs[slug] += 1
            sections.append(Section(title.strip(), int(token.tag[1:]), slug + number))
            starts.append(token.map[0])
        sections[-1].read_block(token)
    for section, start, end in zip(sections, starts, [*starts[1:], len(lines)], strict=True):
        section.text = "\n".join(lines[start:end])
    return sections if sections[0].text.strip() else sections[1:]


def is_chinese(path: str) -> bool:
    """Whether a page, by its name, is the Chinese one of a pair."""
    return bool(re.search(r"\.zh(-CN)?\.\w+$", path))


def switch_language(path: str) -> str:
    """The same page in the other language; a path or link that is no page of a pair stays as it is."""
    address, mark, anchor = path.partition("#")
    if address == "page.html":  # a state of the page, which has its language
        return path.replace("&language=en", "&language=zh")
    page = PurePosixPath(address)
    if "://" not in address and page.suffix in (".md", ".ipynb") and page.name not in ENGLISH_ONLY:
        if is_chinese(address):
            address = re.sub(r"\.zh(-CN)?(\.\w+)$", r"\2", address)
        else:
            address = str(page.with_suffix((".zh-CN" if page.stem == "README" else ".zh") + page.suffix))
    return address + mark + anchor


def compare_sections(english: Section, chinese: Section) -> Iterator[str]:
    """What two sections do not have in common."""
    blocks = [[block.replace(" --language zh", "") for block in one.blocks] for one in (english, chinese)]
    own = {english.slug, re.sub("-+", "-", english.slug)}  # on GitHub, and on the site
    anchors = [anchor for anchor in chinese.anchors if anchor not in own]
    yield from name_difference("anchors", english.anchors, anchors)
    yield from name_difference("links", map(switch_language, english.links), chinese.links)
    yield from name_difference("images", english.images, chinese.images)
    yield from name_difference("tables", map(name_shape, english.tables), map(name_shape, chinese.tables))
    yield from name_difference("numerals", english.numerals, chinese.numerals)
    yield from name_difference("code blocks", *blocks)
    if blocks[0] != blocks[1] and sorted(blocks[0]) == sorted(blocks[1]):
        yield "the code blocks stand in another order"


def name_shape(table: str) -> str:
    rows = table.split()
    return f"{len(rows)}×{max(map(len, rows))}"


def name_difference(what: str, english: Iterable[str], chinese: Iterable[str]) -> Iterator[str]:
    """One line where two collections differ; their order does not matter."""
    left, right = Counter(english), Counter(chinese)
    if left != right:
        only = [sorted(part.elements()) for part in (left - right, right - left)]
        yield f"{what} differ: English {only[0]}, Chinese {only[1]}"


def compare_pages(english: list[Section], chinese: list[Section]) -> Iterator[str]:
    """What two pages do not have in common, with the name of the Chinese section."""
    for left, right in zip_longest(english, chinese):
        if left is None or right is None or left.level != right.level:
            titles = [f"{'#' * part.level} {part.title}" if part else "none" for part in (left, right)]
            yield f"headings differ: English {titles[0]}, Chinese {titles[1]}"
            return
        for difference in compare_sections(left, right):
            yield f"{right.title} (#{left.slug}): {difference}"


@dataclass
class Examination:
    """What is wrong with the pages, what is not recorded yet, and the record as it should be."""

    differences: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)


def examine(root: Path = ROOT, same_meaning: Iterable[str] = ()) -> Examination:
    """Compare all pages below a folder, and their sections with those recorded."""
    recorded = json.loads((root / RECORD).read_text("utf-8")) if (root / RECORD).exists() else {}
    found, waived = Examination(), set(same_meaning)
    files = {file.relative_to(root).as_posix() for pattern in PAGES for file in root.glob(pattern)}
    for page in sorted({min(file, switch_language(file), key=len) for file in files} - ENGLISH_ONLY):
        other = switch_language(page)
        if page in recorded:
            found.record[page] = recorded[page]  # stays as it is while the pages have not the same sections
        if missing := {page, other} - files:
            found.differences.append(f"{missing.pop()} is missing: a page has two languages")
            continue
        english, chinese = (split_page(read_page(root / file)) for file in (page, other))
        if page in GENERATED:  # docstrings stand in blocks of text; their Chinese is in the catalogue
            for section in (*english, *chinese):
                section.blocks = [re.sub(r"^text\n.*", "text", block, flags=re.S) for block in section.blocks]
        found.differences += [f"{other}, {line}" for line in compare_pages(english, chinese)]
        if page not in GENERATED and [part.level for part in english] == [part.level for part in chinese]:
            record_page(page, list(zip(english, chinese, strict=True)), recorded.get(page, {}), waived, found)
    if waived:
        found.differences.append(f"no section is called {', '.join(sorted(waived))}")
    if found.record != recorded and not found.differences and not found.unrecorded:
        found.unrecorded.append(f"{RECORD} is not up to date")
    return found


def record_page(
    page: str,
    pairs: list[tuple[Section, Section]],
    recorded: dict[str, str],
    waived: set[str],
    found: Examination,
) -> None:
    """Record the pairs of sections of a page, except those whose English alone changed."""
    by_chinese = {hashes.split()[1]: hashes for hashes in recorded.values()}
    found.record[page] = {}
    for english, chinese in pairs:
        section, hashes = f"{page}#{english.slug}", f"{english.compute_hash()} {chinese.compute_hash()}"
        name = f"{switch_language(page)}, {chinese.title} (#{english.slug})"
        if hashes not in recorded.values():
            if chinese.compute_hash() in by_chinese and section not in waived:
                found.differences.append(f"{name}: the English changed, the Chinese did not")
                hashes = by_chinese[chinese.compute_hash()]  # so that it is refused until the Chinese changes
            else:
                found.unrecorded.append(f"{name}: not recorded")
        waived.discard(section)
        found.record[page][english.slug] = hashes


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare the pages in both languages; record their sections."
    )
    parser.add_argument("--same-meaning", action="append", default=[], metavar="PAGE#SECTION")
    found = examine(same_meaning=parser.parse_args().same_meaning)
    (ROOT / RECORD).write_text(json.dumps(found.record, indent=1) + "\n", "utf-8")
    for line in found.differences:
        print(line, file=sys.stderr)
    return 2 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
