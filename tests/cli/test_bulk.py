"""`predict FOLDER --out FILE`: killed at any moment it goes on, and ends as if it had never been."""

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.models.checkpoint import save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.synthesis.glyphs import render_strokes
from lenet.synthesis.strokes import draw_strokes

Lenet = Callable[..., Any]
MODEL = "tiny.safetensors"
TINY = LeNetConfig(input_size=28, channels=(4,), kernel_size=5, hidden=(8,), classes=10)
COUNT = 60


@pytest.fixture
def here(workplace: Path) -> Path:
    """A network, and a folder of pictures in which some are none."""
    model = LeNet(TINY)
    initialise(model, "default", torch.Generator().manual_seed(0))
    save_checkpoint(workplace / MODEL, model, {"classes": list("0123456789")})
    folder = workplace / "photos"
    chance = np.random.default_rng(0)
    for number in range(COUNT):
        path = folder / f"{number // 10}" / f"{number % 10}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page = Image.new("L", (60, 60), 255)
        ink = Image.fromarray(255 - render_strokes(draw_strokes(number % 10, chance), 36, 4, chance))
        page.paste(ink, (12, 10))
        page.save(path)
    (folder / "2/5.png").write_bytes(b"no picture")
    (folder / "4/blank.png").write_bytes((folder / "4/1.png").read_bytes())
    Image.new("L", (40, 40), 255).save(folder / "4/blank.png")
    return workplace


@pytest.fixture
def read(lenet: Lenet, here: Path) -> Lenet:
    """`lenet predict` with the network of `here`, in this process."""

    def run(*arguments: object) -> Any:
        return lenet("predict", *arguments, "--checkpoint", MODEL)

    return run


def start(*arguments: object) -> subprocess.Popen[str]:
    """The same in a process and a group of its own."""
    command = [sys.executable, "-m", "lenet", "predict", *map(str, arguments), "--checkpoint", MODEL]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_a_folder_becomes_a_file_of_rows(read: Lenet, here: Path):
    outcome = read("photos", "--out", "r.csv")
    assert outcome.out == ("r.csv: 61 pictures, 61 of them new; 1 could not be read, 1 rejected\n")
    assert (outcome.code, outcome.err) == (1, "")
    rows = rows_of(here / "r.csv")
    assert [row["picture"] for row in rows] == sorted(row["picture"] for row in rows)
    assert len(rows) == COUNT + 1
    alone = read("photos/0/3.png", "--json").json
    assert rows[3] == {
        "picture": "photos/0/3.png",
        "text": alone["text"],
        "confidence": f"{alone['confidence']:.6g}",
        "rejected": "false",
        "reason": "",
        "error": "",
    }
    assert rows[25]["error"].startswith("photos/2/5.png: not a picture")
    (blank,) = (row for row in rows if row["picture"] == "photos/4/blank.png")
    assert (blank["text"], blank["confidence"], blank["rejected"]) == ("", "0", "true")
    assert blank["reason"] == "no ink was found"


def test_json_lines_are_what_json_prints(read: Lenet, here: Path):
    read("photos", "--out", "r.jsonl")
    rows = [json.loads(line) for line in (here / "r.jsonl").read_text().splitlines()]
    printed = read(*[row["picture"] for row in rows], "--json").out.splitlines()
    assert [json.loads(line) for line in printed] == rows


def test_run_again_only_what_is_new_is_read(read: Lenet, here: Path):
    read("photos", "--out", "r.csv")
    before = (here / "r.csv").read_bytes()
    for path in sorted((here / "photos").rglob("*.png"))[1:]:
        path.write_bytes(b"nobody looks at it again")
    (here / "photos/0/00.png").write_bytes((here / "photos/0/0.png").read_bytes())
    outcome = read("photos", "--out", "r.csv", "--json")
    assert outcome.json == {"out": "r.csv", "pictures": 62, "new": 1, "failed": 1, "rejected": 1}
    after = (here / "r.csv").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert read("photos", "photos/0", "--out", "r.csv", "--json").json["new"] == 0
    assert (here / "r.csv").read_bytes() == after


def test_what_is_given_twice_is_read_once(read: Lenet, here: Path):
    assert (
        read("photos/0", "photos/0/1.png", "photos", "--out", "r.csv", "--json").json["pictures"] == COUNT + 1
    )


def test_exit_codes(read: Lenet, here: Path):
    assert read("photos/0", "--out", "all.csv").code == 0
    assert read("photos/2", "--out", "some.csv").code == 1
    assert read("photos/2/5.png", "--out", "none.csv").code == 2
    assert read("photos/2/5.png", "photos/0", "--out", "none.csv").code == 1


def test_the_results_may_lie_among_the_pictures(read: Lenet, here: Path):
    for name in ("r.csv", "r.jsonl"):
        assert read("photos", "--out", f"photos/{name}", "--json").json["pictures"] == COUNT + 1
        assert read("photos", "--out", f"photos/{name}", "--json").json["new"] == 0


@pytest.mark.skipif(os.name != "posix", reason="names as POSIX has them")
def test_any_name(lenet: Lenet, here: Path, monkeypatch: pytest.MonkeyPatch):
    folder = here / "names"
    folder.mkdir()
    names = ["new\nline", 'quote"', "=1+1", "@", "-x", "comma,", os.fsdecode(b"\xff"), "back\\slash", "数"]
    for name in names:
        (folder / name).write_bytes((here / "photos/0/0.png").read_bytes())
    monkeypatch.chdir(folder)
    for out in ("../r.csv", "../r.jsonl"):
        for new in (len(names), 0):
            arguments = [".", "--out", out, "--json", "--checkpoint", f"../{MODEL}"]
            assert lenet("predict", *arguments).json["new"] == new
    assert {row["picture"] for row in rows_of(here / "r.csv")} == {
        r"new\nline", "quote\"", "./=1+1", "./@", "./-x", "comma,", r"\udcff", r"back\\slash", "数",
    }  # fmt: skip
    lines = (here / "r.jsonl").read_text("ascii").splitlines()
    assert {json.loads(line)["picture"] for line in lines} == set(names)


