"""Handwriting fonts under open licences: the table of them, and their verified files.

Training draws glyphs from these fonts; none is shipped. For each font, `fonts.json` beside this module names
the npm package `@fontsource/NAME` that holds it, its version, its licence and the checksums. The files are
`NAME.woff2` in the folder `fonts` of LENET_DATA or of the cache.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lenet.data.cache import ARCHIVE_ERRORS, Listing, cache_folder, writing_cache
from lenet.data.unpack import read_unpacked
from lenet.errors import DataError
from lenet.files import write_bytes

FONTS = "fonts"
"""The name of the fonts in `lenet data`, and of their folder."""
REGISTRIES = ("https://registry.npmjs.org", "https://registry.npmmirror.com")
"""The npm registries that are asked for a font, in this order."""
_MAX_UNPACKED = 32_000_000  # bytes; the largest package of the table unpacks to 14 MB


@dataclass(frozen=True)
class Font:
    """One font of the table."""

    name: str
    version: str
    """The version of the npm package."""
    licence: str
    """The licence that the package states: `OFL-1.1` or `Apache-2.0`."""
    size: int
    """Bytes of the font file."""
    sha256: str
    """The digest of the font file."""
    packed_size: int
    """Bytes of the package."""
    packed_sha256: str
    """The digest of the package."""
    omits: str = ""
    """Characters that the font lacks, or draws as another character: a full stop that is a ring, say."""

    @property
    def member(self) -> str:
        """The name of the font file in the package: the Latin characters, upright, of regular weight."""
        return f"package/files/{self.name}-latin-400-normal.woff2"


@cache
def list_fonts() -> dict[str, Font]:
    """Every font of the table by name, whether its file is here or not."""
    rows = json.loads(Path(__file__).with_name("fonts.json").read_text("utf-8"))
    return {row["name"]: Font(**row) for row in rows}


def find_handwriting_fonts() -> list[Font]:
    """Every font of the table, in the table's order; missing files are downloaded to the cache.

    Raises DataError for a file in LENET_DATA that is not the published one, DownloadError when a missing font
    cannot be downloaded.
    """
    for name in list_fonts():
        read_font(name)
    return list(list_fonts().values())


def read_font(name: str) -> bytes:
    """The bytes (WOFF2) of a font of the table, verified; downloaded if LENET_DATA and the cache lack it.

    Raises DataError for an unknown name or a file in LENET_DATA that is not the published one, DownloadError
    when the font cannot be downloaded.
    """
    if name not in list_fonts():
        raise DataError(f"no handwriting font is called {name!r}; `lenet.data.fonts.list_fonts()` names them")
    font = list_fonts()[name]
    for where, folder in _folders():
        path = folder / f"{name}.woff2"
        if not path.is_file():
            continue
        content = _read_file(path, font.size)
        if _is_font(font, content):
            return content
        if where == "LENET_DATA":  # a damaged file in the cache is replaced, one of the user's is not
            raise DataError(f"{path}: not the font {name} {font.version} (wrong checksum); remove it")
    return _fetch_font(font)


def fetch_fonts() -> Path:
    """The folder of the fonts: the cache if LENET_DATA lacks some. Missing fonts are downloaded to the cache.

    Raises as `find_handwriting_fonts`.
    """
    find_handwriting_fonts()
    return next(folder for where, folder in _folders() if where == describe_fonts().found)


def describe_fonts() -> Listing:
    """The fonts as one line of `lenet data list`. The files are not opened."""
    licences = ", ".join(sorted({font.licence for font in list_fonts().values()}, reverse=True))
    found = "missing"
    folders: list[Path] = []
    for where, folder in _folders():
        folders.append(folder)
        if all(any((place / f"{name}.woff2").is_file() for place in folders) for name in list_fonts()):
            found = where
            break
    return Listing(FONTS, 0, 0, (), f"{len(list_fonts())} handwriting fonts, {licences}", found)


def _folders() -> Iterator[tuple[str, Path]]:
    if chosen := os.environ.get("LENET_DATA"):
        yield "LENET_DATA", Path(chosen).expanduser() / FONTS
    yield "cache", cache_folder() / FONTS


def _read_file(path: Path, size: int) -> bytes:
    """The file, or its first `size + 1` bytes: then it is not the one expected."""
    try:
        with path.open("rb") as file:
            return file.read(size + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _is_font(font: Font, content: bytes) -> bool:
    return len(content) == font.size and hashlib.sha256(content).hexdigest() == font.sha256


def _fetch_font(font: Font) -> bytes:
    from lenet.data.download import download, list_own_mirrors

    def check(path: Path) -> None:
        content = _read_file(path, max_bytes)
        if not _is_font(font, content) and hashlib.sha256(content).hexdigest() != font.packed_sha256:
            raise DataError(f"{path.name}: neither the font nor its package")

    max_bytes = max(font.size, font.packed_size)
    package = f"{font.name}-{font.version}.tgz"
    # The user's mirror holds font files, as LENET_DATA does; a registry holds packages.
    urls = [f"{mirror}{font.name}.woff2" for mirror in list_own_mirrors(FONTS)]
    urls += [f"{registry}/@fontsource/{font.name}/-/{package}" for registry in REGISTRIES]
    with writing_cache(), tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache_folder()) as scratch:
        target = Path(scratch) / package
        download(urls, target, "", max_bytes, check=check)
        content = target.read_bytes()
        return keep_font(font, content if _is_font(font, content) else extract_font(font, target))


def keep_font(font: Font, content: bytes) -> bytes:
    """Write the bytes of a font to the cache, atomically; returns them."""
    with writing_cache():
        write_bytes(cache_folder() / FONTS / f"{font.name}.woff2", content)
    return content


def extract_font(font: Font, package: Path) -> bytes:
    """The verified font file in an npm package. Only that member is read, and nothing is unpacked to disk.

    Raises DataError when the package is damaged, unpacks to more than 32 MB, or does not hold the font.
    """
    tar = read_unpacked(package, _MAX_UNPACKED)
    content = b""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as members:
            for member in members:
                if member.name == font.member and member.isreg() and member.size == font.size:
                    stream = members.extractfile(member)
                    content = stream.read() if stream else b""
    except ARCHIVE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{package.name}: not the expected package ({reason}); download it again") from error
    if not _is_font(font, content):
        raise DataError(f"{package.name}: does not hold {font.member} as published; download it again")
    return content
