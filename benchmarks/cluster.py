"""Read 20,000 pictures from a bucket on a Ray cluster, while workers and the driver are killed.

    python benchmarks/cluster.py --pictures 20000 --kills 30 --rows 10000000

Draws MNIST's test digits on papers of many colours, as PNG and JPEG, into a bucket of moto, a server that
speaks S3. One machine reads them first. Then `lenet predict --cluster auto` does, while its workers are
killed at random, and once the command itself, which is given again. In the end every picture must have one
row, and the rows must be the bytes of one machine.

The second part is what a cluster does beside reading: a generator lists synthetic names, and a reader that
reads nothing answers, so that manifests, tasks and parts are all that happens. The memory of the driver is
looked at once a second. Hours for 10⁸ pictures are extrapolated from both parts. `--pictures 0` and
`--rows 0` leave a part as it was.
"""

import argparse
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lenet.batch.cluster import read_on_cluster
from lenet.batch.jobs import SHARD, BulkJob, Counts, describe_job
from lenet.batch.stores import open_store
from lenet.bench.machine import describe_machine
from lenet.data.datasets import load

RESULT = Path(__file__).parent.resolve() / "results" / "cluster.json"
BUCKET = "s3://pictures"
SHARDS = 80  # enough to kill workers in
MANY = 100_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {"what": "cluster"}
    command = shlex.join(["python", "benchmarks/cluster.py", *sys.argv[1:]])
    if given.pictures:
        with serve_s3():
            size = draw_bucket(given.pictures, given.seed)
            print(f"drew {given.pictures:,} pictures", file=sys.stderr)
            result["pictures"] = {
                "command": command,
                "bytes_a_picture": round(size / given.pictures),
                **read_bucket(given.pictures, given.kills, random.Random(given.seed)),
                "machine": describe_machine(),
            }
    if given.rows:
        with tempfile.TemporaryDirectory() as scratch:
            result["control_plane"] = {
                "command": command,
                **run_control_plane(Path(scratch), given.rows),
                "machine": describe_machine(),
            }
    if {"pictures", "control_plane"} <= result.keys():
        rate = result["pictures"]["one_machine_pictures_per_second"] / (os.cpu_count() or 1)
        result["extrapolated"] = {
            "pictures": MANY,
            "control_plane_hours": MANY / result["control_plane"]["rows_per_second"] / 3600,
            "reading_hours_on_100_cores": MANY / (100 * rate) / 3600,
        }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    sys.exit(0 if result.get("pictures", {}).get("same_bytes", True) else 1)


class serve_s3:
    """moto in a process of its own, and the environment in which S3 is that server, in a block."""

    def __enter__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def draw_bucket(count: int, seed: int) -> int:
    """Draw digits into the bucket; the bytes of all."""
    from s3fs import S3FileSystem

    store = S3FileSystem()
    store.mkdir(BUCKET)
    images, chance, size = load("mnist", "test").images[:, 0].numpy(), np.random.default_rng(seed), 0
    for first in range(0, count, 500):
        batch = {}
        for number in range(first, min(first + 500, count)):
            content = BytesIO()
            form = "png" if number % 2 else "jpeg"
            draw(images[number % len(images)], chance).save(content, form, quality=90)
            batch[f"{BUCKET}/photos/{number // 1000:03d}/{number:06d}.{form}"] = content.getvalue()
        store.pipe(batch)
        size += sum(map(len, batch.values()))
    for name, content in (("empty.png", b""), ("words.png", b"no picture"), ("=1+1 数.png", b"\x89PNG")):
        store.pipe_file(f"{BUCKET}/photos/{name}", content)
    return size


def draw(image: np.ndarray[Any, Any], chance: np.random.Generator) -> Image.Image:
    """A digit of some size in some ink, somewhere on paper that is not even."""
    side, width, height = (int(chance.integers(low, high)) for low, high in ((24, 60), (70, 140), (70, 140)))
    ink = np.zeros((height, width, 1), np.float32)
    left, top = int(chance.integers(4, width - side - 3)), int(chance.integers(4, height - side - 3))
    scaled = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    ink[top : top + side, left : left + side, 0] = np.asarray(scaled, np.float32) / 255
    slope = np.linspace(0, chance.uniform(-30, 30), width)[None, :, None]
    paper = chance.uniform(180, 255, 3) + slope + chance.normal(0, chance.uniform(0, 4), (height, width, 1))
    return Image.fromarray(
        np.clip(paper * (1 - ink) + chance.uniform(0, 80, 3) * ink, 0, 255).astype(np.uint8)
    )


