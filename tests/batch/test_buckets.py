"""Buckets: listed in order, from any place on; no more is fetched than a picture has; faults are one line."""

from collections.abc import Callable, Iterator

import pytest
from moto.s3.models import s3_backends

from lenet.batch.buckets import StoredPicture, connect, list_objects
from lenet.batch.pool import read_in_bulk
from lenet.batch.sources import check_sight, list_entries, locate
from lenet.batch.stores import open_store
from lenet.errors import PictureError, ResultsError
from lenet.images.decoding import MAX_BYTES

Put = Callable[..., str]
ODD = ["a b", "#", "%41", "ü/数", "x+y", "=1+1", 'quo"te', "back\\slash", "~", "a?b=c"]


def test_a_listing_has_an_order_and_pages(bucket: str):
    names = [f"photos/{number}.png" for number in range(1005)]
    (server,) = (regions["global"] for _, regions in s3_backends.items())  # the server is in this process
    for name in [*names, "photos.png", "photos2/a.png", "other.png"]:
        server.put_object(bucket.removeprefix("s3://"), name, b"x")
    expected = [f"{bucket}/{name}" for name in sorted(names)]
    assert [url for url, size in list_objects(f"{bucket}/photos") if size == 1] == expected
    assert [url for url, _ in list_objects(f"{bucket}/photos/", after=expected[998])] == expected[999:]
    assert len(list(list_objects(bucket))) == 1008
    assert list(list_objects(f"{bucket}/nothing")) == []


def test_one_object_may_be_named_itself(bucket: str, put: Put):
    put("a.png", b"12")
    put("a.png/b.png")
    put("a.pngs")
    assert list(list_entries([f"{bucket}/a.png"])) == [(f"{bucket}/a.png", 2), (f"{bucket}/a.png/b.png", 1)]
    assert list(list_entries([f"{bucket}/a.png"], after=f"{bucket}/a.png")) == [(f"{bucket}/a.png/b.png", 1)]


def test_what_is_no_picture_is_omitted_as_in_folders(bucket: str, put: Put):
    for name in ("p/1.png", "p/.hidden", "p/.git/2.png", "p/notes.txt", "p/3", "p/folder/"):
        put(name)
    assert [name for name, _ in list_entries([f"{bucket}/p"])] == [f"{bucket}/p/1.png", f"{bucket}/p/3"]


def test_odd_names_are_read_as_they_are(bucket: str, put: Put):
    for name in ODD:
        put(f"odd/{name}", name.encode())
    listed = list(list_entries([f"{bucket}/odd"]))
    assert sorted(name for name, _ in listed) == sorted(f"{bucket}/odd/{name}" for name in ODD)
    for entry in listed:
        name, picture = locate(entry)
        assert isinstance(picture, StoredPicture)
        assert f"{bucket}/odd/{picture.fetch().read().decode()}" == name


def test_a_name_that_means_another_object_is_refused(s3: None):
    with pytest.raises(PictureError, match="takes the name for another one"):
        StoredPicture("s3://bucket/a?versionId=3", 1).fetch()


def test_no_more_is_fetched_than_a_picture_may_have(bucket: str, put: Put):
    with pytest.raises(PictureError, match="larger than 64 MiB"):
        StoredPicture(f"{bucket}/missing.png", MAX_BYTES + 1).fetch()  # not even asked for
    url = put("grown.png", bytes(MAX_BYTES + 1000))
    assert len(StoredPicture(url, 5).fetch().read()) == MAX_BYTES + 1
    (row,) = read_in_bulk([(url, StoredPicture(url, 5))], "line")
    assert row == {"picture": url, "error": f"{url}: larger than 64 MiB; save it smaller"}


def test_what_cannot_be_read_is_a_row(bucket: str, put: Put):
    urls = [put("empty.png", b""), put("words.png", b"no picture"), f"{bucket}/deleted.png", put("cut.png")]
    sizes = [0, 10, 5, 9]
    connect().call_s3("put_object", Bucket=bucket.removeprefix("s3://"), Key="cut.png", Body=b"")
    rows = read_in_bulk(
        ((url, StoredPicture(url, size)) for url, size in zip(urls, sizes, strict=True)), "line"
    )
    reasons = [
        "the file is empty",
        "not a picture in a known",
        "(no such file or directory)",
        "(its size has",
    ]
    for row, url, reason in zip(rows, urls, reasons, strict=True):
        assert row["picture"] == url
        assert row["error"].startswith(url)
        assert reason in row["error"]


def test_a_store_writes_each_name_once(bucket: str):
    store = open_store(f"{bucket}/results")
    assert store.read("header.json") is None
    assert store.list("parts") == []
    assert store.create("parts/1.jsonl", b"one")
    assert not store.create("parts/1.jsonl", b"another")
    assert store.create("parts/0.jsonl", b"")
    assert (store.read("parts/1.jsonl"), store.read("parts/0.jsonl")) == (b"one", b"")
    assert store.list("parts") == ["0.jsonl", "1.jsonl"]


@pytest.fixture
def locked(s3: None, s3_server: str) -> Iterator[None]:
    """S3 refuses everybody."""
    import requests

    requests.post(f"{s3_server}/moto-api/reset-auth", data=b"0", timeout=10)
    yield
    requests.post(f"{s3_server}/moto-api/reset-auth", data=b"inf", timeout=10)


def test_faults_are_one_line(s3: None, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ResultsError, match="there is no bucket called nowhere"):
        next(list_entries(["s3://nowhere/photos"]))
    with pytest.raises(ResultsError, match="there is no bucket called nowhere"):
        open_store("s3://nowhere/r").create("a", b"")
    with pytest.raises(ResultsError, match="names no bucket"):
        open_store("s3://")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    connect.cache_clear()
    monkeypatch.setattr(type(connect()), "retries", 1)
    with pytest.raises(ResultsError, match=r"S3 cannot be reached or used .*127\.0\.0\.1:9"):
        next(list_entries(["s3://nowhere/photos"]))


def test_without_permission(locked: None):
    with pytest.raises(ResultsError, match=r"S3 allows no access .* check the credentials"):
        next(list_entries(["s3://nowhere/photos"]))
    with pytest.raises(ResultsError, match="S3 allows no access"):
        StoredPicture("s3://nowhere/a", 1).fetch()


def test_without_s3fs(monkeypatch: pytest.MonkeyPatch):
    connect.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(ResultsError, match=r"pip install 'lenet\[cluster\]'"):
        next(list_entries(["s3://bucket/photos"]))


def test_pictures_that_nobody_here_sees_stop_the_reading(tmp_path, bucket: str, put: Put):
    (tmp_path / "a").touch()
    check_sight([(str(tmp_path / "a"), None), (str(tmp_path / "b"), None)])
    check_sight([(str(tmp_path / "gone"), None)])  # one picture alone: a row with an error
    check_sight([(put("a.png"), 1), (f"{bucket}/b.png", 1)])
    with pytest.raises(ResultsError, match="not mounted"):
        check_sight([(str(tmp_path / "b"), None), (str(tmp_path / "c"), None)])
    with pytest.raises(ResultsError, match=r"b\.png: cannot be opened"):
        check_sight([(f"{bucket}/b.png", 1), (f"{bucket}/c.png", 1)])
