"""Where files are looked for, how they are verified, and how they come."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lenet.data.cache import fetch, list_sources
from lenet.data.datasets import load
from lenet.data.idx import encode_idx
from lenet.data.sources import SOURCES, SourceFile
from lenet.errors import DataError, DownloadError

from .conftest import make_tiny

IMAGES = "train-images-idx3-ubyte"


def where_is(name: str) -> str:
    return next(line.found for line in list_sources() if line.name == name)


def test_fetched_once_then_read_from_the_cache(tiny, server, cache: Path) -> None:
    assert where_is("tiny") == "missing"
    data = load("tiny", "train")
    assert torch.equal(data.images[:, 0], tiny.tensors[IMAGES])
    assert data.classes == ("a", "b", "c")
    assert where_is("tiny") == "cache"
    assert len(server.requests) == 4
    assert len(load("tiny", "test")) == 4
    assert fetch("tiny") == cache / "tiny"
    assert len(server.requests) == 4
    assert {path.name for path in (cache / "tiny").iterdir()} == {f"{name}.gz" for name in tiny.packed}
    assert [path.name for path in cache.iterdir()] == ["tiny"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_lenet_data_comes_before_the_cache(
    tiny, server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, dotted: bool
) -> None:
    folder = tiny.write(tmp_path / "data" / "tiny", packed=packed)
    if dotted:
        for path in list(folder.iterdir()):
            path.rename(folder / path.name.replace("-idx", ".idx"))
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "data"))
    assert where_is("tiny") == "LENET_DATA"
    assert torch.equal(load("tiny", "train").images[:, 0], tiny.tensors[IMAGES])
    assert fetch("tiny") == folder
    assert not server.requests
    assert not cache.exists()


def test_another_wrapper_is_the_same_file(
    tiny, tmp_path: Path, cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.write(tmp_path / "tiny")
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(tiny.unpacked(IMAGES), compresslevel=1, mtime=99))
    monkeypatch.setenv("LENET_DATA", str(tmp_path))
    assert len(load("tiny", "train")) == 6


@pytest.mark.parametrize("damage", ["one pixel", "other size", "swapped", "cut", "empty"])
def test_wrong_content_is_refused_in_one_line(
    tiny, tmp_path: Path, cache, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path = tiny.write(tmp_path / "tiny", packed=False) / IMAGES
    content = bytearray(path.read_bytes())
    if damage == "one pixel":
        content[99] ^= 1
    elif damage == "other size":
        content = bytearray(encode_idx(torch.zeros(9, 28, 28, dtype=torch.uint8)))
    elif damage == "swapped":
        content = bytearray(tiny.unpacked("t10k-images-idx3-ubyte"))
    elif damage == "cut":
        del content[-1]
    else:
        content.clear()
    path.write_bytes(content)
    monkeypatch.setenv("LENET_DATA", str(tmp_path))
    for act in (lambda: load("tiny", "train"), lambda: fetch("tiny")):
        with pytest.raises(DataError) as caught:
            act()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_fetch_mends_a_damaged_cache(tiny, server, cache: Path) -> None:
    folder = fetch("tiny")
    (folder / f"{IMAGES}.gz").write_bytes(b"torn")
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"a damaged unpacked copy that would be found first")
    with pytest.raises(DataError, match="lenet data fetch tiny"):
        load("tiny", "train")
    server.requests.clear()
    fetch("tiny")
    assert sorted(server.requests) == [f"/tiny/{name}.gz" for name in ("t10k-labels-idx1-ubyte", IMAGES)]
    assert len(load("tiny", "train")) == 6
    assert len(load("tiny", "test")) == 4


def test_a_wrong_file_on_the_only_mirror_never_reaches_the_cache(tiny, server, cache: Path) -> None:
    server.files[f"/tiny/{IMAGES}.gz"] = gzip.compress(b"something else")
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch("tiny")
    assert [path for path in cache.rglob("*") if IMAGES in path.name] == []


def test_no_network(tiny, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "tiny", replace(tiny.source, mirrors=("http://127.0.0.1:9/",)))
    with pytest.raises(DownloadError, match=r"lenet data import PATH.*LENET_DATA"):
        load("tiny", "train")


@pytest.mark.parametrize("form", ["as published", "packed anew", "unpacked"])
def test_own_mirror_comes_first(tiny, server, cache, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("LENET_MIRROR", f" {server.address}/classroom/ ")
    for name, content in tiny.packed.items():
        if form == "unpacked":
            server.files[f"/classroom/tiny/{name}"] = tiny.unpacked(name)
        else:
            anew = gzip.compress(tiny.unpacked(name), 1, mtime=7)
            server.files[f"/classroom/tiny/{name}.gz"] = content if form == "as published" else anew
    assert torch.equal(load("tiny", "train").images[:, 0], tiny.tensors[IMAGES])
    assert len(load("tiny", "test")) == 4
    assert all(path.startswith("/classroom/") for path in server.requests)


def test_other_mirrors_give_what_the_own_one_lacks(
    tiny, server, cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENET_MIRROR", f"{server.address}/classroom")
    server.files[f"/classroom/tiny/{IMAGES}.gz"] = tiny.packed[IMAGES]
    fetch("tiny")
    assert f"/tiny/{IMAGES}.gz" not in server.requests
    assert "/tiny/t10k-images-idx3-ubyte.gz" in server.requests
    assert len(load("tiny", "train")) == 6


def test_own_mirror_may_pack_anew_but_not_lie(tiny, server, cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "tiny", replace(tiny.source, mirrors=("http://127.0.0.1:9/",)))
    monkeypatch.setenv("LENET_MIRROR", f"{server.address}/classroom")
    for name in tiny.packed:
        server.files[f"/classroom/tiny/{name}.gz"] = gzip.compress(tiny.unpacked(name), 1, mtime=7)
    server.files[f"/classroom/tiny/{IMAGES}.gz"] = gzip.compress(bytes(len(tiny.unpacked(IMAGES))))
    with pytest.raises(DataError, match="wrong checksum"):
        fetch("tiny")
    server.files[f"/classroom/tiny/{IMAGES}.gz"] = gzip.compress(tiny.unpacked(IMAGES), 1, mtime=7)
    assert len(load("tiny", "train")) == 6


def test_own_mirror_may_not_pack_anew_what_has_no_checksum_inside(
    server, cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tiny("plain", ("http://127.0.0.1:9/",), known_inside=False)
    monkeypatch.setitem(SOURCES, "plain", made.source)
    monkeypatch.setenv("LENET_MIRROR", server.address)
    server.files |= {f"/plain/{name}.gz": content for name, content in made.packed.items()}
    published = server.files[f"/plain/{IMAGES}.gz"]
    server.files[f"/plain/{IMAGES}.gz"] = gzip.compress(bytes(len(made.unpacked(IMAGES))), mtime=0)
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch("plain")
    server.files[f"/plain/{IMAGES}.gz"] = published
    assert len(load("plain", "train")) == 6


def test_own_mirror_holds_the_published_archive(
    letters, server, cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = server.files.pop("/letters.zip")
    monkeypatch.setenv("LENET_MIRROR", f"{server.address}/classroom")
    server.files["/classroom/letters/letters.zip"] = archive[:-1] + b"?"
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch("letters")
    server.files["/classroom/letters/letters.zip"] = archive
    assert len(load("letters", "train")) == 6


@pytest.mark.parametrize(
    "address",
    ["mirror", "192.168.1.9:8000", "file:///srv/data", "ftp://mirror/", "http://", "http://a:b/", "http://[::1",
     "http://mirror/?set=mnist"],
)  # fmt: skip
def test_an_own_mirror_that_is_no_address(
    tiny, server, cache, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("LENET_MIRROR", address)
    with pytest.raises(
        DataError, match=r"^LENET_MIRROR is '.*'; it must be an http or https address"
    ) as caught:
        fetch("tiny")
    assert "\n" not in str(caught.value)
    assert not server.requests


def test_first_runs_at_the_same_time(tiny, cache: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        sets = list(pool.map(lambda _: load("tiny", "train"), range(12)))
    assert all(torch.equal(data.images, sets[0].images) for data in sets)
    assert sorted(path.name for path in cache.iterdir()) == ["tiny"]


def test_bundle_gives_upright_images_and_labels_from_zero(letters, server, cache: Path) -> None:
    data = load("letters", "train")
    assert torch.equal(data.images[:, 0], letters.tensors["l-train-images-idx3-ubyte"].transpose(1, 2))
    assert data.images.is_contiguous()
    assert data.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert len(load("letters", "test")) == 4
    assert server.requests == ["/letters.zip"]
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == sorted(
        f"{name}.gz" for name in letters.packed
    )


def test_labels_with_particulars(tiny, tmp_path: Path, cache, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.arange(48, dtype=torch.int32).view(6, 8) % 3
    images = tiny.source.files["train"][0]
    wide = SourceFile("labels-idx2-int", (6, 8), value_bytes=4)
    monkeypatch.setitem(SOURCES, "tiny", replace(tiny.source, files={"train": (images, wide)}))
    folder = tiny.write(tmp_path / "tiny")
    (folder / "labels-idx2-int").write_bytes(encode_idx(labels))
    monkeypatch.setenv("LENET_DATA", str(tmp_path))
    assert load("tiny", "train").labels.tolist() == labels[:, 0].tolist()


def test_digits_come_with_the_install(cache) -> None:
    assert where_is("digits") == "install"
    assert (fetch("digits") / "digits.csv.gz").is_file()


def test_unknown_name(cache) -> None:
    with pytest.raises(DataError, match="did you mean"):
        fetch("mnits")


def test_cache_that_cannot_be_written(tiny, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="point LENET_CACHE elsewhere"):
        fetch("tiny")
