"""Jobs: immutable manifests, parts that appear once, resuming, and refusing what would mix results."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lenet.batch.jobs import BulkJob, Counts, describe_job
from lenet.batch.pool import Row
from lenet.batch.shards import read_shards
from lenet.batch.sources import Entry, NamedPicture, check_overlap, list_entries
from lenet.batch.stores import open_store
from lenet.errors import PictureError, ResultsError

COUNT, SHARD = 25, 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with pictures in folders, which nobody opens."""
    monkeypatch.chdir(tmp_path)
    for number in range(COUNT):
        path = tmp_path / "photos" / f"{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "photos" / "1.png").touch()
    return tmp_path


def make_job(where: str = "out", **changes: object) -> BulkJob:
    header = describe_job(["photos"], ".jsonl", "0123", {"length": None}, SHARD)
    return BulkJob(open_store(where), ".jsonl", {**header, **changes}, SHARD)


def listing(after: str) -> Iterator[Entry]:
    return list_entries(["photos"], after)


def read(pictures: Iterable[NamedPicture]) -> Iterator[Row]:
    for name, _ in pictures:
        yield {"picture": name, **({"error": "x"} if "7" in name else {"rejected": "8" in name, "text": "7"})}


def read_all(job: BulkJob) -> Counts:
    job.begin()
    return sum(read_shards(job, job.list_shards(listing), read), Counts())


def test_rows_lie_in_parts_in_the_order_of_the_listing(folder: Path):
    job = make_job()
    counts = read_all(job)
    assert counts == job.count_rows() == Counts(26, 2, 2)
    parts = sorted((folder / "out/parts").iterdir())
    assert [part.name for part in parts] == [f"{number:08d}.jsonl" for number in range(7)]
    rows = [json.loads(line) for part in parts for line in part.read_bytes().splitlines()]
    assert [row["picture"] for row in rows] == [name for name, _ in listing("")]
    assert not list((folder / "out").rglob(".*"))


def test_a_finished_job_reads_and_lists_nothing(folder: Path, tree: Callable[[Path], object]):
    read_all(make_job())
    before = tree(folder)

    def fail(*_: object) -> Iterator[Entry]:
        raise AssertionError

    assert list(make_job().list_shards(fail)) == []
    assert tree(folder) == before


@pytest.mark.parametrize("when", range(1, 7))
def test_interrupted_anywhere_it_ends_the_same(folder: Path, tree: Callable[[Path], object], when: int):
    read_all(make_job("whole"))
    job = make_job()
    job.begin()
    reading = read_shards(job, job.list_shards(listing), read)
    for _ in range(when):
        next(reading)
    reading.close()
    (folder / f"out/parts/{when - 1:08d}.jsonl").unlink()  # also where it ended between the files
    (folder / f"out/counts/{when // 2:08d}.json").unlink(missing_ok=True)
    assert read_all(make_job()).pictures == COUNT + 1 - SHARD * (when - 1)
    assert make_job().count_rows() == Counts(26, 2, 2)
    assert tree(folder / "out") == tree(folder / "whole")


def test_pictures_that_come_later_join_only_what_is_not_listed(folder: Path):
    job = make_job()
    job.begin()
    reading = read_shards(job, job.list_shards(listing), read)
    next(reading)
    reading.close()
    (folder / "photos/0/00.png").touch()  # before the first manifest's last name
    (folder / "photos/2/99.png").touch()
    assert read_all(make_job()).pictures + 4 == 27
    rows = b"".join(path.read_bytes() for path in (folder / "out/parts").iterdir())
    assert b"photos/2/99.png" in rows
    assert b"photos/0/00.png" not in rows


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": "4567"}, "weights"),
        ({"options": {"length": 5}}, "options"),
        ({"pictures": ["photos/1"]}, "pictures"),
        ({"software": {"lenet": "0.0.1"}}, "software"),
        ({"shard": 5, "rows": ".csv"}, "rows, shard"),
    ],
)
def test_a_mixed_resume_is_refused(folder: Path, changes: dict[str, object], said: str):
    make_job().begin()
    with pytest.raises(ResultsError, match=rf"^out: holds results of another reading .*differs in {said}\)"):
        make_job(**changes).begin()
    make_job().begin()


