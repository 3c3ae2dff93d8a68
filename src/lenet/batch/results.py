"""The results of reading in bulk: a file of rows that only grows, and is gone on with after any interruption.

Every other file of the house appears whole or not at all. This one is written for hours, and what is in it
must not be lost: so its rows appear whole or not at all. A row is one line; a last line without its end was
cut off, and is dropped when the file is opened again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from lenet.errors import ResultsError

COLUMNS = ("picture", "text", "confidence", "rejected", "reason", "error")
FORMULA = tuple("=+-@＝＋－＠")  # a spreadsheet calculates what begins so
FLUSH_SECONDS = 1.0  # so much work is lost in a power cut
LONGEST_ROW = 2**24  # bytes; a file with a longer line is no results file


class Kind(Protocol):
    """How rows are written, and told from anything else."""

    head: bytes  # what a new file begins with
    begins: bytes  # what the first line of any file of this kind begins with

    def spell(self, name: str) -> str:
        """The name of a picture as it stands in the file; no two names are spelt alike."""

    def write(self, row: Mapping[str, Any]) -> bytes:
        """One row as one line."""

    def read(self, line: bytes) -> tuple[str, bool, bool]:
        """A row's picture as it is spelt, whether it failed, whether it was rejected. Raises ValueError."""


class CsvRows:
    """Rows for people and spreadsheets, UTF-8.

    Every cell is on one line: what cannot be printed stands as Python's escape, in names with backslashes
    doubled. A cell that a spreadsheet would calculate has an apostrophe before it; a name gets `./`.
    """

    begins = head = (",".join(f'"{column}"' for column in COLUMNS) + "\n").encode()

    def spell(self, name: str) -> str:
        """The name, printable, on one line, and no formula."""
        spelt = _printable(name.replace("\\", "\\\\"))
        return f"./{spelt}" if spelt.startswith(FORMULA) else spelt

    def write(self, row: Mapping[str, Any]) -> bytes:
        """One row as one line; every cell in quotes, so that no other separator splits it either."""
        cells = [self.spell(row["picture"])]
        if "error" in row:
            cells += ["", "", "", "", _guarded(row["error"])]
        else:
            confidence, rejected = f"{row['confidence']:.6g}", "true" if row["rejected"] else "false"
            cells += [_guarded(row["text"]), confidence, rejected, _guarded(row["reason"]), ""]
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(cells)
        return line.getvalue().encode()

    def read(self, line: bytes) -> tuple[str, bool, bool]:
        """A row's picture as it is spelt, whether it failed, whether it was rejected. Raises ValueError."""
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
        except csv.Error as why:
            raise ValueError(why) from why
        picture, _, _, rejected, _, error = cells
        return picture, bool(error), rejected.lower() == "true"


class JsonRows:
    """Rows for programs: the objects of `predict --json`, one a line."""

    head = b""
    begins = b'{"picture": "'

    def spell(self, name: str) -> str:
        """The name itself."""
        return name

    def write(self, row: Mapping[str, Any]) -> bytes:
        """One row as one line of ASCII."""
        return json.dumps(row).encode() + b"\n"

    def read(self, line: bytes) -> tuple[str, bool, bool]:
        """A row's picture, whether it failed, whether it was rejected. Raises ValueError."""
        row = json.loads(line)
        if not isinstance(row, dict) or not isinstance(row.get("picture"), str):
            raise ValueError("no picture")
        return row["picture"], "error" in row, bool(row.get("rejected"))


KINDS: dict[str, type[Kind]] = {".csv": CsvRows, ".jsonl": JsonRows}


class Results:
    """The rows in one .csv or .jsonl file; those that are there are kept, new ones are appended.

    `count`, `failed` and `rejected` are numbers of rows. The file is made with the first row. One process at
    a time has it. The names in it are kept in memory: some 200 bytes a picture.
    """

    def __init__(self, path: Path) -> None:
        """Take up what is there. Raises ResultsError for a file of another kind, and OSError."""
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            known = " or ".join(KINDS)
            raise ResultsError(f"{path}: results are written as {known}; choose such a name")
        self.path, self.count, self.failed, self.rejected = path, 0, 0, 0
        self._kind = kind()
        self._names: set[str] = set()
        self._descriptor: int | None = None
        self._end = 0  # bytes, of whole rows
        self._flushed = time.monotonic()
        if path.exists():
            if not path.is_file():
                raise ResultsError(f"{path}: not a file that rows can be kept in; name another one")
            try:
                self._open(0)
                self._take_up()
            except BaseException:
                self.close()
                raise

    def __contains__(self, name: str) -> bool:
        """Whether there is a row for the picture of this name, or one is to come."""
        return self._kind.spell(name) in self._names

    def claim(self, name: str) -> bool:
        """Say that a row for the picture of this name is to come; False when that had been said."""
        before = len(self._names)
        self._names.add(self._kind.spell(name))
        return len(self._names) > before

    def __enter__(self) -> Self:
        """The results themselves; they are closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row; it is there in full, or not at all. Raises OSError, as for a full disk."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open(os.O_CREAT | os.O_EXCL)
        self._write((b"" if self._end else self._kind.head) + self._kind.write(row))
        self._count("error" in row, bool(row.get("rejected")))

    def close(self) -> None:
        """Flush the file to the disk and let go of it."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _open(self, flags: int) -> None:
        flags |= os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.path, flags, 0o666)
        if not _lock(self._descriptor):
            raise ResultsError(f"{self.path}: another process is writing to it; wait for it, or stop it")

    def _take_up(self) -> None:
        """Count the rows that are there, and cut off the half of one."""
        assert self._descriptor is not None
        foreign = f"{self.path}: holds something other than results of lenet predict; name another file"
        with open(self._descriptor, "rb", closefd=False) as file:
            number = 0
            while line := file.readline(LONGEST_ROW):
                number += 1
                whole = line.endswith(b"\n")
                if number == 1:
                    begins = self._kind.begins
                    # A spreadsheet may have written it since, without the quotes it did not need.
                    same = line.replace(b'"', b"").rstrip() == begins.replace(b'"', b"").rstrip()
                    if not (line.startswith(begins) or (whole and same) or begins.startswith(line)):
                        raise ResultsError(foreign)
                if len(line) == LONGEST_ROW:
                    raise ResultsError(foreign)
                if not whole:
                    break
                if number > 1 or not self._kind.head:
                    try:
                        name, failed, rejected = self._kind.read(line)
                    except (ValueError, RecursionError) as error:
                        what = f"line {number} is damaged; delete it, or name another file"
                        raise ResultsError(f"{self.path}: {what}") from error
                    self._names.add(name)
                    self._count(failed, rejected)
                self._end += len(line)
        os.ftruncate(self._descriptor, self._end)

    def _count(self, failed: bool, rejected: bool) -> None:
        self.count += 1
        self.failed += failed
        self.rejected += rejected

    def _write(self, content: bytes) -> None:
        assert self._descriptor is not None
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            os.ftruncate(self._descriptor, self._end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        except KeyboardInterrupt:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(content)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            os.fsync(self._descriptor)
            self._flushed = time.monotonic()


def _printable(text: str) -> str:
    """The text with escapes for what cannot be printed: ends of lines, control codes, stray bytes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _guarded(text: str) -> str:
    """The text as a cell that no spreadsheet calculates."""
    text = _printable(text)
    return f"'{text}" if text.startswith(FORMULA) else text


def _lock(descriptor: int) -> bool:
    """Keep other processes from the file as long as it is open here; False when another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
