"""The table of fonts, and where their files come from."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lenet.data import fonts
from lenet.data.fonts import (
    Font,
    describe_fonts,
    extract_font,
    fetch_fonts,
    find_handwriting_fonts,
    list_fonts,
    read_font,
)
from lenet.errors import DataError, DownloadError

CONTENT = bytes(range(256)) * 9
NAME = "tiny-hand"
MEMBER = f"package/files/{NAME}-latin-400-normal.woff2"


def pack(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A gzipped tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                archive.addfile(entry, io.BytesIO(member[1]))
    return stream.getvalue()


def describe(package: bytes) -> Font:
    digest, packed_digest = (hashlib.sha256(each).hexdigest() for each in (CONTENT, package))
    return Font(NAME, "5.3.0", "OFL-1.1", len(CONTENT), digest, len(package), packed_digest)


PACKAGE = pack(("package/package.json", b"{}"), ("../../escape.txt", b"never written"), (MEMBER, CONTENT))


@pytest.fixture
def tiny_font(monkeypatch: pytest.MonkeyPatch, cache: Path, server) -> Font:
    """The only font of the table; a registry on this machine has its package."""
    font = describe(PACKAGE)
    monkeypatch.setattr(fonts, "list_fonts", lambda: {NAME: font})
    monkeypatch.setattr(fonts, "REGISTRIES", (f"{server.address}/gone", server.address))
    server.files[f"/@fontsource/{NAME}/-/{NAME}-5.3.0.tgz"] = PACKAGE
    return font


def test_the_table_is_complete() -> None:
    table = list_fonts()
    assert len(table) >= 60
    assert list(table) == sorted(table)
    for field in ("sha256", "packed_sha256"):
        digests = {getattr(font, field) for font in table.values()}
        assert len(digests) == len(table)
        assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
    for name, font in table.items():
        assert font.name == name
        assert font.licence in ("OFL-1.1", "Apache-2.0")
        assert font.version.count(".") == 2
        assert 1000 < font.size < 100_000
        assert font.size < font.packed_size < 20_000_000
        assert not set(font.omits) & set("0123456789-=#$/*")


def test_a_font_is_downloaded_once_then_read_from_the_cache(tiny_font: Font, server, cache: Path) -> None:
    assert describe_fonts().found == "missing"
    assert read_font(NAME) == CONTENT
    assert len(server.requests) == 2  # the first registry has no such package
    assert find_handwriting_fonts() == [tiny_font]
    assert fetch_fonts() == cache / "fonts"
    assert len(server.requests) == 2
    assert describe_fonts().found == "cache"
    assert [path.relative_to(cache) for path in cache.rglob("*") if path.is_file()] == [
        Path("fonts", f"{NAME}.woff2")
    ]
    assert not list(cache.parent.rglob("escape.txt"))


def test_lenet_data_comes_first(
    tiny_font: Font, server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data" / "fonts" / f"{NAME}.woff2"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "data"))
    assert read_font(NAME) == CONTENT
    assert fetch_fonts() == file.parent
    assert describe_fonts().found == "LENET_DATA"
    assert not server.requests
    assert not cache.exists()


@pytest.mark.parametrize("damaged", [CONTENT[:-1] + b"?", CONTENT[:-1], CONTENT + b"?", b""])
def test_another_file_is_refused_in_lenet_data_and_replaced_in_the_cache(
    tiny_font: Font, server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes
) -> None:
    for folder in (cache, tmp_path / "data"):
        (folder / "fonts").mkdir(parents=True)
        (folder / "fonts" / f"{NAME}.woff2").write_bytes(damaged)
    assert read_font(NAME) == CONTENT
    assert (cache / "fonts" / f"{NAME}.woff2").read_bytes() == CONTENT
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="wrong checksum") as caught:
        read_font(NAME)
    assert str(tmp_path / "data") in str(caught.value)


@pytest.mark.parametrize("honest", [True, False])
def test_own_mirror_holds_font_files(
    tiny_font: Font, server, cache: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    monkeypatch.setenv("LENET_MIRROR", f"{server.address}/classroom/")
    server.files[f"/classroom/fonts/{NAME}.woff2"] = CONTENT if honest else CONTENT[::-1]
    assert read_font(NAME) == CONTENT
    assert server.requests[0] == f"/classroom/fonts/{NAME}.woff2"
    assert len(server.requests) == (1 if honest else 3)  # then the registries
    assert (cache / "fonts" / f"{NAME}.woff2").read_bytes() == CONTENT


def test_neither_cache_nor_network(tiny_font: Font, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "REGISTRIES", ("http://127.0.0.1:9",))
    with pytest.raises(DownloadError, match=r"tiny-hand.*lenet data import.*LENET_DATA") as caught:
        find_handwriting_fonts()
    assert "\n" not in str(caught.value)


def test_a_package_with_another_checksum_is_not_opened(tiny_font: Font, server, cache: Path) -> None:
    address = f"/@fontsource/{NAME}/-/{NAME}-5.3.0.tgz"
    # The font in it is the right one: only the checksum of the package can refuse it.
    server.files[address] = pack((MEMBER, CONTENT))
    with pytest.raises(DownloadError, match=r"sends more|wrong checksum"):
        read_font(NAME)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def link(kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(MEMBER)
    entry.type, entry.linkname = kind, "/etc/hostname"
    return entry


def promise(size: int) -> bytes:
    """A package whose member is said to be larger than the archive."""
    entry = tarfile.TarInfo(MEMBER)
    entry.size = size
    return gzip.compress(entry.tobuf() + CONTENT[:100], mtime=0)


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        pytest.param(pack((MEMBER.replace("400", "700"), CONTENT)), "does not hold", id="another weight"),
        pytest.param(pack((MEMBER, CONTENT[::-1])), "does not hold", id="another font"),
        pytest.param(pack((MEMBER, CONTENT * 2)), "does not hold", id="a longer font"),
        pytest.param(pack(link(tarfile.SYMTYPE)), "does not hold", id="a symbolic link"),
        pytest.param(pack(link(tarfile.LNKTYPE)), "does not hold", id="a hard link"),
        pytest.param(pack(link(tarfile.FIFOTYPE)), "does not hold", id="a pipe"),
        pytest.param(promise(len(CONTENT)), "not the expected package", id="cut short"),
        pytest.param(promise(1 << 40), r"does not hold|not the expected", id="promises a terabyte"),
        pytest.param(pack((MEMBER, bytes(40_000_000))), "more than", id="a bomb"),
        pytest.param(PACKAGE[:-9], "cut short", id="half a stream"),
        pytest.param(b"\x1f\x8b" + bytes(99), "damaged", id="no stream"),
        pytest.param(b"<html>moved</html>" * 99, "not the expected package", id="a page"),
        pytest.param(b"", "not the expected package", id="nothing"),
    ],
)
def test_hostile_packages_are_refused(package: bytes, reason: str, tmp_path: Path) -> None:
    """Even one that has the checksum of the table."""
    path = tmp_path / "package.tgz"
    path.write_bytes(package)
    with pytest.raises(DataError, match=reason) as caught:
        extract_font(describe(package), path)
    assert "package.tgz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_name() -> None:
    with pytest.raises(DataError, match="no handwriting font is called 'comic'"):
        read_font("comic")


@pytest.mark.skipif(
    describe_fonts().found == "missing", reason="neither LENET_DATA nor the cache has the fonts"
)
def test_the_fonts_on_this_machine_are_those_of_the_table() -> None:
    assert find_handwriting_fonts() == list(list_fonts().values())
