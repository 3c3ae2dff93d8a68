"""The registry: complete, and quick to list."""

import subprocess
import sys

import pytest

from lenet.data.sources import SOURCES, find_source
from lenet.errors import DataError


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_each_source_is_complete(source) -> None:
    assert len(set(source.classes)) == len(source.classes) >= 10
    assert source.licence
    assert source.flips == (source.name == "fashion-mnist")
    if source.name == "digits":
        assert not source.files
        return
    assert source.files["train"][0].shape == (source.train, 28, 28)
    assert source.files["test"][0].shape == (source.test, 28, 28)
    for images, labels in source.files.values():
        assert images.shape[0] == labels.shape[0]
    urls = source.bundle.urls if source.bundle else source.mirrors
    assert urls
    assert not any("lecun" in url for url in urls)
    for file in source.all_files:
        # What is fetched can be verified: by the file's own checksum, or by that of its archive.
        digest = source.bundle.packed if source.bundle else file.packed
        kind, _, value = digest.partition(":")
        assert len(bytes.fromhex(value)) == {"sha256": 32, "md5": 16}[kind]


def test_sizes_are_those_of_the_published_files() -> None:
    assert [file.size for file in SOURCES["mnist"].all_files] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert SOURCES["qmnist"].files["train"][1].size == 12 + 60_000 * 8 * 4


def test_letters_and_balanced_classes() -> None:
    assert len(SOURCES["emnist-letters"].classes) == 26
    assert len(SOURCES["emnist-balanced"].classes) == 47
    assert SOURCES["emnist-balanced"].classes[36] == "a"


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'fashion-mnist'"):
        find_source("fashion-mnits")
    with pytest.raises(DataError, match="choose digits, mnist"):
        find_source("zzz")


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys; from lenet.data.cache import list_sources; list_sources(); "
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