MISTAKES = {
    "an empty folder": (["empty", "--out", "r.csv"], "no pictures in empty"),
    "no such folder": (["photo", "--out", "r.csv"], "photo: there is no such file or folder"),
    "an unknown suffix": (["photos", "--out", "r.xlsx"], ".csv or .jsonl"),
    "a folder to write to": (["photos", "--out", "photos.csv"], "not a file"),
    "below a file": (["photos", "--out", "notes.txt/r.csv"], "notes.txt"),
    "another file": (["photos", "--out", "own.csv"], "something other than results"),
    "standard input": (["-", "--out", "r.csv"], "has no name"),
    "no workers": (["photos", "--out", "r.csv", "--workers", "0"], "--workers is 0; it must be 1 or more"),
    "half a worker": (["photos", "--out", "r.csv", "--workers", "0.5"], "workers"),
    "workers for one": (["photos/0/1.png", "--workers", "2"], "--out"),
    "a cluster for one": (["photos/0/1.png", "--cluster", "auto"], "--cluster needs --out"),
    "a file for a cluster": (["photos", "--out", "own.csv", "--cluster", "auto"], "own.csv: is a file"),
    "workers of a cluster": (["photos", "--out", "r", "--cluster", "auto", "--workers", "2"], "one machine"),
    "pictures twice": (["photos", "photos/0", "--out", "r"], "photos/0: is within photos"),
    "an object alone": (["s3://bucket/1.png"], "are read with --out"),
    "no bucket": (["photos", "--out", "s3://"], "names no bucket"),
    "an explanation": (["photos", "--out", "r.csv", "--explain", "s.png"], "--explain"),
    "nothing": (["--out", "r.csv"], "--out"),
    "no checkpoint": (["photos", "--out", "r.csv", "--model", "missing.safetensors"], "missing.safetensors"),
    "no promise": (["photos", "--out", "r.csv", "--max-error", "0.001"], ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    mistake: str, here: Path, lenet: Lenet, tree: Callable[[Path], object]
):
    (here / "empty").mkdir()
    (here / "photos.csv").mkdir()
    (here / "own.csv").write_text("file,label\n")
    (here / "notes.txt").write_text("notes")
    arguments, expected = MISTAKES[mistake]
    model = [] if "--model" in arguments else ["--checkpoint", MODEL]
    before = tree(here)
    outcome = lenet("predict", *arguments, *model)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("lenet: ")
    assert outcome.err.count("\n") == 1
    assert expected in outcome.err
    assert tree(here) == before


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_killed_at_any_moment_it_ends_the_same(read: Lenet, here: Path, suffix: str):
    read("photos", "--out", f"alone{suffix}")
    whole = (here / f"alone{suffix}").read_bytes()
    out = here / f"killed{suffix}"
    chance = random.Random(suffix)
    for third in (1, 2):
        enough = chance.randint(1, len(whole) * third // 3)
        with start("photos", "--out", out.name) as process:
            wait_for(lambda enough=enough: size_of(out) >= enough)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
        left = out.read_bytes()
        assert whole.startswith(left)
        cut = chance.randint(len(left), min(len(left) + 40, len(whole)))  # half a row, as after a power cut
        out.write_bytes(whole[:cut])
    read("photos", "--out", out.name)
    assert out.read_bytes() == whole


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("stop", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, None)])
def test_stopped_politely_it_says_how_to_go_on(here: Path, stop: signal.Signals, workers: int | None):
    flags = [] if workers is None else ["--workers", workers]
    with start("photos", "--out", "r.csv", *flags) as process:
        wait_for(lambda: size_of(here / "r.csv") > 300)
        os.killpg(process.pid, stop) if stop == signal.SIGINT else process.send_signal(stop)
        out, err = process.communicate(timeout=120)
    rows = len(rows_of(here / "r.csv"))
    assert (process.returncode, out) == (130, "")
    assert err == f"lenet: stopped; r.csv holds {rows} pictures; the same command resumes it\n"
    assert 0 < rows < COUNT
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        wait_for(lambda: os.killpg(process.pid, 0))


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_two_workers_write_what_none_would_also_when_one_dies(read: Lenet, here: Path):
    for copy in range(4):  # so many that none is done before one dies
        shutil.copytree(
            here / "photos",
            here / f"photos/again-{copy}",
            ignore=lambda *_: {"again-0", "again-1", "again-2"},
        )
    read("photos", "--out", "none.csv")
    with start("photos", "--out", "two.csv", "--workers", 2) as process:
        wait_for(lambda: size_of(here / "two.csv") > 300)
        os.kill(find_worker(process.pid), signal.SIGKILL)
        out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("lenet: a worker died")
    assert err.endswith("the same command resumes two.csv\n")
    assert err.count("\n") == 1
    with start("photos", "--out", "two.csv", "--workers", 2) as process:
        process.communicate()
    assert (here / "two.csv").read_bytes() == (here / "none.csv").read_bytes()


def find_worker(parent: int) -> int:
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in task.read_text().split():
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    raise AssertionError("no worker")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_for(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 200
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.001)
