"""A bulk reading whose results are many files, written by many machines, and which can be resumed.

A job lies in one store. `header.json` says what is read, and how. `manifests/` has the names of the pictures
in files of SHARD names, which never change; `parts/` has the rows of each manifest, and `counts/` their
numbers. Every file appears whole and once, so that what is missing is what remains to be done.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import lenet
from lenet.batch.buckets import SCHEME
from lenet.batch.results import KINDS, Kind
from lenet.batch.sources import Entry
from lenet.batch.stores import Store
from lenet.errors import ResultsError
from lenet.models.stored import WEIGHTS

SHARD = 5_000  # pictures; minutes of work for one core, and 20,000 files for 10⁸ pictures
HEADER, END = "header.json", "end.json"
READING_AT_ONCE = 16  # small files


@dataclass(frozen=True)
class Counts:
    """Numbers of rows: all, those with an error, those rejected."""

    pictures: int = 0
    failed: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.pictures + other.pictures, self.failed + other.failed, self.rejected + other.rejected
        )


@dataclass(frozen=True)
class Shard:
    """The pictures of one manifest."""

    number: int
    entries: Sequence[Entry] = field(repr=False)


@dataclass(frozen=True)
class BulkJob:
    """What is read, and where its results are written."""

    store: Store
    suffix: str
    """The form of the rows: one of KINDS."""
    header: Mapping[str, Any]
    """JSON; what decides about the rows."""
    shard: int
    """The number of pictures of a shard."""

    @property
    def kind(self) -> Kind:
        """The form of the rows."""
        return KINDS[self.suffix]()

    def begin(self) -> None:
        """Write the header, or find the same one. Raises ResultsError when another job lies in the store."""
        content = encode_header(self.header)
        if not self.store.create(HEADER, content) and (found := self.store.read(HEADER)) != content:
            other = {}
            with suppress(ValueError):
                other = dict(json.loads(found or b""))
            keys = sorted({*self.header, *other} - {"digest"})
            differing = ", ".join(key for key in keys if self.header.get(key) != other.get(key))
            raise ResultsError(
                f"{self.store.place}: holds results of another reading (it differs in {differing}); "
                f"give the command that began it, or name another place"
            )

    def check_here(self) -> None:
        """Raise ResultsError unless this machine sees the same files and has the same lenet."""
        folder = self.header.get("folder")
        if folder is not None:
            try:
                os.chdir(folder)
            except OSError as error:
                raise ResultsError(f"{folder}: a machine of the cluster does not see this folder") from error
        if self.store.read(HEADER) != encode_header(self.header):
            raise ResultsError(f"{self.store.place}: a machine of the cluster does not see these results")
        if self.header.get("software") != describe_software():
            raise ResultsError("a machine of the cluster has another lenet; install the same on all of them")

    def list_shards(self, listing: Callable[[str], Iterable[Entry]]) -> Iterator[Shard]:
        """Yield the shards without a part, those of existing manifests first, then new ones.

        `listing` gives the pictures after one of them, or all after ''. Where the listing has ended, it is
        not asked again.
        """
        done = {read_number(name) for name in self.store.list("parts")}
        names = self.store.list("manifests")
        known = sorted(read_number(name) for name in names if name != END)
        if known != list(range(len(known))):
            raise ResultsError(f"{self.store.place}: a manifest is missing; name another place")
        shard = None
        for number in known:
            if number not in done or number == known[-1]:
                shard = self.read_shard(number)
                if number not in done:
                    yield shard
        if END in names:
            return
        coming = iter(listing(shard.entries[-1][0] if shard else ""))
        number = len(known)
        while entries := list(islice(coming, self.shard)):
            lines = "".join(json.dumps(entry) + "\n" for entry in entries)
            if not self.store.create(name_file("manifests", number, ".jsonl"), lines.encode()):
                raise ResultsError(f"{self.store.place}: another process writes to it; wait for it")
            yield Shard(number, entries)
            number += 1
        self.store.create(f"manifests/{END}", json.dumps({"manifests": number}).encode())

    def read_shard(self, number: int) -> Shard:
        """The shard of an existing manifest. Raises ResultsError if it is damaged."""
        content = self.store.read(name_file("manifests", number, ".jsonl"))
        try:
            entries = [(str(name), size) for name, size in map(json.loads, (content or b"").splitlines())]
        except (ValueError, TypeError, RecursionError) as error:
            raise ResultsError(f"{self.store.place}: manifest {number} is damaged") from error
        if not entries or not all(size is None or isinstance(size, int) for _, size in entries):
            raise ResultsError(f"{self.store.place}: manifest {number} is damaged")
        return Shard(number, entries)

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> tuple[bytes, Counts]:
        """Rows as lines, without the head of a file, and their numbers."""
        kind, lines, failed, rejected = self.kind, [], 0, 0
        for row in rows:
            lines.append(kind.write(row))
            failed += "error" in row
            rejected += bool(row.get("rejected"))
        return b"".join(lines), Counts(len(lines), failed, rejected)

    def write_part(self, number: int, lines: bytes) -> None:
        """Write the rows of a shard, unless they are there."""
        self.store.create(name_file("parts", number, self.suffix), self.kind.head + lines)

    def write_counts(self, number: int, counts: Counts) -> None:
        """Write the numbers of a shard whose part is there."""
        self.store.create(name_file("counts", number, ".json"), json.dumps(vars(counts)).encode())

    def count_rows(self) -> Counts:
        """The numbers of all parts."""
        numbers = [read_number(name) for name in self.store.list("parts")]
        with ThreadPoolExecutor(READING_AT_ONCE) as threads:
            return sum(threads.map(self._count_part, numbers), Counts())

    def _count_part(self, number: int) -> Counts:
        with suppress(ValueError, TypeError):
            return Counts(**json.loads(self.store.read(name_file("counts", number, ".json")) or b""))
        # The process ended between the part and its numbers.
        content = (self.store.read(name_file("parts", number, self.suffix)) or b"")[len(self.kind.head) :]
        read = [self.kind.read(line) for line in content.splitlines(keepends=True)]
        counts = Counts(len(read), sum(failed for _, failed, _ in read), sum(flag for *_, flag in read))
        self.write_counts(number, counts)
        return counts


def name_file(folder: str, number: int, suffix: str) -> str:
    """The name of a file of shard `number`; names sort as numbers do."""
    return f"{folder}/{number:08d}{suffix}"


def read_number(name: str) -> int:
    """The number of a shard, from the name of its file. Raises ResultsError for another file."""
    digits = name.partition(".")[0]
    if not (digits.isascii() and digits.isdecimal()):
        raise ResultsError(f"{name}: is no file of this job; remove it, or name another place")
    return int(digits)


def describe_job(
    given: Sequence[str], suffix: str, weights: str, options: Mapping[str, Any], shard: int
) -> dict[str, Any]:
    """The header of a job: whatever decides about its rows. `weights` is a SHA-256."""
    is_local = not all(name.startswith(SCHEME) for name in given)
    return {
        "format": "lenet-results/1",
        "pictures": list(given),
        "folder": str(Path.cwd()) if is_local else None,  # what relative paths begin with
        "shard": shard,
        "rows": suffix,
        "weights": weights,
        "options": dict(options),
        "software": describe_software(),
    }


def describe_software() -> dict[str, str]:
    """The version of lenet on this machine, and the SHA-256 of the networks that it brings."""
    digests = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.glob("*.safetensors")
    }
    return {"lenet": lenet.__version__, **dict(sorted(digests.items()))}


def encode_header(header: Mapping[str, Any]) -> bytes:
    """A header as JSON, with its SHA-256."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
    return json.dumps({**header, "digest": digest}, indent=2, sort_keys=True).encode() + b"\n"


def digest_file(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
