"""Atomic file writes: a file appears complete or not at all. Locks, and names of files as printable text."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block succeeds, flush it and rename it to `path`.

    A reader sees the old file or the new one, never a part. When the block raises (or the disk is full),
    `path` is unchanged and the temporary file is removed. The target of a symbolic link is replaced, and a
    file keeps its mode. Raises what the block or the system raises, with the name `path`, and OSError for
    an existing `path` that is not a regular file, is read-only or has other hard links.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    mode = _check_target(target, path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(mode)  # mkstemp makes the file private
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        # A full disk names no file, and other faults the temporary one.
        if isinstance(error, OSError) and error.errno and str(error.filename or ".part").endswith(".part"):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _flush_folder(target.parent)


def _check_target(target: Path, path: Path) -> int:
    """The mode that the new file gets: that of the existing file, or the one that `open` gives."""
    try:
        status = target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _new_mode()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file; name another file", str(path))
    if status.st_nlink > 1:
        raise OSError(errno.EMLINK, "Has other hard links, which would keep the old content", str(path))
    if not status.st_mode & 0o222:  # for root, too, who may write to any file
        raise PermissionError(errno.EACCES, "The file is read-only", str(path))
    return stat.S_IMODE(status.st_mode)


def _new_mode() -> int:
    """The mode that `open` gives a new file."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, atomically."""
    write_bytes(path, content.encode())


def create_bytes(path: Path, content: bytes) -> bool:
    """Write a new file, which appears complete; False, and nothing is written, if there is one at `path`.

    Of several processes that try at once, on whatever machines share the folder, one succeeds. (Where the
    file system has no hard links, the last one replaces the files of the others.)
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        write_bytes(Path(name), content)
        Path(name).chmod(_new_mode())  # mkstemp makes the file private
        os.link(name, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        write_bytes(path, content)
    finally:
        Path(name).unlink(missing_ok=True)
    _flush_folder(path.parent)
    return True


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of an existing file or folder in a block; yield False where another process holds it.

    With `wait`, wait for it. The system releases the lock when the process ends, however it ends.
    """
    if os.name == "nt":  # which opens no folder
        yield True
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield take_lock(descriptor, wait=wait)
    finally:
        os.close(descriptor)


def take_lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed; False where another process has locked it.

    Windows and some file systems of networks have no such lock: there, every process gets it.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def escape_unprintable(text: str, kept: str = "") -> str:
    """The text with Python's escapes for line ends, control characters and invalid bytes, but not for those
    in `kept`. A terminal acts on such characters, and names of files may hold them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def _flush_folder(folder: Path) -> None:
    """Flush the rename to the disk, so that it survives a power cut; Windows cannot flush a folder."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