def test_what_is_no_job_is_refused(folder: Path):
    (folder / "out").mkdir()
    (folder / "out/header.json").write_text("[]")
    with pytest.raises(ResultsError, match="another reading"):
        make_job().begin()


def test_damage_is_noticed(folder: Path):
    job = make_job()
    read_all(job)
    part, manifests = folder / "out/parts/00000003.jsonl", folder / "out/manifests"
    content = (manifests / "00000003.jsonl").read_bytes()
    part.unlink()
    for damaged in (b"", b"\n", b"{", b'["a"]', b'["a", "b"]', content[:-5], b"[" * 100_000):
        (manifests / "00000003.jsonl").write_bytes(damaged)
        with pytest.raises(ResultsError, match="manifest 3 is damaged"):
            list(job.list_shards(listing))
    (manifests / "00000003.jsonl").unlink()
    with pytest.raises(ResultsError, match="a manifest is missing"):
        list(job.list_shards(listing))
    (folder / "out/parts/notes.jsonl").touch()
    with pytest.raises(ResultsError, match=r"notes\.jsonl: is no file of this job"):
        list(job.list_shards(listing))


def test_another_process_that_lists_is_noticed(folder: Path):
    job = make_job()
    job.begin()
    ours, theirs = job.list_shards(listing), job.list_shards(listing)
    assert next(ours) == next(theirs)  # no harm: its part is written once
    next(ours)
    with pytest.raises(ResultsError, match="another process writes to it"):
        next(theirs)


def test_a_machine_that_sees_or_has_something_else_stops(folder: Path, monkeypatch: pytest.MonkeyPatch):
    job = make_job()
    job.begin()
    monkeypatch.chdir("/")
    job.check_here()  # goes where relative names begin
    assert Path.cwd() == folder
    made = make_job("old", software={"lenet": "0.0.1"})
    made.begin()
    with pytest.raises(ResultsError, match="another lenet"):
        made.check_here()
    with pytest.raises(ResultsError, match="does not see these results"):
        replace(job, store=open_store("elsewhere")).check_here()
    with pytest.raises(ResultsError, match="does not see this folder"):
        make_job(folder="/nowhere").check_here()


@pytest.mark.skipif(os.name != "posix", reason="names as POSIX has them")
def test_any_name_comes_back_from_a_manifest(folder: Path):
    names = ["new\nline", 'quote"', os.fsdecode(b"\xff"), "back\\slash", "数", "\u2028", "[]"]
    for name in names:
        (folder / "photos" / name).touch()
    job = make_job()
    read_all(job)
    stored = [name for number in range(9) for name, _ in job.read_shard(number).entries]
    assert {f"photos/{name}" for name in names} < set(stored)
    assert stored == [name for name, _ in listing("")]


@pytest.mark.parametrize("start", range(26))
def test_a_listing_goes_on_after_any_picture(folder: Path, start: int):
    entries = list(listing(""))
    assert list(listing(entries[start][0])) == entries[start + 1 :]
    several = list(list_entries(["photos/2", "photos/1.png", "photos/0"]))
    start = min(start, len(several) - 1)
    after = several[start][0]
    assert list(list_entries(["photos/2", "photos/1.png", "photos/0"], after)) == several[start + 1 :]


def test_what_would_be_read_twice_is_refused(folder: Path):
    for given in (
        ["photos", "photos/1"],
        ["photos", "./photos"],
        ["s3://a/b", "s3://a/b/c"],
        ["photos", "."],
    ):
        with pytest.raises(PictureError, match="would be read twice"):
            check_overlap(given)
    check_overlap(["photos/1", "photos/2", "s3://a/b", "s3://a/bc"])


def test_many_names_are_compared_in_time(monkeypatch: pytest.MonkeyPatch):
    """A shell writes out thousands of them for photos/*.jpg: the time must not grow with their square."""
    looked: list[str] = []
    absolute = os.path.abspath
    monkeypatch.setattr(os.path, "abspath", lambda name: looked.append(name) or absolute(name))
    check_overlap([f"photos/{number}.png" for number in range(300)])
    assert len(looked) == 300
