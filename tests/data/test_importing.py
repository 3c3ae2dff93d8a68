"""Files got elsewhere: recognised by what is in them."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenet.data import importing
from lenet.data.datasets import load
from lenet.data.fonts import Font
from lenet.data.importing import import_data
from lenet.data.sources import SOURCES
from lenet.errors import DataError

from .conftest import make_tiny


def pack(folder: Path, kind: str) -> Path:
    """A folder as it is, or as an archive beside it."""
    if kind == "folder":
        return folder
    archive = folder.with_suffix(f".{kind}")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as members:
            for path in paths:
                members.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as members:
            for path in paths:
                members.add(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("kind", ["folder", "zip", "tgz"])
@pytest.mark.parametrize("packed", [True, False])
def test_recognised_under_any_name(
    tiny, server, cache: Path, tmp_path: Path, kind: str, packed: bool
) -> None:
    folder = tiny.write(tmp_path / "got" / "deep", packed=packed)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"file{number}.bin")
    (folder / "read me.txt").write_text("not a data set")
    (folder / "broken.gz").write_bytes(b"\x1f\x8b\x08 broken")
    assert import_data(pack(tmp_path / "got", kind)) == cache / "tiny"
    assert len(load("tiny", "train")) == 6
    assert not server.requests


def test_incomplete_until_the_last_file(tiny, cache: Path, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "got")
    last = folder / "t10k-labels-idx1-ubyte.gz"
    content = last.read_bytes()
    last.write_bytes(content[:-9])
    with pytest.raises(DataError, match="this is tiny, but t10k-labels-idx1-ubyte is missing or damaged"):
        import_data(folder)
    assert not cache.exists()
    last.write_bytes(content)
    assert import_data(folder) == cache / "tiny"
    last.write_bytes(content)
    assert import_data(last).name == "tiny"


def test_two_sets_need_a_name(tiny, cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_tiny("other", seed=9)
    monkeypatch.setitem(SOURCES, "other", other.source)
    tiny.write(tmp_path / "got" / "a")
    other.write(tmp_path / "got" / "b")
    # The labels of both sets are the same files, and count for both.
    with pytest.raises(DataError, match=r"tiny and other|other and tiny"):
        import_data(tmp_path / "got")
    assert import_data(tmp_path / "got", "other") == cache / "other"
    assert torch.equal(load("other", "train").images[:, 0], other.tensors["train-images-idx3-ubyte"])


def test_named_set_without_a_published_checksum(
    cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_tiny("plain", known_inside=False)
    monkeypatch.setitem(SOURCES, "plain", plain.source)
    folder = plain.write(tmp_path / "got", packed=False)
    with pytest.raises(DataError, match="name the data set"):
        import_data(folder)
    assert import_data(folder, "plain") == cache / "plain"
    assert len(load("plain", "test")) == 4
    packed = plain.write(tmp_path / "packed")
    assert import_data(packed) == cache / "plain"


def test_published_archive(letters, server, cache: Path, tmp_path: Path) -> None:
    archive = tmp_path / "got.zip"
    archive.write_bytes(server.files["/letters.zip"])
    assert import_data(archive) == cache / "letters"
    assert len(load("letters", "train")) == 6
    assert not server.requests
    assert not list(tmp_path.rglob("escape.txt"))


@pytest.mark.parametrize("what", ["nothing", "empty folder", "text", "broken zip", "digits", "unknown"])
def test_faults_are_one_line(cache, tmp_path: Path, what: str) -> None:
    path, name = tmp_path / "got", None
    if what == "empty folder":
        path.mkdir()
    elif what == "text":
        path.write_text("hello")
    elif what == "broken zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
            members.writestr("a", bytes(1000))
        content = bytearray(archive.getvalue())
        content[33] ^= 0xFF
        path.write_bytes(content)
    elif what in ("digits", "unknown"):
        path.mkdir()
        name = what
    with pytest.raises(DataError) as caught:
        import_data(path, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "zip", "tgz"])
@pytest.mark.parametrize("name", ["fonts", None])
def test_fonts_are_recognised_under_any_name(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str | None
) -> None:
    content = bytes(range(256)) * 9
    font = Font("tiny-hand", "5.3.0", "OFL-1.1", len(content), hashlib.sha256(content).hexdigest(), 1, "")
    monkeypatch.setattr(importing, "list_fonts", lambda: {font.name: font})
    (tmp_path / "got").mkdir()
    (tmp_path / "got" / "download(1)").write_bytes(content)
    (tmp_path / "got" / "tiny-hand.woff2").write_bytes(content[:-1] + b"?")
    assert import_data(pack(tmp_path / "got", kind), name) == cache / "fonts"
    assert (cache / "fonts" / "tiny-hand.woff2").read_bytes() == content
    assert len(list((cache / "fonts").iterdir())) == 1


def test_no_font_is_imported_from_other_files(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no font")
    with pytest.raises(DataError, match=r"holds no file of fonts \(by checksum\)$"):
        import_data(tmp_path / "note.txt", "fonts")
    with pytest.raises(DataError, match=r"mnist, .*, fonts \(by checksum\); name the data set"):
        import_data(tmp_path / "note.txt")
    assert not cache.exists()


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("packed_twice", [False, True])
def test_an_archive_does_not_unpack_to_any_size(
    cache, tmp_path: Path, kind: str, packed_twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each member is no larger than a file of a data set, but there are many of them."""
    monkeypatch.setattr(importing, "_MAX_UNPACKED", 3_000_000)
    blank = bytes(1_000_000)
    content = archive_of(kind, {str(n): gzip.compress(blank) if packed_twice else blank for n in range(8)})
    (tmp_path / "got").write_bytes(content)
    if kind == "tar" and not packed_twice:  # as large as what is in it
        with pytest.raises(DataError, match="holds no file of"):
            import_data(tmp_path / "got")
        return
    with pytest.raises(DataError, match="unpacks to far more than a data set holds"):
        import_data(tmp_path / "got")


@given(kind=st.sampled_from(["zip", "tgz", "tar"]), data=st.data())
def test_damaged_archives_import_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    made = make_tiny("damaged")
    content = bytearray(archive_of(kind, made.packed))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / "got"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_CACHE", str(folder / "cache"))
        patch.setitem(SOURCES, "damaged", made.source)
        try:
            import_data(path)
        except DataError:
            assert not (folder / "cache").exists()
            return
        assert torch.equal(load("damaged", "train").images[:, 0], made.tensors["train-images-idx3-ubyte"])


def archive_of(kind: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as members:
            for name, content in files.items():
                members.writestr(f"{name}.gz", content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if kind == "tgz" else "w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"{name}.gz")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
