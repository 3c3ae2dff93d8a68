"""Reading in bulk: the same rows whoever reads, in order, with bounded memory, and no end without a word."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from lenet.batch.pool import CHUNK, CHUNKS_PER_WORKER, MIN_BULK, NamedPicture, Row, make_row, read_in_bulk
from lenet.errors import CheckpointError, PictureError, ResultsError
from lenet.models.checkpoint import save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.reading.reader import Reader

TINY = LeNetConfig(input_size=28, channels=(4,), kernel_size=5, hidden=(8,), classes=10)
COUNT = 40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    model = LeNet(TINY)
    initialise(model, "default", torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, model, {"classes": list("0123456789")})
    return str(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[NamedPicture]:
    """Scribbles of many sizes, and among them what cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        side = int(random.integers(30, 300))
        page = Image.new("RGB", (side, side), (255, 250, 240))
        line = [tuple(point) for point in random.uniform(0.2, 0.8, (5, 2)) * side]
        ImageDraw.Draw(page).line(line, fill=(20, 20, 60), width=max(2, side // 20))
        page.save(folder / f"{number:03d}.png")
    (folder / "005.png").write_bytes(b"")
    (folder / "017.png").write_bytes(b"no picture at all")
    (folder / "023.png").write_bytes((folder / "022.png").read_bytes()[:100])
    (folder / "030.png").unlink()
    return [(f"{number:03d}", folder / f"{number:03d}.png") for number in range(COUNT)]


@pytest.fixture(scope="module")
def one_by_one(checkpoint: str, pictures: list[NamedPicture]) -> list[Row]:
    reader = Reader(checkpoint)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = [make_row(name, lambda: reader.read(picture).to_dict()) for name, picture in pictures]  # noqa: B023
    torch.set_num_threads(threads)
    return rows


def test_bad_files_are_rows_among_good_ones(one_by_one: list[Row], pictures: list[NamedPicture]):
    assert [row["picture"] for row in one_by_one] == [name for name, _ in pictures]
    assert [row["picture"] for row in one_by_one if "error" in row] == ["005", "017", "023", "030"]
    assert all(row["text"] for row in one_by_one if "error" not in row)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_whoever_reads_the_rows_are_the_same(
    checkpoint: str, pictures: list[NamedPicture], one_by_one: list[Row], workers: int
):
    assert list(read_in_bulk(pictures, checkpoint, workers=workers)) == one_by_one


def test_few_pictures_are_read_here(checkpoint: str, pictures: list[NamedPicture], one_by_one: list[Row]):
    assert len(pictures) < MIN_BULK
    threads = torch.get_num_threads()
    rows = read_in_bulk(pictures, checkpoint)
    assert next(rows) == one_by_one[0]
    assert workers_of(os.getpid()) == []
    assert list(rows) == one_by_one[1:]
    assert torch.get_num_threads() == threads


def test_bytes_are_read_as_files_are(checkpoint: str, pictures: list[NamedPicture], one_by_one: list[Row]):
    name, path = pictures[0]
    assert isinstance(path, Path)
    assert list(read_in_bulk([(name, path.read_bytes())], checkpoint)) == one_by_one[:1]


def test_no_more_is_under_way_than_promised(checkpoint: str):
    asked = 0

    def endless() -> Iterator[NamedPicture]:
        nonlocal asked
        while True:
            asked += 1
            yield "empty", b""

    rows = read_in_bulk(endless(), checkpoint, workers=1)
    for seen in range(1, 1000):
        next(rows)
        assert asked <= max(MIN_BULK, seen + CHUNKS_PER_WORKER * CHUNK + CHUNK)
    rows.close()
    assert workers_of(os.getpid()) == []


@pytest.mark.parametrize(("workers", "size"), [(0, 0), (1, 0), (1, 1_000_000)])
def test_a_checkpoint_that_cannot_be_read_is_one_line(workers: int, size: int, tmp_path: Path):
    """Also where the pictures are more bytes than a pipe holds, so that the parent is still sending them."""
    missing = str(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match="missing"):
        list(read_in_bulk([("blank", bytes(size))] * CHUNK, missing, workers=workers))


def test_what_is_known_of_the_digits_reaches_the_reader(checkpoint: str, pictures: list[NamedPicture]):
    (name, picture), *_ = pictures
    expected = make_row(name, lambda: Reader(checkpoint).read(picture, pattern="##-#").to_dict())
    for workers in (0, 1):
        assert list(read_in_bulk(pictures[:1], checkpoint, workers=workers, pattern="##-#")) == [expected]
    with pytest.raises(PictureError, match="pattern"):
        read_in_bulk(pictures, checkpoint, pattern="no digits")


def test_no_pictures_no_rows():
    assert list(read_in_bulk([], "nothing is loaded for no pictures", workers=2)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_worker_that_dies_is_not_waited_for(checkpoint: str):
    rows = read_in_bulk(repeat(("empty", b"")), checkpoint, workers=2)
    next(rows)
    os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
    with pytest.raises(ResultsError, match="a worker died"):
        for _ in rows:
            pass
    assert workers_of(os.getpid()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_workers_end_with_a_killed_parent(checkpoint: str, pictures: list[NamedPicture]):
    script = (
        "import itertools, sys, time; from pathlib import Path\n"
        "from lenet.batch.pool import read_in_bulk\n"
        "rows = read_in_bulk(itertools.repeat(('a', Path(sys.argv[1]))), sys.argv[2], workers=2)\n"
        "print(next(rows), flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", script, str(pictures[0][1]), checkpoint]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        workers = workers_of(parent.pid)
        assert len(workers) == 2
        parent.kill()
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.05)


def test_the_example_reads_its_folder():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "examples/read_folder.py"], cwd=root, capture_output=True, text=True
    )
    assert done.stdout.startswith("10 pictures, "), done.stderr
    assert len(done.stdout.splitlines()) == 4


def children(parent: int | str = "self") -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def workers_of(parent: int) -> list[int]:
    """Its processes that read; the standard library has one more, which waits."""
    return [pid for pid in children(parent) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
