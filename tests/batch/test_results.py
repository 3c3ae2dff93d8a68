"""A results file: rows are atomic, an interrupted run is resumed, and cells are safe to open."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.batch.results import COLUMNS, FORMULA_STARTS, CsvRows, JsonRows, Results
from lenet.errors import ResultsError

Row = dict[str, Any]
SUFFIXES = (".csv", ".jsonl")
both = pytest.mark.parametrize("suffix", SUFFIXES)
KINDS = {".csv": CsvRows(), ".jsonl": JsonRows()}
names = st.text(st.characters(), min_size=1)  # with half characters, as undecodable bytes become


def row(name: str, text: str = "7", **more: Any) -> Row:
    return {
        "picture": name,
        "text": text,
        "confidence": 0.25,
        "rejected": False,
        "reason": "",
        "digits": [],
        **more,
    }


ROWS = [
    row("a.png"),
    row("new\nline, \"quoted\".png", "", confidence=0.0, rejected=True, reason="no ink was found"),
    {"picture": "b\udcff.png", "error": "b\udcff.png: the file is empty"},
    row("=cmd.png", "12", confidence=1e-9),
    row("ü.png", "-"),
]  # fmt: skip


def write(path: Path, rows: list[Row]) -> bytes:
    with Results(path) as results:
        for one in rows:
            if results.claim(one["picture"]):
                results.append(one)
    return path.read_bytes()


def test_the_csv_letter_by_letter(tmp_path: Path):
    assert write(tmp_path / "r.csv", ROWS).decode().splitlines() == [
        '"picture","text","confidence","rejected","reason","error"',
        '"a.png","7","0.25","false","",""',
        r'"new\nline, ""quoted"".png","","0","true","no ink was found",""',
        r'"b\udcff.png","","","","","b\udcff.png: the file is empty"',
        '"./=cmd.png","12","1e-09","false","",""',
        '"ü.png","\'-","0.25","false","",""',
    ]


def test_the_json_lines_are_the_rows(tmp_path: Path):
    lines = write(tmp_path / "r.jsonl", ROWS).splitlines()
    assert [json.loads(line) for line in lines] == ROWS


@both
def test_cut_off_at_any_byte_it_is_gone_on_with(tmp_path: Path, suffix: str):
    path = tmp_path / f"r{suffix}"
    whole = write(path, ROWS)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        assert write(path, ROWS) == whole


@both
def test_rows_that_are_there_are_counted_and_not_touched(tmp_path: Path, suffix: str):
    path = tmp_path / f"r{suffix}"
    whole = write(path, ROWS)
    with Results(path) as results:
        assert (results.count, results.failed, results.rejected) == (5, 1, 1)
        assert all(one["picture"] in results for one in ROWS)
        assert "c.png" not in results
        assert not results.claim("a.png")
        assert results.claim("c.png")
        assert not results.claim("c.png")
    assert path.read_bytes() == whole


@both
def test_nothing_is_made_before_there_is_a_row(tmp_path: Path, suffix: str):
    with Results(tmp_path / "folder" / f"r{suffix}") as results:
        assert results.count == 0
    assert list(tmp_path.iterdir()) == []
    assert write(tmp_path / "folder" / f"r{suffix}", ROWS)


@given(name=names, other=names, text=st.text(), error=st.text(min_size=1))
def test_any_text_is_one_row_that_nothing_calculates(name: str, other: str, text: str, error: str):
    kind = CsvRows()
    for one in (row(name, text, reason=text), {"picture": name, "error": error}):
        line = kind.write(one)
        assert line.endswith(b"\n")
        assert len(line.decode().splitlines()) == 1
        assert line.decode().rstrip("\n").isprintable()
        (cells,) = csv.reader(io.StringIO(line.decode()))
        assert len(cells) == len(COLUMNS)
        assert not any(cell.startswith(FORMULA_STARTS) for cell in cells)
        assert kind.read(line) == (kind.spell(name), "error" in one, False)
    assert (kind.spell(name) == kind.spell(other)) == (name.removeprefix("./") == other.removeprefix("./"))


@given(name=names, text=st.text())
def test_json_rows_come_back(name: str, text: str):
    kind = JsonRows()
    line = kind.write(row(name, text))
    assert json.loads(line) == row(name, text)
    assert line.count(b"\n") == 1
    assert kind.read(line) == (name, False, False)


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path):
    path = tmp_path / "r.csv"
    write(path, ROWS[:1])
    path.write_bytes(path.read_bytes().replace(b'"', b"").replace(b"\n", b"\r\n").replace(b"false", b"FALSE"))
    with Results(path) as results:
        assert "a.png" in results
    saved = path.read_bytes()
    assert write(path, ROWS[:2]).startswith(saved)


FOREIGN = {
    "text.csv": b"a shopping list\n",
    "unfinished.csv": b"a shopping list",
    "columns.csv": b"file,label\na.png,7\n",
    "more.csv": b'"picture","text","confidence","rejected","reason","error","more"\n',
    "json.csv": b'{"picture": "a.png", "text": "7"}\n',
    "binary.csv": bytes(range(256)) * 99,
    "nothing.csv": b"\n",
    "text.jsonl": b"a shopping list\n",
    "csv.jsonl": b'"picture","text","confidence","rejected","reason","error"\n',
    "list.jsonl": b"[1, 2]\n",
    "object.jsonl": b'{"name": "a.png"}\n',
    "number.jsonl": b"7",
    "deep.jsonl": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    with pytest.raises(ResultsError, match="something other than results"):
        Results(path)
    assert path.read_bytes() == FOREIGN[name]


@both
@pytest.mark.parametrize(
    "damage", [b"notes of mine\n", b"\n", b"\x00\xff\n", b'{"picture": 7}\n', b"[" * 9999 + b"\n"]
)
def test_a_damaged_row_is_refused_by_its_number(tmp_path: Path, suffix: str, damage: bytes):
    path = tmp_path / f"r{suffix}"
    lines = write(path, ROWS).splitlines(keepends=True)
    damaged = b"".join([*lines[:3], damage, *lines[3:]])
    path.write_bytes(damaged)
    with pytest.raises(ResultsError, match="line 4 is damaged"):
        Results(path)
    assert path.read_bytes() == damaged


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path):
    path = tmp_path / "r.csv"
    write(path, ROWS)
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 2**25)  # zeros, more than any row has
    size = path.stat().st_size
    with pytest.raises(ResultsError, match="something other"):
        Results(path)
    assert path.stat().st_size == size


@pytest.mark.parametrize("name", ["r.txt", "r", "r.csv.gz", ".csv", "r.json"])
def test_the_suffix_decides(tmp_path: Path, name: str):
    with pytest.raises(ResultsError, match=r"\.csv or \.jsonl"):
        Results(tmp_path / name)


def test_where_no_file_can_be(tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(ResultsError, match="not a file"):
        Results(tmp_path / "folder.csv")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file/r.csv", ROWS)
    with pytest.raises(OSError, match="loop"):
        write(tmp_path / "loop.csv", ROWS)


@pytest.mark.skipif(os.name != "posix", reason="there are such files on POSIX")
@pytest.mark.timeout(10)
def test_a_pipe_is_no_results_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ResultsError, match="not a file"):
        Results(tmp_path / "pipe.csv")


@both
def test_one_process_at_a_time(tmp_path: Path, suffix: str):
    pytest.importorskip("fcntl")
    path = tmp_path / f"r{suffix}"
    write(path, ROWS[:1])
    again = f"from lenet.batch.results import Results; from pathlib import Path; Results(Path({str(path)!r}))"
    with Results(path):
        done = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True)
    assert "another process is writing to it" in done.stderr
    assert subprocess.run([sys.executable, "-c", again], check=False).returncode == 0


@both
def test_a_full_disk_leaves_whole_rows(tmp_path: Path, suffix: str, full_disk: Callable[[int], Any]):
    path = tmp_path / f"r{suffix}"
    whole = write(path, ROWS)
    path.unlink()
    with Results(path) as results, full_disk(len(whole) - 3):
        for one in ROWS[:4]:
            results.append(one)
        with pytest.raises(OSError, match=path.name):
            results.append(ROWS[4])
        assert results.count == 4
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:-1])
    assert write(path, ROWS) == whole


def test_a_file_for_excel_begins_with_a_mark_and_is_resumed(tmp_path: Path):
    path = tmp_path / "results.excel.csv"
    with Results(path) as results:
        results.append(row("数字.png"))
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"picture"')
    assert path.read_text("utf-8-sig").splitlines()[1].startswith('"数字.png"')
    with Results(path) as results:
        assert "数字.png" in results
        results.append(row("b.png"))
    assert path.read_bytes().count(b"\xef\xbb\xbf") == 1


def test_a_mark_that_a_spreadsheet_wrote_is_read(tmp_path: Path):
    path = tmp_path / "results.csv"
    with Results(path) as results:
        results.append(row("a.png"))
    content = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b'"', b""))
    with Results(path) as results:
        assert (results.count, "a.png" in results) == (1, True)
    for length in (1, 2, 3, 10):  # the first line was cut
        path.write_bytes((b"\xef\xbb\xbf" + content)[:length])
        with Results(path) as results:
            assert results.count == 0
