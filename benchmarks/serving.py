"""What `lenet serve` sustains, with its load generators on the same cores.

    python benchmarks/serving.py
    python benchmarks/serving.py --seconds 3 --requests 5000     # a first look

Starts the server as a process of its own, and drives it with wrk (as fast as it goes) and hey (at a rate):
images in batches and one by one; four times more pictures and images than it can compute; images while ten
photographs are in work; its memory over many requests; SIGTERM while clients send request after request.
Needs Linux, wrk and hey. Nothing else should run on the machine: a figure of the load average is kept.
"""

import argparse
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from lenet.bench.machine import describe_machine

ROOT = Path(__file__).parents[1].resolve()
RESULT = ROOT / "benchmarks/results/serving.json"
PHOTOGRAPH = ROOT / "examples/pictures/9-pencil.jpg"
BATCH = 64  # images of a batched request
CONNECTIONS = 8
TURNS = 3
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "%s"
local file = io.open("%s", "rb"); wrk.body = file:read("*a"); file:close()
done = function(summary, latency)
    print(string.format('JSON {"requests": %%d, "seconds": %%f, "failed": %%d, "p50": %%f, "p99": %%f}',
        summary.requests, summary.duration / 1e6,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=15, help="of each part")
    parser.add_argument("--requests", type=int, default=200_000, help="over which the memory is watched")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        draw_bodies(folder)
        with serve(folder) as (address, process):
            load = Load(address, folder, given.seconds)
            load.drive("single", 1)  # the first requests are slower
            result: Figures = {
                "what": "serving",
                "command": shlex.join(["python", "benchmarks/serving.py", *sys.argv[1:]]),
                "load_average_before": round(os.getloadavg()[0], 2),
                "asked": {
                    "batched_images_per_second": 3000, "single_requests_per_second": 500, "p99_ms": 50,
                    "refusal_ms": 50, "p99_ratio_beside_photographs": 2, "lost": 0,
                },
                "batched": load.drive(f"batch{BATCH}", given.seconds, images=BATCH),
                "single": load.drive("single", given.seconds, images=1),
                "single_json": load.drive("single-json", given.seconds, images=1),
            }  # fmt: skip
            result["overload"] = load.overload(result["batched"]["requests_per_second"])
            result["beside_photographs"] = load.compare_photographs()
            result["memory"] = load.watch_memory(process.pid, given.requests)
            result["stopping"] = load.stop(process)
    result["machine"] = describe_machine()
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def draw_bodies(folder: Path) -> None:
    """The bodies that the generators send."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28), dtype=np.uint8)
    (folder / "single").write_bytes(images[:1].tobytes())
    (folder / f"batch{BATCH}").write_bytes(images.tobytes())
    (folder / "single-json").write_text(json.dumps({"images": images[:1].tolist()}))
    (folder / "photograph").write_bytes(PHOTOGRAPH.read_bytes())


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that is ready: its address and its process."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lenet", "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            while httpx.get(f"{address}ready").status_code != 200:
                time.sleep(0.2)
            yield address, process
        finally:
            process.kill()
            process.wait()


class Load:
    """What drives the server at an address with the bodies in a folder."""

    def __init__(self, address: str, folder: Path, seconds: int) -> None:
        self.address, self.folder, self.seconds = address, folder, seconds

    def drive(self, body: str, seconds: int, images: int = 1, connections: int = CONNECTIONS) -> Figures:
        """As many requests to /v1/classify as the server answers."""
        kind = "application/json" if body.endswith("json") else "application/octet-stream"
        script = self.folder / "wrk.lua"
        script.write_text(SCRIPT % (kind, self.folder / body))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script)]
        printed = subprocess.run(
            [*command, f"{self.address}v1/classify"], capture_output=True, text=True, check=True
        ).stdout
        (line,) = (line for line in printed.splitlines() if line.startswith("JSON "))
        seen = json.loads(line.removeprefix("JSON "))
        rate = seen["requests"] / seen["seconds"]
        return {
            "connections": connections,
            "requests_per_second": round(rate, 1),
            "images_per_second": round(rate * images, 1),
            "p50_ms": round(seen["p50"], 2),
            "p99_ms": round(seen["p99"], 2),
            "failed": seen["failed"],
        }

    @contextmanager
    def send(self, path: str, body: str, kind: str, workers: int, rate: float | None) -> Iterator[Figures]:
        """A block beside which hey sends requests at a rate (a second, all workers together), or as fast as
        they are answered; what it saw by status is there after the block."""
        limit = [] if rate is None else ["-q", f"{rate / workers:.3f}"]
        command = [
            "hey", "-z", f"{self.seconds}s", "-c", str(workers), *limit, "-m", "POST", "-T", kind,
            "-D", str(self.folder / body), "-o", "csv", f"{self.address}{path}",
        ]  # fmt: skip
        seen: Figures = {}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        yield seen
        printed, _ = process.communicate()
        rows = list(csv.DictReader(printed.splitlines()))
        for status in sorted({row["status-code"] for row in rows}):
            times = [1000 * float(row["response-time"]) for row in rows if row["status-code"] == status]
            p50, p99 = np.percentile(times, [50, 99])
            seen[status] = {"requests": len(times), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}

    def overload(self, rate: float) -> Figures:
        """Four times more than the server computes, in each lane; then whether it answers as before."""
        with self.send("v1/predict", "photograph", "image/jpeg", 2, None) as alone:
            pass
        pictures = alone["200"]["requests"] / self.seconds
        with self.send("v1/predict", "photograph", "image/jpeg", 80, 4 * max(20.0, pictures)) as many:
            pass
        kind = "application/octet-stream"
        with self.send("v1/classify", f"batch{BATCH}", kind, 50, 4 * rate) as images:
            pass
        time.sleep(2)
        return {
            "pictures_per_second": round(pictures, 1),
            "pictures": many,
            "images": images,
            "afterwards": self.drive("single", self.seconds),
        }

    def compare_photographs(self) -> Figures:
        """Images at a moderate rate, alone and with ten photographs in work at any time, in turns."""
        kind = "application/octet-stream"
        turns = []
        for _ in range(TURNS):
            with self.send("v1/classify", "single", kind, 4, 100) as alone:
                pass
            with (
                self.send("v1/predict", "photograph", "image/jpeg", 10, None) as photographs,
                self.send("v1/classify", "single", kind, 4, 100) as beside,
            ):
                pass
            turns.append({"alone": alone, "beside": beside, "photographs": photographs})
        ratios = [turn["beside"]["200"]["p99_ms"] / turn["alone"]["200"]["p99_ms"] for turn in turns]
        return {
            "turns": turns,
            "p99_ratios": np.round(ratios, 2).tolist(),
            "p99_ratio": float(np.median(ratios)),
        }

    def watch_memory(self, process: int, requests: int) -> Figures:
        """Megabytes of the server and its workers, while so many requests are answered."""
        done, megabytes = 0.0, [measure_megabytes(process)]
        while done < requests:
            with self.send("v1/predict", "photograph", "image/jpeg", 1, 5):
                seen = self.drive("single", self.seconds)
            done += seen["requests_per_second"] * self.seconds
            megabytes.append(measure_megabytes(process))
        return {"requests": round(done), "megabytes": megabytes}

    def stop(self, process: subprocess.Popen[str]) -> Figures:
        """SIGTERM while clients send request after request; how many were answered, and how many lost."""
        image, photograph = ((self.folder / name).read_bytes() for name in ("single", "photograph"))

        def call(number: int) -> tuple[int, list[str]]:
            answered, lost = 0, []
            path, body, kind = (
                ("v1/classify", image, "application/octet-stream")
                if number % 4
                else ("v1/predict", photograph, "image/jpeg")
            )
            with httpx.Client(base_url=self.address, timeout=60) as client:
                while True:
                    try:
                        answer = client.post(path, content=body, headers={"Content-Type": kind})
                        answered += answer.status_code == 200
                    except httpx.ConnectError:  # the connection was not accepted
                        return answered, lost
                    except httpx.HTTPError as error:
                        lost.append(type(error).__name__)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            calls = [pool.submit(call, number) for number in range(CONNECTIONS)]
            time.sleep(2)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
            seconds = time.monotonic() - began
            outcomes = [each.result() for each in calls]
        return {
            "exit_code": code,
            "seconds": round(seconds, 2),
            "answered": sum(answered for answered, _ in outcomes),
            "lost": [error for _, lost in outcomes for error in lost],
        }


def measure_megabytes(pid: int) -> int:
    """The resident memory of a process and of all below it, whichever of its threads started them."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = sum(int(line.split()[1]) // 1000 for line in status if line.startswith("VmRSS"))
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return own + sum(measure_megabytes(child) for child in children)


if __name__ == "__main__":
    main()
