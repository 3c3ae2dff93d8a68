"""Where the files of the named data sets lie: LENET_DATA, the cache folder, and the way into the cache."""

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
from lenet.data.unpack import read_pieces, read_unpacked
from lenet.errors import DataError
from lenet.files import write_bytes

if TYPE_CHECKING:
    from lenet.data.download import Progress

ARCHIVE_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a way of packing that nobody uses
    RuntimeError,  # encrypted
    ValueError,
)
"""What reading a damaged or foreign archive can raise."""


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
    """LENET_CACHE, or the platform's folder for caches."""
    if chosen := os.environ.get("LENET_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("lenet"))


def list_sources() -> list[Listing]:
    """Every data set known by name, and where its files were found (looked for, not opened)."""
    return [
        Listing(source.name, source.train, source.test, source.classes, source.licence, _found(source))
        for source in SOURCES.values()
    ]


def read_source_file(source: Source, file: SourceFile) -> tuple[bytearray, Path]:
    """The unpacked, verified bytes of one file of a data set, fetched first if it is nowhere; and its path.

    Raises DataError when the file found is not the published one, DownloadError when none can be fetched.
    """
    path = _find(source, file)
    if path is None:
        path = _find(source, file, fetch(source.name))
    if path is None:
        raise DataError(f"{file.name} of {source.name} disappeared; run `lenet data fetch {source.name}`")
    content = read_unpacked(path, file.size)
    verify(content, file, source.name, str(path))
    return content, path


def verify(content: bytearray, file: SourceFile, source: str, name: str) -> None:
    """Raise DataError, calling the bytes `name`, unless they are the unpacked `file` as published.

    Where nobody has published a checksum of the unpacked file, only its length is compared; its packed
    form was verified when it was fetched.
    """
    if len(content) != file.size or (file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256):
        raise DataError(
            f"{name}: not the {file.name} of {source} (wrong checksum); remove it and run "
            f"`lenet data fetch {source}`"
        )


def fetch(name: str, progress: "Progress | None" = None) -> Path:
    """The folder in which a data set lies, fetched into the cache first if it lies nowhere.

    Raises DataError for an unknown name or a damaged copy in LENET_DATA, DownloadError when no mirror helps.
    """
    source = find_source(name)
    if not source.files:
        return _bundled_digits()
    for where, folder in _folders(source):
        if where == "LENET_DATA" and all(_find(source, file, folder) for file in source.all_files):
            for file in source.all_files:
                read_source_file(source, file)
            return folder
    folder = cache_folder() / source.name
    missing = [file for file in source.all_files if not _is_sound(source, file, folder)]
    if missing:
        with _writing_cache(), tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache_folder()) as scratch:
            if source.bundle and not _own_mirrors(source):
                _fetch_bundle(source.bundle, Path(scratch), progress)
            else:
                for file in missing:
                    _fetch_file(source, file, Path(scratch), progress)
    return folder


def keep(source: Source, file: SourceFile, packed: bytes | bytearray) -> Path:
    """Put verified bytes, packed or not, into the cache as `file`, whole or not at all."""
    folder = cache_folder() / source.name
    path = folder / (file.name + (".gz" if packed[:2] == b"\x1f\x8b" else ""))
    with _writing_cache():
        write_bytes(path, bytes(packed))
        # Copies under its other names would be found before it, and may be damaged.
        for other in file_names(file):
            if other != path.name:
                (folder / other).unlink(missing_ok=True)
    return path


@contextmanager
def _writing_cache() -> Iterator[None]:
    """Make the cache folder, and raise DataError when it cannot be made or written."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{cache_folder()}: cannot be written ({reason}); point LENET_CACHE elsewhere"
        ) from error


def file_names(file: SourceFile) -> tuple[str, ...]:
    """The names under which a file is looked for: as published, or with a dot before idx; packed or not."""
    dotted = file.name.replace("-idx", ".idx")
    return file.name, dotted, f"{file.name}.gz", f"{dotted}.gz"


def _fetch_file(source: Source, file: SourceFile, scratch: Path, progress: "Progress | None") -> None:
    from lenet.data.download import download

    own = _own_mirrors(source)
    target = scratch / f"{file.name}.gz"
    if own:
        # A mirror of one's own may hold files packed anew, so what is inside decides.
        download([f"{mirror}{target.name}" for mirror in own], target, "", file.max_packed, progress=progress)
    else:
        urls = [f"{mirror}{target.name}" for mirror in source.mirrors]
        download(urls, target, file.packed, file.max_packed, progress=progress)
    verify(read_unpacked(target, file.size), file, source.name, str(target.name))
    keep(source, file, target.read_bytes())


def _fetch_bundle(bundle: Bundle, scratch: Path, progress: "Progress | None") -> None:
    from lenet.data.download import download

    archive = scratch / "bundle.zip"
    download(bundle.urls, archive, bundle.packed, bundle.size, progress=progress)
    unbundle(bundle, archive)


def unbundle(bundle: Bundle, archive: Path) -> None:
    """Put the files of every data set that comes in this archive into the cache, and nothing else of it."""
    try:
        with zipfile.ZipFile(archive) as members:
            for source in SOURCES.values():
                for file in source.all_files if source.bundle == bundle else ():
                    with members.open(f"{bundle.folder}/{file.name}.gz") as stream:
                        packed = read_pieces(stream, file.max_packed + 1)  # type: ignore[arg-type]
                    if len(packed) > file.max_packed:
                        raise DataError(f"{archive}: {file.name} is larger than it can be; fetch it again")
                    keep(source, file, packed)
    except (*ARCHIVE_FAULTS, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{archive}: not the archive expected ({reason}); get it again") from error


def _found(source: Source) -> str:
    if not source.files:
        return "install"
    for where, folder in _folders(source):
        if all(_find(source, file, folder) for file in source.all_files):
            return where
    return "missing"


def _folders(source: Source) -> Iterator[tuple[str, Path]]:
    if chosen := os.environ.get("LENET_DATA"):
        yield "LENET_DATA", Path(chosen).expanduser() / source.name
    yield "cache", cache_folder() / source.name


def _find(source: Source, file: SourceFile, folder: Path | None = None) -> Path | None:
    """Where the file lies, in `folder` or in the first of the usual ones; None when it is nowhere."""
    for place in [folder] if folder else [place for _, place in _folders(source)]:
        for name in file_names(file):
            if (place / name).is_file():
                return place / name
    return None


def _is_sound(source: Source, file: SourceFile, folder: Path) -> bool:
    path = _find(source, file, folder)
    if path is None:
        return False
    try:
        verify(read_unpacked(path, file.size), file, source.name, str(path))
    except DataError:
        return False
    return True


def _own_mirrors(source: Source) -> list[str]:
    """LENET_MIRROR: the address of a folder with one folder per data set, on a classroom's network say."""
    address = os.environ.get("LENET_MIRROR")
    return [f"{address.rstrip('/')}/{source.name}/"] if address else []


def _bundled_digits() -> Path:
    """The folder of scikit-learn that holds the digits."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("scikit-learn is missing, and the digits with it; install lenet again")
    return Path(spec.origin).parent / "datasets" / "data"
