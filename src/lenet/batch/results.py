"""The results file of bulk reading: rows are only appended, and an interrupted run can be resumed.

All other files are written atomically. A results file is written for hours and must survive a crash, so its
rows are atomic instead. A row is one line; an incomplete last line is removed when the file is opened again.
"""

from __future__ import annotations

import codecs
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
from lenet.files import escape_unprintable, take_lock

COLUMNS = ("picture", "text", "confidence", "rejected", "reason", "error")
FORMULA_STARTS = tuple("=+-@＝＋－＠")  # a spreadsheet evaluates cells that begin with these
FLUSH_SECONDS = 1.0  # the maximum work that a power cut can lose
MAX_ROW_BYTES = 2**24  # bytes; a file with a longer line is no results file


class Kind(Protocol):
    """A format of rows: writing, reading, and recognition."""

    head: bytes  # the header of a new file
    begins: bytes  # the beginning of the first line of every file of this kind

    def spell(self, name: str) -> str:
        """The name of a picture as written in the file; the mapping is injective."""

    def write(self, row: Mapping[str, Any]) -> bytes:
        """One row as one line."""

    def read(self, line: bytes) -> tuple[str, bool, bool]:
        """A row's picture as spelt, whether it failed, whether it was rejected. Raises ValueError."""


class CsvRows:
    """Rows for people and spreadsheets, UTF-8.

    Every cell is on one line: unprintable characters are written as Python's escapes, and backslashes in
    names are doubled. A cell that a spreadsheet would evaluate gets the prefix `'`, a name `./`.
    """

    begins = head = (",".join(f'"{column}"' for column in COLUMNS) + "\n").encode()

    def spell(self, name: str) -> str:
        """The name, printable, on one line, and not a formula."""
        spelt = escape_unprintable(name.replace("\\", "\\\\"))
        return f"./{spelt}" if spelt.startswith(FORMULA_STARTS) else spelt

    def write(self, row: Mapping[str, Any]) -> bytes:
        """One row as one line; every cell is quoted, so that no other separator splits it."""
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
        """A row's picture as spelt, whether it failed, whether it was rejected. Raises ValueError."""
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
        except csv.Error as error:
            raise ValueError(error) from error
        picture, _, _, rejected, _, message = cells
        return picture, bool(message), rejected.lower() == "true"


class ExcelRows(CsvRows):
    """The same with a byte order mark, without which Excel takes UTF-8 for the system's old encoding."""

    head = codecs.BOM_UTF8 + CsvRows.head


class JsonRows:
    """Rows for programs: the objects of `predict --json`, one per line."""

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


KINDS: dict[str, type[Kind]] = {".excel.csv": ExcelRows, ".csv": CsvRows, ".jsonl": JsonRows}


def find_suffix(name: str) -> str | None:
    """The key of KINDS with which a name ends, None if there is none."""
    return next((suffix for suffix in KINDS if name.lower().endswith(suffix) and name[: -len(suffix)]), None)


class Results:
    """The rows of one .csv or .jsonl file; existing rows are kept, new ones are appended.

    `count`, `failed` and `rejected` are numbers of rows. The file is created with the first row. One process
    at a time can open it. The names are kept in memory: about 200 bytes per picture.
    """

    def __init__(self, path: Path) -> None:
        """Read the existing rows. Raises ResultsError for a file of another kind, and OSError."""
        suffix = find_suffix(path.name)
        if suffix is None:
            raise ResultsError(
                f"{path}: results are written as .csv or .jsonl, for Excel as .excel.csv; choose such a name"
            )
        self.path, self.count, self.failed, self.rejected = path, 0, 0, 0
        self._kind: Kind = KINDS[suffix]()
        self._names: set[str] = set()
        self._descriptor: int | None = None
        self._end = 0  # bytes, of whole rows
        self._flushed = time.monotonic()
        if path.exists():
            if not path.is_file():
                raise ResultsError(f"{path}: not a file that rows can be kept in; name another one")
            try:
                self._open(0)
                self._read_rows()
            except BaseException:
                self.close()
                raise

    def __contains__(self, name: str) -> bool:
        """True when there is a row for the picture of this name, or it is claimed."""
        return self._kind.spell(name) in self._names

    def claim(self, name: str) -> bool:
        """Reserve the row of the picture of this name; False if it exists or is reserved already."""
        before = len(self._names)
        self._names.add(self._kind.spell(name))
        return len(self._names) > before

    def __enter__(self) -> Self:
        """The results; they are closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row atomically. Raises OSError, for example for a full disk."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open(os.O_CREAT | os.O_EXCL)
        self._write((b"" if self._end else self._kind.head) + self._kind.write(row))
        self._count("error" in row, bool(row.get("rejected")))

    def close(self) -> None:
        """Flush the file to the disk and close it."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _open(self, flags: int) -> None:
        flags |= os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.path, flags, 0o666)
        if not take_lock(self._descriptor, wait=False):
            raise ResultsError(f"{self.path}: another process is writing to it; wait for it, or stop it")

    def _read_rows(self) -> None:
        """Count the existing rows, and remove an incomplete last one."""
        assert self._descriptor is not None
        foreign = f"{self.path}: holds something other than results of lenet predict; name another file"
        with open(self._descriptor, "rb", closefd=False) as file:
            number = 0
            while line := file.readline(MAX_ROW_BYTES):
                number += 1
                complete = line.endswith(b"\n")
                if number == 1:
                    begins = self._kind.begins
                    line_begins = line.removeprefix(codecs.BOM_UTF8)
                    # A spreadsheet may have saved the file without unnecessary quotes.
                    same = line_begins.replace(b'"', b"").rstrip() == begins.replace(b'"', b"").rstrip()
                    is_cut = (codecs.BOM_UTF8 + begins).startswith(line) or begins.startswith(line)
                    if not (line_begins.startswith(begins) or (complete and same) or is_cut):
                        raise ResultsError(foreign)
                if len(line) == MAX_ROW_BYTES:
                    raise ResultsError(foreign)
                if not complete:
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


def _guarded(text: str) -> str:
    """The text as a cell that no spreadsheet evaluates."""
    text = escape_unprintable(text)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
