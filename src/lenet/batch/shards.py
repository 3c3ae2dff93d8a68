"""Reads the shards of a job on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice

from lenet.batch.jobs import BulkJob, Counts, Shard
from lenet.batch.pool import Row
from lenet.batch.sources import NamedPicture, check_sight, locate

ReadPictures = Callable[[Iterable[NamedPicture]], Iterable[Row]]
"""Reads pictures into their rows, in order."""


def read_shards(job: BulkJob, shards: Iterable[Shard], read: ReadPictures) -> Generator[Counts, None, None]:
    """Read shards and write their parts; yield the numbers of each.

    The pictures of all shards go through one call of `read`, so that its workers start once.
    """
    lengths: deque[tuple[int, int]] = deque()  # of the shards that `read` has begun

    def list_all() -> Iterator[NamedPicture]:
        for shard in shards:
            check_sight(shard.entries)
            lengths.append((shard.number, len(shard.entries)))
            yield from map(locate, shard.entries)

    rows = iter(read(list_all()))
    for row in rows:
        number, length = lengths.popleft()
        lines, counts = job.write_rows(chain([row], islice(rows, length - 1)))
        job.write_part(number, lines)
        job.write_counts(number, counts)
        yield counts
