"""Groups of damaged files. As a program: every group in a process of its own, one line of JSON a group.

    python tests/fuzz/groups.py SECONDS [GROUP …]

In each of its cases, a group's process may compute for MAX_SECONDS and allocate MAX_BYTES beyond what it has
when it begins. Its seed is its name, so that a case that fails comes again.
"""

import gzip
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lenet.cli.app import write_json
from lenet.cli.tables import show_runs
from lenet.data.custom import load_custom
from lenet.data.datasets import load
from lenet.data.idx import encode_idx, read_idx
from lenet.data.importing import import_data
from lenet.errors import LeNetError
from lenet.images.decoding import FORMATS, decode
from lenet.insight.diagnosis import diagnose
from lenet.insight.report import write_report
from lenet.models.checkpoint import load_checkpoint, save_checkpoint, write_tensors
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.stored import FORMAT, read_tensors
from lenet.reading.reader import Reader
from lenet.training.evaluation import evaluate
from lenet.training.recipes import RECIPES
from lenet.training.resuming import open_run
from lenet.training.run_folder import RunFolder
from lenet.training.run_state import STATE_FORMAT
from lenet.training.runs import begin_run, find_training_data, run_training
from lenet.training.summaries import list_runs

MIN_CASES = 60  # of a group, however slow the machine is
MAX_SECONDS, MAX_BYTES = 5, 500_000_000
Case = tuple[bytes, Callable[[], object]]
"""What was damaged, for the report of a failure, and what reads it."""
HOSTILE_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    10**400,
    5.0,
    1e308,
    float("nan"),
    "",
    "9" * 5000,
    "\x1b[31m\n",
]
HOSTILE_VALUES += [[], {}, [[]], {"a": None}, "../../etc/passwd", "\ud800", "\x00", [1] * 300, 2**63]


def damage(content: bytes, source: random.Random) -> bytes:
    """Bytes replaced, inserted, removed, repeated or cut off, most of them near the start."""
    changed = bytearray(content)
    for _ in range(source.randint(1, 6)):
        place = min(int(source.expovariate(1 / 60)), max(0, len(changed) - 1))
        if source.random() < 0.3:
            place = source.randrange(len(changed) or 1)
        kind = source.randrange(5)
        if kind == 0 and changed:
            changed[place] = source.choice([0, 1, 127, 128, 255, source.randrange(256)])
        elif kind == 1:
            changed[place:place] = source.randbytes(source.randint(1, 8))
        elif kind == 2:
            del changed[place : place + source.randint(1, 8)]
        elif kind == 3:
            changed[place:place] = changed[place : place + 40] * source.randint(1, 20)
        elif source.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def replace_value(values: Any, source: random.Random) -> Any:
    """A copy of JSON values with a hostile one somewhere, or with a key less."""
    if not isinstance(values, dict | list) or not values or source.random() < 0.1:
        return source.choice(HOSTILE_VALUES)
    changed = values.copy()
    key = source.choice(list(values) if isinstance(values, dict) else range(len(values)))
    if source.random() < 0.1:
        del changed[key]
    else:
        changed[key] = replace_value(values[key], source)
    return changed


def read_damaged(
    wholes: list[bytes], path: Path, read: Callable[[Path], object]
) -> Callable[..., Iterator[Case]]:
    """Cases of one file that is damaged byte by byte."""

    def cases(source: random.Random) -> Iterator[Case]:
        while True:
            content = damage(source.choice(wholes), source)
            path.write_bytes(content)
            yield content, lambda: read(path)

    return cases


def pictures(folder: Path) -> Callable[..., Iterator[Case]]:
    contents = []
    for kind in FORMATS:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((40, 30)).save(buffer, kind)
        contents.append(buffer.getvalue())
    return read_damaged(contents, folder / "case.png", decode)


def idx_contents() -> list[bytes]:
    whole = encode_idx(torch.zeros(3, 4, 4, dtype=torch.uint8))
    return [whole, gzip.compress(whole), encode_idx(torch.arange(9, dtype=torch.int32))]


def idx_files(folder: Path) -> Callable[..., Iterator[Case]]:
    return read_damaged(idx_contents(), folder / "case-idx3-ubyte", read_idx)


def tables(folder: Path) -> Callable[..., Iterator[Case]]:
    for name in "ab":
        Image.new("L", (9, 9), 255).save(folder / f"{name}.png")
    rows = "".join(f"{name}.png,{name}\n" for name in "ab" * 5)
    wholes = [b"file,label\n" + rows.encode(), b"\xef\xbb\xbffile,label,split\na.png,1,train\nb.png,2,test\n"]
    return read_damaged(wholes, folder / "case.csv", lambda path: load_custom(path, "train"))


def archives(folder: Path) -> Callable[..., Iterator[Case]]:
    plain, packed, _ = idx_contents()
    members = {"train-images-idx3-ubyte": plain, "a/b.gz": packed}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    wholes = [zipped.getvalue()]
    for packing in ("", "gz", "bz2", "xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{packing}") as tar:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        wholes.append(buffer.getvalue())
    return read_damaged(wholes, folder / "case.archive", import_data)


def checkpoints(folder: Path) -> Callable[..., Iterator[Case]]:
    """Half of them whole by their checksum, with a hostile value in the card."""
    whole, damaged = folder / "whole.safetensors", folder / "case.safetensors"
    model = LeNet(LeNetConfig(input_size=8, channels=(2,), kernel_size=3, hidden=(3,), classes=10))
    curve = {"validation_count": 10_000, "curve": [[0.0, 0.0, 0.02], [0.5, 0.1, 0.001]]}
    card = {
        "classes": list("0123456789"),
        "rejection": curve,
        "reading_rejection": {"1": curve, "2-4": curve},
    }
    save_checkpoint(whole, model, {**card, "temperature": 1.5, "whole_pictures": False})

    def read(path: Path) -> None:
        checkpoint = load_checkpoint(path)
        Reader(checkpoint)
        Reader(checkpoint, max_error=0.05)

    def cases(source: random.Random) -> Iterator[Case]:
        by_bytes = read_damaged([whole.read_bytes()], damaged, read)(source)
        tensors, card = read_tensors(whole, FORMAT)
        while True:
            yield next(by_bytes)
            yield damage_card(damaged, tensors, card, source), lambda: read(damaged)

    return cases


