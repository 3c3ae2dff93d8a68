"""`lenet predict --out`: many pictures, into a file of this machine or a store of many machines."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lenet.batch.buckets import SCHEME
from lenet.batch.cluster import read_on_cluster
from lenet.batch.jobs import HEADER, SHARD, BulkJob, Counts, describe_job, digest_file
from lenet.batch.pool import read_here, read_in_bulk
from lenet.batch.results import Results, find_suffix
from lenet.batch.shards import read_shards
from lenet.batch.sources import check_overlap, list_entries, locate
from lenet.batch.stores import open_store
from lenet.cli.app import check_output, end, write_json
from lenet.errors import PictureError, ResultsError
from lenet.models.stored import find_checkpoint, read_stored
from lenet.reading.reader import Reader

T = TypeVar("T")


@dataclass(frozen=True)
class Bulk:
    """What is read (files, folders, s3:// URLs), by which checkpoint and how, and what is printed."""

    given: Sequence[str]
    checkpoint: str
    max_error: float | None
    turned: bool
    known: Mapping[str, Any]
    """Of the digits: `length`, `pattern`, `amount`."""
    quiet: bool
    json: bool

    def check(self, workers: int | None) -> None:
        """Raise PictureError unless there is something to read."""
        if "-" in self.given:
            raise PictureError("standard input has no name for a results file; give a file or a folder")
        if workers is not None and workers < 1:
            raise PictureError(f"workers is {workers}; it must be 1 or more")
        for name in self.given:
            if not name.startswith(SCHEME) and not Path(name).exists():
                raise PictureError(f"{name}: there is no such file or folder; check the path")

    def find_any(self) -> None:
        """Raise PictureError where there is no picture."""
        if next(list_entries(self.given), None) is None:
            raise PictureError(f"no pictures in {', '.join(self.given)}; check the path")


def is_one_file(out: str) -> bool:
    """False for a place that gets a file for each few thousand pictures: S3, a folder, or one begun so."""
    is_folder = out.endswith("/") or not Path(out).suffix or Path(out, HEADER).is_file()
    return not out.startswith(SCHEME) and not is_folder


def read_into(out: Path, bulk: Bulk, workers: int | None) -> int:
    """Read the pictures that are not in `out` yet, append their rows, print what the file holds.

    Returns 0 when all of its pictures were read, 1 when some were not, 2 when none was.
    """
    bulk.check(workers)
    check_output(out, [*bulk.given, bulk.checkpoint])
    bulk.find_any()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops it as Ctrl-C does
    with Results(out) as results:
        kept = results.count
        total = sum(name not in results for name, _ in list_entries(bulk.given))
        new = (locate(entry) for entry in list_entries(bulk.given) if results.claim(entry[0]))
        how = {"max_error": bulk.max_error, "turned": bulk.turned, **bulk.known}
        rows = read_in_bulk(new, bulk.checkpoint, workers=workers, **how)
        try:
            with closing(show_reading(rows, count_row, total, quiet=bulk.quiet)) as shown:
                for row in shown:
                    results.append(row)
        except KeyboardInterrupt:
            end(f"stopped; {out} holds {results.count:,} pictures; the same command resumes it", code=130)
        except ResultsError as error:
            raise ResultsError(f"{error}; the same command resumes {out}") from error
    counts = Counts(results.count, results.failed, results.rejected)
    return print_totals(str(out), counts, results.count - kept, json=bulk.json)


def read_into_store(out: str, bulk: Bulk, workers: int | None, cluster: str | None) -> int:
    """Read the shards that have no part in `out` yet, here or on a cluster; print what `out` holds.

    Returns what `read_into` returns.
    """
    bulk.check(workers)
    check_overlap(bulk.given)
    if workers is not None and cluster is not None:
        raise PictureError("--workers is for one machine; the cluster knows its cores, so leave it out")
    if not out.startswith(SCHEME) and Path(out).exists() and not Path(out).is_dir():
        raise ResultsError(f"{out}: is a file; a cluster writes many, so name a folder or s3://bucket/prefix")
    path = find_checkpoint(bulk.checkpoint)
    settings = read_stored(path), bulk.max_error, bulk.turned
    Reader(*settings)  # what cannot be read with is said before anything starts
    options = {**bulk.known, "max_error": bulk.max_error, "turned": bulk.turned}
    suffix = find_suffix(out.rstrip("/")) or ".jsonl"
    header = describe_job(bulk.given, suffix, digest_file(path), options, SHARD)
    job = BulkJob(open_store(out), suffix, header, SHARD)
    bulk.find_any()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    job.begin()
    new = 0
    try:
        shards = job.list_shards(partial(list_entries, bulk.given))
        if cluster is None:
            here = partial(read_in_bulk, checkpoint=str(path), workers=workers, **options)
            done = read_shards(job, shards, here)
        else:
            read = partial(read_here, reader_settings=settings, options=bulk.known)
            done = read_on_cluster(job, shards, read, cluster)
        with closing(done), closing(show_reading(done, lambda counts: counts, quiet=bulk.quiet)) as shown:
            for counts in shown:
                new += counts.pictures
        total = job.count_rows()
    except KeyboardInterrupt:
        end(f"stopped; the same command resumes {out}", code=130)
    except ResultsError as error:
        raise ResultsError(f"{error}; the same command resumes {out}") from error
    return print_totals(out, total, new, json=bulk.json)


def count_row(row: Mapping[str, Any]) -> Counts:
    """One row as numbers."""
    return Counts(1, "error" in row, bool(row.get("rejected")))


def print_totals(out: str, counts: Counts, new: int, *, json: bool) -> int:
    """Print what a results file or a store holds; the exit code."""
    if json:
        print(write_json({"out": out, "pictures": counts.pictures, "new": new,
                          "failed": counts.failed, "rejected": counts.rejected}))  # fmt: skip
    else:
        print(
            f"{out}: {counts.pictures:,} pictures, {new:,} of them new; "
            f"{counts.failed:,} could not be read, {counts.rejected:,} rejected"
        )
    return 2 if counts.failed == counts.pictures else min(counts.failed, 1)


def show_reading(
    items: Iterable[T], count: Callable[[T], Counts], total: int | None = None, *, quiet: bool = False
) -> Generator[T, None, None]:
    """Pass items on, and show a progress bar on standard error where that is a terminal.

    `count` says how many pictures an item is; `total` is the number of all, None if nobody knows it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f} pictures/s  {task.fields[failed]:,} not read"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=total, rate=0.0, failed=0)
        began, done = time.monotonic(), Counts()
        for item in items:
            done += count(item)
            rate = done.pictures / max(time.monotonic() - began, 1e-9)
            progress.update(task, completed=done.pictures, failed=done.failed, rate=rate)
            yield item
