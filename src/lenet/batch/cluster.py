"""Reads the shards of a job on the machines of a Ray cluster: an idempotent task a shard, few in flight.

Only this module imports Ray. (Ray pickles what it sends between our own processes. No file of a store and no
picture is ever unpickled.)
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from lenet.batch.jobs import BulkJob, Counts, Shard
from lenet.batch.pool import Row
from lenet.batch.shards import ReadPictures
from lenet.batch.sources import check_sight, locate
from lenet.errors import LeNetError, ResultsError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no advice about GPUs
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # where nobody answers, it fails after 45 seconds, not after 15 minutes
    "RAY_py_gcs_connect_timeout_s": "5",
}
AUTO = "auto"  # a cluster of this machine or of RAY_ADDRESS; a new one on this machine where there is none
PER_CORE = 2  # tasks in flight for each core, so that no core waits and a cluster that can grow does
KILLS = 2  # a shard that ends so many workers is read in halves
KILLS_ALONE = 3  # a picture that alone ends so many workers is given up
STOPS = 3  # so often a task is tried that says that it must stop, as where S3 does not answer
MAX_GIVEN_UP = 10  # pictures of a shard; more mean that something else is wrong


@dataclass(frozen=True)
class ShardPiece:
    """Consecutive pictures of a shard; how many workers ended, and how many tasks stopped, reading it."""

    number: int
    """The number of the shard."""
    first: int
    last: int
    """The place after the last picture."""
    is_whole: bool = True
    kills: int = 0
    stops: int = 0

    def split(self) -> list[ShardPiece]:
        """Two halves."""
        middle = (self.first + self.last) // 2
        halves = (self.first, middle), (middle, self.last)
        return [ShardPiece(self.number, first, last, is_whole=False) for first, last in halves]


@dataclass
class Bisection:
    """The rows of the pieces of a shard that is read in halves; `left` pictures are missing."""

    left: int
    lines: dict[int, bytes] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    given_up: int = 0


@dataclass(frozen=True)
class Answer:
    """What a task returns: numbers, for a piece also its rows; or why the reading must stop."""

    counts: Counts = field(default_factory=Counts)
    lines: bytes = b""
    stopped: str = ""


def read_on_cluster(
    job: BulkJob, shards: Iterable[Shard], read: ReadPictures, address: str = AUTO
) -> Generator[Counts, None, None]:
    """Read shards on the cluster at `address`, as Ray writes addresses; yield the numbers of each.

    `read` runs in the workers, with one thread. A shard whose worker dies is read again; if that happens
    twice, it is bisected until the picture that ends its workers is alone, which gets a row with an error.

    Raises ResultsError when no cluster answers, or a task says that the reading must stop.
    """
    with connect_cluster(address) as ray:
        yield from _Reading(ray, job, read).run(shards)


class _Reading:
    """The driver's side: what is in flight, what is to be sent again, and the shards read in halves."""

    def __init__(self, ray: ModuleType, job: BulkJob, read: ReadPictures) -> None:
        self._ray, self._job = ray, job
        # A worker that dies is our affair: Ray does not know when to stop.
        self._task = ray.remote(num_cpus=1, max_retries=0)(read_piece)
        self._work = ray.put((job, read))
        self._flying: dict[Any, ShardPiece] = {}
        self._again: list[ShardPiece] = []
        self._bisected: dict[int, Bisection] = {}

    def run(self, shards: Iterable[Shard]) -> Iterator[Counts]:
        coming = iter(shards)
        while True:
            cores = int(self._ray.cluster_resources().get("CPU", 1))
            while len(self._flying) < PER_CORE * cores:
                if not self._again:
                    if (shard := next(coming, None)) is None:
                        break
                    self._again.append(ShardPiece(shard.number, 0, len(shard.entries)))
                piece = self._again.pop()
                self._flying[self._task.remote(self._work, piece)] = piece
            if not self._flying:
                return
            for reference in self._ray.wait(list(self._flying))[0]:
                piece = self._flying.pop(reference)
                counts = self._take(reference, piece)
                if counts is not None:
                    self._job.write_counts(piece.number, counts)
                    yield counts

    def _take(self, reference: Any, piece: ShardPiece) -> Counts | None:
        """The numbers of a shard if this answer completes it."""
        errors = self._ray.exceptions
        try:
            answer: Answer = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError):
            return self._bisect(replace(piece, kills=piece.kills + 1))
        except (errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError):
            self._again.append(piece)  # no picture can end a machine
            return None
        except errors.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ResultsError(f"a task failed on the cluster: {reason}") from error
        if answer.stopped:
            if piece.stops + 1 == STOPS:
                raise ResultsError(answer.stopped)
            self._again.insert(0, replace(piece, stops=piece.stops + 1))
            return None
        return answer.counts if piece.is_whole else self._assemble(piece, answer)

    def _bisect(self, piece: ShardPiece) -> Counts | None:
        length = piece.last - piece.first
        if piece.is_whole and piece.kills >= KILLS:
            self._bisected[piece.number] = Bisection(length)
        if length == 1 and piece.kills >= KILLS_ALONE:
            return self._give_up(piece)
        if length > 1 and piece.number in self._bisected:
            self._again += piece.split()
        else:
            is_whole = piece.number not in self._bisected
            self._again.append(replace(piece, is_whole=is_whole))
        return None

    def _give_up(self, piece: ShardPiece) -> Counts | None:
        bisection = self._bisected[piece.number]
        bisection.given_up += 1
        name, _ = self._job.read_shard(piece.number).entries[piece.first]
        if bisection.given_up > MAX_GIVEN_UP:
            raise ResultsError(
                f"more than {MAX_GIVEN_UP} pictures of shard {piece.number} end the workers that read them, "
                f"one of them {name}; look for the cause in the log of Ray"
            )
        error = f"{name}: {KILLS_ALONE} processes ended while they read it, and nothing else"
        lines, counts = self._job.write_rows([{"picture": name, "error": error}])
        return self._assemble(piece, Answer(counts, lines))

    def _assemble(self, piece: ShardPiece, answer: Answer) -> Counts | None:
        bisection = self._bisected[piece.number]
        bisection.lines[piece.first] = answer.lines
        bisection.counts += answer.counts
        bisection.left -= piece.last - piece.first
        if bisection.left:
            return None
        del self._bisected[piece.number]
        self._job.write_part(piece.number, b"".join(lines for _, lines in sorted(bisection.lines.items())))
        return bisection.counts