def damage_card(path: Path, tensors: dict[str, Any], card: dict[str, Any], source: random.Random) -> bytes:
    """Write tensors with a card in which a value is replaced, and the checksum is right; returns the card."""
    changed = replace_value(card, source)
    while not isinstance(changed, dict) or changed.get("format") != card["format"]:
        changed = replace_value(card, source)
    write_tensors(path, tensors, changed)
    return repr(changed).encode()


def runs(folder: Path) -> Callable[..., Iterator[Case]]:
    """A finished run of which a file is damaged: listed, diagnosed, evaluated and resumed."""
    data = folder / "data"
    data.mkdir()
    for prefix in ("train", "t10k"):
        (data / f"{prefix}-images-idx3-ubyte").write_bytes(
            encode_idx(torch.zeros(20, 9, 9, dtype=torch.uint8))
        )
        (data / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx((torch.arange(20) % 2).byte()))
    changes = {
        "data": str(data),
        "epochs": 2,
        "channels": (1,),
        "hidden": (),
        "input_size": 9,
        "validation": 4,
    }
    begun = begin_run(RECIPES["d2l"].override(changes), device="cpu", runs_dir=folder / "whole")
    for _ in run_training(begun):
        pass
    (begun.path / "diverged.txt").write_text("the loss is not finite in epoch 3\n")

    run = folder / "runs" / "run"

    def cases(source: random.Random) -> Iterator[Case]:
        names = sorted(file.name for file in begun.path.iterdir())
        while True:
            shutil.rmtree(run.parent, ignore_errors=True)
            shutil.copytree(begun.path, run)
            file = run / source.choice(names)
            if source.random() < 0.3 and file.suffix != ".json":  # the plan is then used as it is
                (run / "state.safetensors").unlink()
                (run / "history.jsonl").unlink()
                file = run / "recipe.json"
            content = file.read_bytes()
            if source.random() < 0.5 and file.suffix in (".json", ".jsonl"):
                lines = content.decode().splitlines() if file.suffix == ".jsonl" else [content.decode()]
                place = source.randrange(len(lines))
                lines[place] = json.dumps(replace_value(json.loads(lines[place]), source))
                content = "\n".join(lines).encode()
                file.write_bytes(content)
            elif source.random() < 0.5 and file.suffix == ".safetensors":
                kind = STATE_FORMAT if file.stem == "state" else FORMAT
                content = damage_card(file, *read_tensors(file, kind), source)
            else:
                content = damage(content, source)
                file.write_bytes(content)
            report = [report_run] if source.random() < 0.1 else []  # takes ten times as long
            for use in (list_all, diagnose_run, evaluate_run, *report, resume_run):
                yield file.name.encode() + b": " + content, lambda use=use: use(run)

    return cases


def list_all(run: Path) -> None:
    summaries = list_runs(run.parent)
    assert len(summaries) == (run / "recipe.json").exists()
    assert all("\n" not in (summary.error or "") for summary in summaries)
    show_runs(summaries)
    write_json([asdict(summary) for summary in summaries])


def diagnose_run(run: Path) -> None:
    diagnose(RunFolder(run))


def evaluate_run(run: Path) -> None:
    checkpoint = load_checkpoint(str(run))
    evaluate(checkpoint, load(find_training_data(str(run), checkpoint), "test"))


def report_run(run: Path) -> None:
    write_report(RunFolder(run))


def resume_run(run: Path) -> None:
    """At most two epochs of it: a plan may say many."""
    list(islice(run_training(open_run(run)), 6))


GROUPS: dict[str, Callable[[Path], Callable[..., Iterator[Case]]]] = {
    "picture": pictures,
    "idx": idx_files,
    "checkpoint": checkpoints,
    "csv": tables,
    "archive": archives,
    "run": runs,
}


def run_group(name: str, seconds: float, folder: Path) -> dict[str, object]:
    """Read damaged files for some seconds, or until one gives anything but a result or a LeNetError."""
    cases = GROUPS[name](folder)(random.Random(f"{name} 0"))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, stop)
    end, count, longest = time.monotonic() + seconds, 0, 0.0
    content, fault = b"", ""
    while not fault and (count < MIN_CASES or time.monotonic() < end):
        content, read = next(cases)
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        began = time.process_time()
        try:
            read()
        except LeNetError as error:
            fault = f"{error!r} has several lines" if "\n" in str(error) else ""
        except Exception as error:
            fault = repr(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        longest = max(longest, time.process_time() - began)
        count += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    return {
        "group": name,
        "cases": count,
        "seconds of the slowest": round(longest, 2),
        "megabytes": grown // 1024,
        "fault": fault and f"case {count}: {fault} for {content[:2000]!r}",
    }


def stop(*_: object) -> None:
    raise TimeoutError(f"more than {MAX_SECONDS} s")


def main(seconds: float, names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names:
        child = os.fork()
        if child == 0:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["LENET_CACHE"] = f"{folder}/cache"
                print(json.dumps(run_group(name, seconds, Path(folder))), flush=True)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            print(
                json.dumps({"group": name, "cases": 0, "fault": f"its process ended with {code}"}), flush=True
            )


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:] or list(GROUPS))
