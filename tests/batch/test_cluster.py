"""A Ray cluster: the bytes that one machine writes, whatever is killed; and a picture that kills is found."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lenet.batch import cluster
from lenet.batch.cluster import read_on_cluster
from lenet.batch.jobs import BulkJob, Counts, describe_job
from lenet.batch.pool import Row
from lenet.batch.sources import NamedPicture, list_entries
from lenet.batch.stores import open_store
from lenet.errors import ResultsError
from lenet.models.checkpoint import save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.synthesis.glyphs import render_strokes
from lenet.synthesis.strokes import draw_strokes

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc"),
]
Lenet = Callable[..., Any]
Put = Callable[..., str]
TINY = LeNetConfig(input_size=28, channels=(4,), kernel_size=5, hidden=(8,), classes=10)
COUNT = 24
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
HEAD = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the cluster below, in the environment of this process as well."""
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def head(s3_server: str) -> Iterator[str]:
    """The address of a cluster of two cores, whose workers know the server."""
    environment = os.environ | TOKEN | {"RAY_USAGE_STATS_ENABLED": "0", "AWS_ENDPOINT_URL": s3_server}
    environment |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    with subprocess.Popen(
        [sys.executable, "-c", HEAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("\n")


@pytest.fixture
def here(workplace: Path) -> Path:
    """A network in an empty working folder."""
    model = LeNet(TINY)
    initialise(model, "default", torch.Generator().manual_seed(0))
    save_checkpoint(workplace / "tiny.safetensors", model, {"classes": list("0123456789")})
    return workplace


def draw_pictures(write: Callable[[str, bytes], object]) -> None:
    chance = np.random.default_rng(0)
    for number in range(COUNT):
        page = Image.new("L", (60, 60), 255)
        ink = Image.fromarray(255 - render_strokes(draw_strokes(number % 10, chance), 36, 4, chance))
        page.paste(ink, (12, 10))
        page.save("drawn.png")
        write(f"{number // 10}/{number % 10}.png", Path("drawn.png").read_bytes())
    write("2/bad.png", b"no picture")
    write("1/=1+1 數.png", Path("drawn.png").read_bytes())


def write_local(name: str, content: bytes) -> None:
    Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
    Path("photos", name).write_bytes(content)


def join_parts(bucket_or_folder: str) -> bytes:
    store = open_store(bucket_or_folder)
    return b"".join(store.read(f"parts/{name}") or b"" for name in store.list("parts"))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenet.cli.bulk.SHARD", 5)


def test_a_cluster_is_reached_from_outside(lenet: Lenet, here: Path, head: str):
    """By ray://, through the server for clients that `ray start` also starts."""
    draw_pictures(write_local)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments = ["--address", head, "--host", "127.0.0.1", "--port", port, "--mode", "specific-server"]
    with subprocess.Popen([sys.executable, "-m", "ray.util.client.server", *arguments]) as server:
        try:
            common = ["predict", "photos", "--checkpoint", "tiny.safetensors", "--out"]
            told = [lenet(*common, "here/"), lenet(*common, "there/", "--cluster", f"ray://127.0.0.1:{port}")]
        finally:
            server.kill()
    assert [outcome.code for outcome in told] == [1, 1], told
    assert join_parts("there") == join_parts("here")


def test_a_bucket_is_read_as_on_one_machine(
    lenet: Lenet, here: Path, head: str, bucket: str, put: Put, small_shards: None
):
    draw_pictures(lambda name, content: put(f"photos/{name}", content))
    common = ["predict", f"{bucket}/photos", "--checkpoint", "tiny.safetensors", "--out"]
    told = [
        lenet(*common, "alone.jsonl"),
        lenet(*common, f"{bucket}/here"),
        lenet(*common, f"{bucket}/cluster", "--cluster", head),
        lenet(*common, f"{bucket}/cluster", "--cluster", head),
    ]
    assert [outcome.code for outcome in told] == [1] * 4
    assert [outcome.err for outcome in told] == [""] * 4
    assert told[2].out == f"{bucket}/cluster: 26 pictures, 26 of them new; 1 could not be read, 0 rejected\n"
    assert told[3].out == f"{bucket}/cluster: 26 pictures, 0 of them new; 1 could not be read, 0 rejected\n"
    assert len(open_store(f"{bucket}/cluster").list("parts")) == 6
    rows = (here / "alone.jsonl").read_bytes()
    assert rows.count(b"\n") == 26
    assert join_parts(f"{bucket}/cluster") == join_parts(f"{bucket}/here") == rows
    other = lenet(*common, f"{bucket}/cluster", "--cluster", head, "--length", 1)
    assert (other.code, other.out, other.err.count("\n")) == (2, "", 1)
    assert "it differs in options" in other.err


def test_a_shared_folder_is_read_as_on_one_machine_in_any_form(
    lenet: Lenet, here: Path, head: str, small_shards: None, tree: Callable[[Path], object]
):
    draw_pictures(write_local)
    common = ["predict", "photos", "--checkpoint", "tiny.safetensors", "--out"]
    lenet(*common, "alone.csv")
    lenet(*common, "here/results.csv/")
    lenet(*common, "cluster/results.csv", "--cluster", head)
    assert tree(here / "here") == tree(here / "cluster")
    first, *others = (path.read_bytes() for path in sorted((here / "cluster/results.csv/parts").iterdir()))
    line = b'"picture","text","confidence","rejected","reason","error"\n'
    assert (here / "alone.csv").read_bytes() == first + b"".join(part.removeprefix(line) for part in others)


def test_workers_and_the_driver_killed_and_interrupted_it_ends_the_same(here: Path, lenet: Lenet, head: str):
    draw_pictures(lambda name, content: [write_local(f"{copy}/{name}", content) for copy in range(20)])
    common = ["predict", "photos", "--checkpoint", "tiny.safetensors", "--out"]
    assert lenet(*common, "alone.jsonl").code == 1
    run = (
        "import signal, sys, lenet.cli.app, lenet.cli.bulk; lenet.cli.bulk.SHARD = 20\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell in the background ignores it
        f"sys.argv = ['lenet', *{common!r}, 'out', '--cluster', {head!r}]; lenet.cli.app.main()"
    )
    with subprocess.Popen([sys.executable, "-c", run]) as driver:
        wait_for(lambda: len(open_store("out").list("parts")) > 0)
        kill_worker()
        wait_for(lambda: len(open_store("out").list("parts")) > 4)
        driver.kill()
    assert len(open_store("out").list("parts")) < 20
    with subprocess.Popen([sys.executable, "-c", run], stderr=subprocess.PIPE) as driver:
        wait_for(lambda: len(open_store("out").list("parts")) > 7)
        driver.send_signal(signal.SIGINT)
        assert driver.communicate(timeout=60)[1] == b"lenet: stopped; the same command resumes out\n"
    assert driver.returncode == 130
    with subprocess.Popen(
        [sys.executable, "-c", run], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as driver:
        wait_for(lambda: len(open_store("out").list("parts")) > 12)
        kill_worker()
        out, err = driver.communicate(timeout=100)
    assert (driver.returncode, err) == (1, b"")
    assert out.startswith(b"out: 520 pictures, ")
    assert join_parts("out") == (here / "alone.jsonl").read_bytes()


def kill_worker() -> None:
    """Kill a process that runs a task of ours."""

    def kill() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended by itself
                if path.read_bytes().startswith(b"ray::read_piece"):
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    return True
        return False

    wait_for(kill)


def make_job(where: str, count: int, shard: int) -> tuple[BulkJob, Callable[[str], Iterator[Any]]]:
    Path("many").mkdir(exist_ok=True)
    for number in range(count):
        Path(f"many/{number:02d}").touch()
    job = BulkJob(open_store(where), ".jsonl", describe_job(["many"], ".jsonl", "", {}, shard), shard)
    job.begin()
    return job, partial(list_entries, ["many"])


def test_a_picture_that_ends_its_workers_is_found(here: Path, head: str, monkeypatch: pytest.MonkeyPatch):
    def read(pictures: Iterable[NamedPicture]) -> Iterator[Row]:  # sent by value, as it is a local function
        for name, _ in pictures:
            if name == "many/05":
                os.kill(os.getpid(), signal.SIGKILL)
            yield {"picture": name, "rejected": False}

    job, listing = make_job("out", 11, 8)
    counts = sorted(
        read_on_cluster(job, job.list_shards(listing), read, head), key=lambda each: each.pictures
    )
    assert counts == [Counts(3), Counts(8, 1)]
    rows = [json.loads(line) for line in join_parts("out").splitlines()]
    assert [row["picture"] for row in rows] == [f"many/{number:02d}" for number in range(11)]
    assert [row["picture"] for row in rows if "error" in row] == ["many/05"]
    assert "3 processes ended while they read it" in rows[5]["error"]
    monkeypatch.setattr(cluster, "MAX_GIVEN_UP", 0)
    again, _ = make_job("again", 11, 8)
    alone = again.list_shards(lambda after: list_entries(["many/05"], after))
    with pytest.raises(ResultsError, match=r"more than 0 pictures of shard 0 end .* many/05"):
        list(read_on_cluster(again, alone, read, head))


def test_a_task_that_must_stop_stops_the_reading(here: Path, head: str):
    def refuse(pictures: Iterable[NamedPicture]) -> Iterator[Row]:
        Path(f"tried-{time.monotonic_ns()}").touch()
        raise ResultsError("s3://bucket: S3 cannot be reached")
        yield

    def fail(pictures: Iterable[NamedPicture]) -> Iterator[Row]:
        yield {"picture": "a"}[1]  # type: ignore[index]

    job, listing = make_job("out", 3, 3)
    with pytest.raises(ResultsError, match=r"^s3://bucket: S3 cannot be reached$"):
        list(read_on_cluster(job, job.list_shards(listing), refuse, head))
    assert len(list(here.glob("tried-*"))) == 3
    with pytest.raises(ResultsError, match=r"^a task failed on the cluster: KeyError: 1$"):
        list(read_on_cluster(job, job.list_shards(listing), fail, head))


def test_no_cluster_is_one_line(lenet: Lenet, here: Path, monkeypatch: pytest.MonkeyPatch):
    draw_pictures(write_local)
    common = ["predict", "photos", "--checkpoint", "tiny.safetensors", "--out"]
    for flags, said in (
        (["out", "--cluster", "nonsense"], "nonsense: no Ray cluster can be used there"),
        (["out", "--cluster", "auto", "--workers", "2"], "--workers is for one machine"),
    ):
        outcome = lenet(*common, *flags)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert said in outcome.err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'lenet[cluster]'" in lenet(*common, "out", "--cluster", "auto").err


def test_one_machine_does_not_need_ray(here: Path):
    draw_pictures(write_local)
    common = ["lenet", "predict", "photos", "--checkpoint", "tiny.safetensors", "--out", "out"]
    check = (
        f"import sys; sys.modules['ray'] = sys.modules['s3fs'] = None; sys.argv = {common!r}\n"
        "from lenet.cli.app import main; main()"
    )
    outcome = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert len(join_parts("out").splitlines()) == COUNT + 2


def wait_for(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.005)