def read_piece(work: tuple[BulkJob, Callable[..., Iterable[Row]]], piece: ShardPiece) -> Answer:
    """The task of a worker: read a shard and write its part, or read a piece of one and return its rows."""
    job, read = work
    try:
        job.check_here()
        entries = job.read_shard(piece.number).entries[piece.first : piece.last]
        if piece.is_whole:
            check_sight(entries)
        lines, counts = job.write_rows(read(map(locate, entries)))
        if not piece.is_whole:
            return Answer(counts, lines)
        job.write_part(piece.number, lines)
        return Answer(counts)
    except (LeNetError, OSError) as error:
        return Answer(stopped=str(error))


@contextmanager
def connect_cluster(address: str) -> Iterator[ModuleType]:
    """Ray, connected to the cluster at `address` in a block. Nothing is sent to the makers of Ray.

    Ray prints on standard output when a worker dies; in this block nothing is printed there.
    Raises ResultsError.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise ResultsError("a cluster needs Ray; pip install 'lenet[cluster]'") from None
    is_main = threading.current_thread() is threading.main_thread()
    stop = signal.getsignal(signal.SIGTERM)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            with _silent_stderr():
                ray.init(
                    None if address == AUTO else address,
                    include_dashboard=False, log_to_driver=False, configure_logging=False,
                )  # fmt: skip
        except Exception as error:  # of many kinds, some without a common base
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ResultsError(
                f"{address}: no Ray cluster can be used there ({reason[:200]}); if it asks for a token, set "
                f"RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            ) from error
        if is_main:
            signal.signal(signal.SIGTERM, stop)  # Ray has its own, which exits without a word
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard what Ray's C++ writes to the standard error of this process, which no setting stops."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
