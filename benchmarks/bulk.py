"""Read 20,000 pictures in bulk: how fast, in how much memory, and whether killing it changes a bit.

    python benchmarks/bulk.py --pictures 20000 --kills 20

Draws a folder of pictures (the pens, papers and lights of examples/draw_pictures.py, 400 different ones,
copied), and reads it with `lenet predict FOLDER --out results.csv`, as anybody would. While it reads, the
memory of all its processes is looked at once a second (Linux). Part of the folder is then read one by one,
by one worker, and by a command that is killed with SIGKILL again and again and given once more: the results
must be the same bytes.
"""

import argparse
import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lenet.batch.folders import find_pictures
from lenet.batch.pool import read_in_bulk
from lenet.batch.results import Results
from lenet.bench.machine import describe_machine
from lenet.processes import count_cores

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from draw_pictures import draw_ink, grain, light, paint, to_image

RESULT = Path(__file__).parent.resolve() / "results" / "bulk.json"
DIFFERENT = 400
PART = 600  # pictures that are read in every way there is


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--checkpoint", default="reader")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        size = draw_folders(Path("many"), Path("part"), given.pictures, given.seed)
        print(f"drew {given.pictures:,} pictures", file=sys.stderr)
        result = {
            "what": "bulk",
            "command": shlex.join(["python", "benchmarks/bulk.py", *sys.argv[1:]]),
            "checkpoint": given.checkpoint,
            "pictures": given.pictures,
            "bytes_a_picture": round(size / given.pictures),
            "workers": count_cores(),
            **read_many(given.checkpoint),
            **compare(given.checkpoint, given.kills, random.Random(given.seed)),
            "machine": describe_machine(),
        }
        os.chdir("/")
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "megabytes_over_time"}))
    sys.exit(0 if result["same_bytes"] else 1)


def draw_folders(many: Path, part: Path, count: int, seed: int) -> int:
    """Draw pictures into two folders, the second a part of the first; the bytes of all."""
    chance = np.random.default_rng(seed)
    drawn = []
    for number in range(min(DIFFERENT, count)):
        file = many / "000" / f"{number:06d}.{'jpg' if number % 2 else 'png'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(chance, number).save(file, quality=85)
        drawn.append(file)
    for number in range(len(drawn), count):
        source = drawn[number % len(drawn)]
        file = many / f"{number // 1000:03d}" / f"{number:06d}{source.suffix}"
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, file)
    part.mkdir()
    for number in range(PART):
        source = drawn[number % len(drawn)]
        shutil.copyfile(source, part / f"{number:03d}{source.suffix}")
    (part / "empty.png").write_bytes(b"")
    (part / "words.png").write_bytes(b"no picture")
    return sum(file.stat().st_size for file in many.rglob("*.*"))


def draw(chance: np.random.Generator, number: int) -> Image.Image:
    """A digit in some size, pen, ink, paper and light."""
    size = tuple(int(side) for side in chance.integers(150, 480, 2))
    height = int(min(size) * chance.uniform(0.3, 0.8))
    left = int(chance.uniform(0.05, 0.95) * (size[0] - 0.75 * height))
    top = int(chance.uniform(0.05, 0.95) * (size[1] - height))
    pen = max(2.0, height * chance.uniform(0.04, 0.14))
    ink = draw_ink(number % 10, size, height=height, pen=pen, left=max(2, left), top=max(2, top))
    dark, bright = chance.uniform(0, 90, 3), chance.uniform(190, 255, 3)
    colours = (bright, dark) if number % 5 == 0 else (dark, bright)
    pixels = paint(ink, *colours) * light(size, *chance.uniform(0, 1, 2), chance.uniform(0, 0.5))
    return to_image(pixels + grain(size, chance.uniform(0, 4), seed=number))


def read_many(checkpoint: str) -> dict[str, object]:
    """Read the folder `many` by the command, and watch."""
    began = time.monotonic()
    process = start(checkpoint, "many", "many.csv")
    megabytes = []
    while process.poll() is None:
        time.sleep(1)
        megabytes.append(list_megabytes(process.pid))
    seconds = time.monotonic() - began
    assert process.returncode == 0, process.returncode
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = Path("many.csv").read_bytes().count(b"\n") - 1
    whole = [round(sum(processes)) for processes in megabytes if processes]
    quarter = len(whole) // 4
    return {
        "seconds": seconds,
        "pictures_per_second": rows / seconds,
        "processor_milliseconds_a_picture": 1000 * (spent.ru_utime + spent.ru_stime) / rows,
        "megabytes_first_quarter": max(whole[:quarter], default=None),
        "megabytes_last_quarter": max(whole[-quarter:], default=None),
        "megabytes_largest_process": max((max(some) for some in megabytes if some), default=None),
        "megabytes_over_time": whole[:: max(1, len(whole) // 60)],
    }


def compare(checkpoint: str, kills: int, chance: random.Random) -> dict[str, object]:
    """Read the folder `part` in every way; whether all results are the same bytes."""
    with Results(Path("one-by-one.csv")) as results:
        for row in read_in_bulk(find_pictures(["part"]), checkpoint, workers=0):
            results.append(row)
    whole = Path("one-by-one.csv").read_bytes()
    start(checkpoint, "part", "one.csv", "--workers", "1").wait()
    start(checkpoint, "part", "cores.csv").wait()
    killed, were_running = Path("killed.csv"), 0
    for kill in range(kills):
        process = start(checkpoint, "part", killed.name)
        enough = min(len(whole) * (kill + 1) / (kills + 1), len(whole) - 1)
        while process.poll() is None and not (killed.exists() and killed.stat().st_size >= enough):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        were_running += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    start(checkpoint, "part", killed.name).wait()
    files = [Path(name).read_bytes() for name in ("one.csv", "cores.csv", "killed.csv")]
    return {
        "compared_pictures": whole.count(b"\n") - 1,
        "kills": kills,
        "kills_during_reading": were_running,
        "same_bytes": all(file == whole for file in files),
    }


def start(checkpoint: str, folder: str, out: str, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lenet", "predict", folder, "--out", out, "--checkpoint", checkpoint]
    return subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL)


def list_megabytes(pid: int) -> list[float]:
    """The resident memory of a process and of all below it; nothing where there is no /proc."""
    found = []
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        found = [int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmRSS")]
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += list_megabytes(int(child))
    except OSError:  # it has just ended
        pass
    return found


if __name__ == "__main__":
    main()
