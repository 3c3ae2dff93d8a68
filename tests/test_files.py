"""Files appear whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lenet.files import create_bytes, locked, replacing, write_bytes, write_text


def test_a_file_is_written_with_its_folders(tmp_path: Path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_the_old_content_is_there_until_the_new_one_is_whole(tmp_path: Path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == path.parent  # or the rename would be a copy
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_changes_nothing(tmp_path: Path, kind: type[BaseException]):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise kind

    with pytest.raises(kind):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_changes_nothing(tmp_path: Path, full_disk: Callable[[int], Any]):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with full_disk(1000), pytest.raises(OSError, match="too large"):
        write_bytes(path, bytes(2000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_stays(tmp_path: Path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_bytes(tmp_path / "taken", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_has_the_mode_that_the_user_wants(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
def test_links_and_modes_stay(tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    write_bytes(target, b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
@pytest.mark.parametrize("kind", ["pipe", "read-only", "hard link", "device"])
def test_what_must_not_be_replaced_is_refused(tmp_path: Path, kind: str):
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    else:
        write_bytes(path, b"old")
    if kind == "read-only":
        path.chmod(0o444)
    if kind == "hard link":
        (tmp_path / "other").hardlink_to(path)
    with pytest.raises(OSError, match=path.name):
        write_bytes(path, b"new")
    assert kind in ("pipe", "device") or path.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_names_the_file(tmp_path: Path, full_disk: Callable[[int], Any]):
    with full_disk(10), pytest.raises(OSError, match="too large") as caught:
        write_bytes(tmp_path / "file", bytes(2000))
    assert caught.value.filename == str(tmp_path / "file")


def test_a_new_file_is_written_once_and_whole(tmp_path: Path):
    path = tmp_path / "deep" / "a"
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda number: create_bytes(path, bytes([number]) * 1000), range(8)))
    assert sum(done) == 1
    assert path.read_bytes() == bytes([done.index(True)]) * 1000
    assert [file.name for file in path.parent.iterdir()] == ["a"]
    (tmp_path / "b").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_lock_that_the_file_system_does_not_have_is_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with locked(tmp_path, wait=False) as is_ours, locked(tmp_path, wait=False) as again:
        assert (is_ours, again) == (True, False)
    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path, wait=False) as is_ours, locked(tmp_path, wait=False) as again:
        assert (is_ours, again) == (True, True)
