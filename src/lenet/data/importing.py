"""Imports files of a known data set, or handwriting fonts, into the cache; their content identifies them."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from lenet.data.cache import ARCHIVE_ERRORS, cache_file, cache_folder, list_file_names, unbundle, verify_file
from lenet.data.fonts import FONTS, keep_font, list_fonts
from lenet.data.sources import SOURCES, Source, SourceFile, find_source
from lenet.data.unpack import read_up_to, unpacking
from lenet.errors import DataError

_MAX_FILES = 10_000
_MAX_BYTES = max(file.max_packed for source in SOURCES.values() for file in source.all_files)
_MAX_UNPACKED = 300_000_000  # bytes of all files together, or as many as _MAX_PACKING times the bytes given
_MAX_PACKING = 20  # images of digits are packed to a tenth
Entry = TypeVar("Entry")
Found = dict[str, dict[SourceFile, bytes]]
"""The files recognised of each data set."""


class _Allowance:
    """The bytes that an import may still unpack: a small archive must not take minutes."""

    def __init__(self, path: Path) -> None:
        files = [path] if path.is_file() else (file for file in path.rglob("*") if file.is_file())
        self._path = path
        self._left = max(_MAX_UNPACKED, _MAX_PACKING * sum(file.stat().st_size for file in files))

    def spend(self, count: int) -> None:
        """Raises DataError when more is unpacked than the files of a data set hold."""
        self._left -= count
        if self._left < 0:
            raise DataError(f"{self._path}: unpacks to far more than a data set holds; download it again")


def import_data(path: str | Path, name: str | None = None) -> Path:
    """Copy the files of one known data set, or handwriting fonts, to the cache; returns the folder there.

    `path` is a folder, a zip or tar archive, or a single file. The files may be packed or not and have any
    name: checksums identify them. If no checksum of the unpacked file is published, `name` must give the
    data set, and names and lengths identify its files. With the name `fonts`, or if no data set is found, the
    `.woff2` files of known fonts are copied.
    Raises DataError when nothing is recognised, a file is missing, or files of two data sets are found.
    """
    path = Path(path).expanduser()
    if name == FONTS:
        return _import_fonts(path)
    wanted = [find_source(name)] if name else [source for source in SOURCES.values() if source.files]
    if wanted[0].name == "digits":
        raise DataError("digits are part of the install; there is nothing to import")
    if folder := _import_bundle(path, wanted):
        return folder
    found: Found = {}
    allowance = _Allowance(path)
    for entry, content in _read_contents(path, allowance):
        for source, file in _recognise(entry, content, wanted, allowance, by_name=name is not None):
            found.setdefault(source.name, {})[file] = content
    if not found and name:
        raise DataError(f"{path}: holds no file of {name} (by checksum)")
    if not found:
        return _import_fonts(path, *(source.name for source in wanted))
    if len(found) > 1:
        raise DataError(f"{path}: holds files of {' and '.join(found)}; name the one to import")
    ((set_name, files),) = found.items()
    return _cache_all(SOURCES[set_name], files, path)


def _import_fonts(path: Path, *absent: str) -> Path:
    """Copy the known fonts in `path` to the cache; the data sets `absent` were not found there."""
    known = {font.sha256: font for font in list_fonts().values()}
    found = 0
    for _, content in _read_contents(path, _Allowance(path)):
        if font := known.get(hashlib.sha256(content).hexdigest()):
            keep_font(font, content)
            found += 1
    if not found:
        hint = "; name the data set if you know which it is" if absent else ""
        raise DataError(f"{path}: holds no file of {', '.join((*absent, FONTS))} (by checksum){hint}")
    return cache_folder() / FONTS


def _cache_all(source: Source, files: dict[SourceFile, bytes], path: Path) -> Path:
    folder = cache_folder() / source.name
    for file in source.all_files:
        if file not in files and not any((folder / name).is_file() for name in list_file_names(file)):
            raise DataError(f"{path}: this is {source.name}, but {file.name} is missing or damaged; add it")
    for file, content in files.items():
        cache_file(source, file, content)
    return folder


def _import_bundle(path: Path, wanted: list[Source]) -> Path | None:
    """Import `path` if it is exactly the archive that a data set is published in; None if it is not."""
    for source in wanted:
        bundle = source.bundle
        if bundle and path.is_file() and path.stat().st_size == bundle.size:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if bundle.packed == f"sha256:{digest}":
                unbundle(bundle, path)
                return cache_folder() / source.name
    return None


def _recognise(
    entry: str, content: bytes, wanted: list[Source], allowance: _Allowance, *, by_name: bool
) -> Iterator[tuple[Source, SourceFile]]:
    """The files of the wanted data sets whose content, packed or not, is `content`."""
    digests = {f"{kind}:{hashlib.new(kind, content).hexdigest()}" for kind in ("sha256", "md5")}
    base = entry.replace("\\", "/").rsplit("/", 1)[-1]
    unpacked: bytearray | None = None
    for source in wanted:
        for file in source.all_files:
            if file.packed in digests:
                yield source, file
            elif file.sha256 or (by_name and base in list_file_names(file)):
                if unpacked is None:
                    unpacked = _unpack(content, entry)
                    allowance.spend(len(unpacked))
                try:
                    verify_file(unpacked, file, source.name, entry)
                except DataError:
                    continue
                yield source, file


def _unpack(content: bytes, entry: str) -> bytearray:
    """The unpacked bytes; empty if the gzip stream is damaged, since no published file is."""
    try:
        with unpacking(io.BytesIO(content), entry) as stream:
            return read_up_to(stream, _MAX_BYTES)
    except DataError:
        return bytearray()


def _read_contents(path: Path, allowance: _Allowance) -> Iterator[tuple[str, bytes]]:
    """The name and the bytes of every file in a folder or archive, or of the file; omits too large files."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if not (path.is_dir() or path.is_file()):  # a device or a pipe may never end
        raise DataError(f"{path}: neither a folder nor a file; give the file that was downloaded")
    try:
        if path.is_dir():
            yield from _read_folder(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as members:
                _check_sizes(members, path)
                for member in _limit_count(members.infolist(), path):
                    if not member.is_dir() and member.file_size <= _MAX_BYTES:
                        allowance.spend(member.file_size)
                        with members.open(member) as stream:
                            yield member.filename, bytes(read_up_to(stream, _MAX_BYTES))  # type: ignore[arg-type]
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for entry in _limit_count(archive, path):
                    allowance.spend(entry.size)  # also what is passed over is unpacked
                    stream_ = archive.extractfile(entry) if entry.isfile() else None
                    if stream_ is not None and entry.size <= _MAX_BYTES:
                        yield entry.name, bytes(read_up_to(stream_, _MAX_BYTES))  # type: ignore[arg-type]
        else:
            yield str(path), path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
    except ARCHIVE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); download it again") from error


def _check_sizes(members: zipfile.ZipFile, path: Path) -> None:
    """Refuse a zip whose members overlap: they are a small file that unpacks to any size."""
    packed = sum(member.compress_size for member in members.infolist())
    if packed > path.stat().st_size:
        raise DataError(f"{path}: its members overlap; download it again")


def _read_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for entry in _limit_count(sorted(folder.rglob("*")), folder):
        if entry.is_file() and entry.stat().st_size <= _MAX_BYTES:
            yield str(entry), entry.read_bytes()


def _limit_count(entries: Iterable[Entry], path: Path) -> Iterator[Entry]:
    for count, entry in enumerate(entries):
        if count >= _MAX_FILES:
            raise DataError(f"{path}: holds more than {_MAX_FILES} files; give the folder of the data set")
        yield entry
