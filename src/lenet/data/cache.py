"""Finds the files of the named data sets in LENET_DATA or the cache folder, and fills the cache."""

import hashlib
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.data.sources import SOURCES, Bundle, Source, SourceFile, find_source
from lenet.data.unpack import read_unpacked, read_up_to
from lenet.errors import DataError
from lenet.files import write_bytes

if TYPE_CHECKING:
    from lenet.data.download import Progress

ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # an unsupported compression method
    RuntimeError,  # encrypted
    ValueError,
)
"""The exceptions that a damaged or foreign archive can raise."""


@dataclass(frozen=True)
class Listing:
    """One line of `lenet data list`."""

    name: str
    train: int
    test: int
    classes: tuple[str, ...]
    licence: str
    found: str
    """`install`, `LENET_DATA`, `cache` or `missing`."""


def cache_folder() -> Path:
    """The folder LENET_CACHE, or the platform's cache folder."""
    if chosen := os.environ.get("LENET_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("lenet"))


def list_sources() -> list[Listing]:
    """Every data set known by name, and where its files exist. The files are not opened."""
    return [
        Listing(source.name, source.train, source.test, source.classes, source.licence, _locate(source))
        for source in SOURCES.values()
    ]


def read_source_file(source: Source, file: SourceFile) -> tuple[bytearray, Path]:
    """The unpacked, verified bytes of one file of a data set, and its path; downloads a missing file.

    Raises DataError when the file is not the published one, DownloadError when it cannot be downloaded.
    """
    path = _find_file(source, file)
    if path is None:
        path = _find_file(source, file, fetch(source.name))
    if path is None:
        raise DataError(f"{file.name} of {source.name} disappeared; run `lenet data fetch {source.name}`")
    content = read_unpacked(path, file.size)
    verify_file(content, file, source.name, str(path))
    return content, path


def verify_file(content: bytearray, file: SourceFile, source: str, name: str) -> None:
    """Raise DataError unless `content` is the unpacked `file` as published; the message names it `name`.

    If no checksum of the unpacked file is published, only the length is compared; the packed file was
    verified when it was downloaded.
    """
    if len(content) != file.size or (file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256):
        raise DataError(
            f"{name}: not the {file.name} of {source} (wrong checksum); remove it and run "
            f"`lenet data fetch {source}`"
        )


def fetch(name: str, progress: "Progress | None" = None) -> Path:
    """The folder that holds a data set; a missing data set is downloaded into the cache.

    Raises DataError for an unknown name or a damaged copy in LENET_DATA, DownloadError when all mirrors fail.
    """
    source = find_source(name)
    if not source.files:
        return _bundled_digits()
    for where, folder in _folders(source):
        if where == "LENET_DATA" and all(_find_file(source, file, folder) for file in source.all_files):
            for file in source.all_files:
                read_source_file(source, file)
            return folder
    folder = cache_folder() / source.name
    missing = [file for file in source.all_files if not _is_intact(source, file, folder)]
    if missing:
        with writing_cache(), tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache_folder()) as scratch:
            if source.bundle:
                _fetch_bundle(source, source.bundle, Path(scratch), progress)
            else:
                for file in missing:
                    _fetch_file(source, file, Path(scratch), progress)
    return folder


def cache_file(source: Source, file: SourceFile, packed: bytes | bytearray) -> Path:
    """Write verified bytes, packed or not, to the cache as `file`, atomically; returns the path."""
    folder = cache_folder() / source.name
    path = folder / (file.name + (".gz" if packed[:2] == b"\x1f\x8b" else ""))
    with writing_cache():
        write_bytes(path, bytes(packed))
        # A damaged copy under another name of the file would be found first.
        for other in list_file_names(file):
            if other != path.name:
                (folder / other).unlink(missing_ok=True)
    return path


@contextmanager
def writing_cache() -> Iterator[None]:
    """Create the cache folder; raise DataError when it cannot be created or written."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{cache_folder()}: cannot be written ({reason}); point LENET_CACHE elsewhere"
        ) from error


def list_file_names(file: SourceFile) -> tuple[str, ...]:
    """The names that a file may have: as published, or with a dot before idx; packed or not."""
    dotted = file.name.replace("-idx", ".idx")
    return file.name, dotted, f"{file.name}.gz", f"{dotted}.gz"


def _fetch_file(source: Source, file: SourceFile, scratch: Path, progress: "Progress | None") -> None:
    from lenet.data.download import download, list_own_mirrors

    def check(path: Path) -> None:
        verify_file(read_unpacked(path, file.size), file, source.name, target.name)

    target = scratch / f"{file.name}.gz"
    own = [mirror + name for mirror in list_own_mirrors(source.name) for name in (target.name, file.name)]
    urls = [*own, *(mirror + target.name for mirror in source.mirrors)]
    # The files of the user's mirror may be unpacked, or packed again: what counts is the checksum of the
    # content, where it is published.
    digest = "" if file.sha256 else file.packed
    download(urls, target, digest, file.max_packed, check=check, progress=progress)
    cache_file(source, file, target.read_bytes())


def _fetch_bundle(source: Source, bundle: Bundle, scratch: Path, progress: "Progress | None") -> None:
    from lenet.data.download import download, list_own_mirrors

    name = bundle.urls[0].rsplit("/", 1)[-1]
    urls = [*(mirror + name for mirror in list_own_mirrors(source.name)), *bundle.urls]
    download(urls, scratch / name, bundle.packed, bundle.size, progress=progress)
    unbundle(bundle, scratch / name)


def unbundle(bundle: Bundle, archive: Path) -> None:
    """Copy the files of every data set in this archive to the cache; all other members are ignored.

    Raises DataError when the archive is damaged or a file is missing.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            for source in SOURCES.values():
                for file in source.all_files if source.bundle == bundle else ():
                    with members.open(f"{bundle.folder}/{file.name}.gz") as stream:
                        packed = read_up_to(stream, file.max_packed + 1)  # type: ignore[arg-type]
                    if len(packed) > file.max_packed:
                        raise DataError(f"{archive}: {file.name} is larger than expected; fetch it again")
                    cache_file(source, file, packed)
    except (*ARCHIVE_ERRORS, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{archive}: not the expected archive ({reason}); download it again") from error


def _locate(source: Source) -> str:
    if not source.files:
        return "install"
    for where, folder in _folders(source):
        if all(_find_file(source, file, folder) for file in source.all_files):
            return where
    return "missing"


def _folders(source: Source) -> Iterator[tuple[str, Path]]:
    if chosen := os.environ.get("LENET_DATA"):
        yield "LENET_DATA", Path(chosen).expanduser() / source.name
    yield "cache", cache_folder() / source.name


def _find_file(source: Source, file: SourceFile, folder: Path | None = None) -> Path | None:
    """The path of a file in `folder`, or in the first standard folder that has it; None if none has it."""
    for place in [folder] if folder else [place for _, place in _folders(source)]:
        for name in list_file_names(file):
            if (place / name).is_file():
                return place / name
    return None


def _is_intact(source: Source, file: SourceFile, folder: Path) -> bool:
    path = _find_file(source, file, folder)
    if path is None:
        return False
    try:
        verify_file(read_unpacked(path, file.size), file, source.name, str(path))
    except DataError:
        return False
    return True


def _bundled_digits() -> Path:
    """The folder of scikit-learn that holds the data set `digits`."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("scikit-learn, which holds the digits, is missing; install lenet again")
    return Path(spec.origin).parent / "datasets" / "data"