def read_bucket(count: int, kills: int, chance: random.Random) -> dict[str, Any]:
    """Read the bucket on one machine, and on a cluster in which processes are killed."""
    began, shard, given_again = time.monotonic(), -(-count // SHARDS), 0
    while (code := start(shard, "one").wait()) != 1:  # some pictures cannot be read
        assert code == 2, code  # the server does not answer while the machine has too much to do
        given_again += 1
    alone = time.monotonic() - began
    rows = join_parts("one")
    shards = -(-rows.count(b"\n") // shard)
    print(f"one machine: {alone:.0f} s", file=sys.stderr)
    began, killed, is_second = time.monotonic(), 0, False
    driver = start(shard, "many", "--cluster", "auto")
    due = sorted(chance.uniform(0.02, 0.9) for _ in range(kills))
    while (code := driver.poll()) in (None, 2):
        if code == 2:
            driver, given_again = start(shard, "many", "--cluster", "auto"), given_again + 1
        share = len(open_store(f"{BUCKET}/many").list("parts")) / shards
        if not is_second and share > 0.4:
            driver.kill()
            driver.wait()
            driver, is_second = start(shard, "many", "--cluster", "auto"), True
        elif killed < kills and share >= due[killed] and (workers := find_workers(driver.pid)):
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed += 1
            print(f"{share:.0%}: killed a worker", file=sys.stderr)
        time.sleep(0.3)
    seconds = time.monotonic() - began
    names = [json.loads(line)["picture"] for line in rows.splitlines()]
    return {
        "pictures_a_shard": shard,
        "rows": len(names),
        "rows_with_errors": sum('"error": ' in line for line in rows.decode().splitlines()),
        "every_row_once": len(set(names)) == len(names),
        "one_machine_seconds": alone,
        "one_machine_pictures_per_second": len(names) / alone,
        "cluster_seconds": seconds,
        "cluster_pictures_per_second": len(names) / seconds,
        "workers_killed": killed,
        "driver_killed": int(is_second),
        "given_again_as_the_server_was_late": given_again,
        "exit_code": driver.returncode,
        "same_bytes": join_parts("many") == rows,
    }


def start(shard: int, where: str, *flags: str) -> subprocess.Popen[bytes]:
    """`lenet predict` on the bucket, with smaller shards."""
    words = ["lenet", "predict", f"{BUCKET}/photos", "--out", f"{BUCKET}/{where}", *flags]
    run = (
        f"import sys, lenet.cli.app, lenet.cli.bulk; lenet.cli.bulk.SHARD = {shard}\n"
        f"sys.argv = {words!r}; lenet.cli.app.main()"
    )
    return subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.DEVNULL)


def join_parts(where: str) -> bytes:
    store = open_store(f"{BUCKET}/{where}")
    return b"".join(store.read(f"parts/{name}") or b"" for name in store.list("parts"))


def find_workers(parent: int) -> list[int]:
    """The processes below `parent` that run a task of ours."""
    found, waiting = [], [parent]
    while waiting:
        pid = waiting.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::read_piece"):
                found.append(pid)
        except OSError:  # it has just ended
            continue
    return found


def run_control_plane(scratch: Path, count: int) -> dict[str, Any]:
    """List `count` names, write their manifests, and let tasks that read nothing write the parts."""

    def list_names(after: str) -> Iterator[tuple[str, int]]:
        assert not after
        return ((f"s3://bucket/photos/{number:09d}.png", 0) for number in range(count))

    def read_nothing(pictures: Iterable[Any]) -> Iterator[dict[str, Any]]:
        for name, _ in pictures:
            yield {"picture": name, "text": "", "confidence": 0.0, "rejected": True, "reason": ""}

    header = describe_job([], ".jsonl", "", {}, SHARD)
    job = BulkJob(open_store(str(scratch / "out")), ".jsonl", header, SHARD)
    job.begin()
    megabytes: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1):
            lines = Path("/proc/self/status").read_text().splitlines()
            megabytes.extend(int(line.split()[1]) // 1000 for line in lines if line.startswith("VmRSS"))

    began, total = time.monotonic(), Counts()
    watcher = threading.Thread(target=watch)
    watcher.start()
    for counts in read_on_cluster(job, job.list_shards(list_names), read_nothing):
        total += counts
    seconds = time.monotonic() - began
    stop.set()
    watcher.join()
    assert total.pictures == count
    began = time.monotonic()
    assert list(job.list_shards(list_names)) == []
    quarter = max(1, len(megabytes) // 4)
    return {
        "rows": count,
        "pictures_a_shard": SHARD,
        "shards": -(-count // SHARD),
        "seconds": seconds,
        "rows_per_second": count / seconds,
        "seconds_to_find_nothing_to_do": time.monotonic() - began,
        "driver_megabytes_second_quarter": max(megabytes[quarter : 2 * quarter], default=None),
        "driver_megabytes_last_quarter": max(megabytes[-quarter:], default=None),
        "driver_megabytes_over_time": megabytes[:: max(1, len(megabytes) // 40)],
    }


def wait_for(is_true: Any) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


if __name__ == "__main__":
    main()
