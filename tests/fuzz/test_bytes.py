"""Seeded damage to files of every kind: a result or the package's own error, in bounded time and memory.

`LENET_FUZZ_SECONDS` sets the seconds per group; `make fuzz` takes longer than `make test`.
"""

import gzip
import io
import os
import random
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from lenet.data.custom import load_custom
from lenet.data.idx import encode_idx, read_idx
from lenet.data.importing import import_data
from lenet.errors import LeNetError
from lenet.images.decoding import FORMATS, decode
from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet

SECONDS = float(os.environ.get("LENET_FUZZ_SECONDS", "2"))
MIN_CASES = 60  # of a group, however slow the machine is
MAX_SECONDS, MAX_BYTES = 5.0, 500_000_000  # of one case


def pictures(folder: Path) -> list[bytes]:
    contents = []
    for kind in FORMATS:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((40, 30)).save(buffer, kind)
        contents.append(buffer.getvalue())
    return contents


def idx_files(folder: Path) -> list[bytes]:
    whole = encode_idx(torch.zeros(3, 4, 4, dtype=torch.uint8))
    return [whole, gzip.compress(whole), encode_idx(torch.arange(9, dtype=torch.int32))]


def checkpoints(folder: Path) -> list[bytes]:
    model = LeNet(LeNetConfig(input_size=8, channels=(2,), kernel_size=3, hidden=(3,), classes=10))
    save_checkpoint(folder / "whole.safetensors", model, {"classes": list("0123456789")})
    return [(folder / "whole.safetensors").read_bytes()]


def tables(folder: Path) -> list[bytes]:
    for name in "ab":
        Image.new("L", (9, 9), 255).save(folder / f"{name}.png")
    rows = "".join(f"{name}.png,{name}\n" for name in "ab" * 5)
    return [b"file,label\n" + rows.encode(), b"\xef\xbb\xbffile,label,split\na.png,1,train\nb.png,2,test\n"]


def archives(folder: Path) -> list[bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("train-images-idx3-ubyte", idx_files(folder)[0])
        members.writestr("a/b.gz", idx_files(folder)[1])
    return [buffer.getvalue()]


Target = Callable[[Path], object]
GROUPS: dict[str, tuple[Callable[[Path], list[bytes]], str, Target]] = {
    "picture": (pictures, "case.png", decode),
    "idx": (idx_files, "case-idx3-ubyte", read_idx),
    "checkpoint": (checkpoints, "case.safetensors", load_checkpoint),
    "csv": (tables, "case.csv", lambda path: load_custom(path, "train")),
    "archive": (archives, "case.zip", import_data),
}


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


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files(
    group: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
):
    prepare, name, target = GROUPS[group]
    source = random.Random(f"{group} 0")
    wholes, path = prepare(workplace), workplace / name
    end, count = time.monotonic() + SECONDS, 0
    tracemalloc.start()
    try:
        while count < MIN_CASES or time.monotonic() < end:
            content = damage(source.choice(wholes), source)
            path.write_bytes(content)
            tracemalloc.reset_peak()
            began = time.thread_time()
            try:
                target(path)
            except LeNetError as error:
                if "\n" in str(error):
                    pytest.fail(f"{group} case {count}: {error} for {content!r}")
            except Exception as error:
                pytest.fail(f"{group} case {count}: {error!r} for {content!r}")
            assert time.thread_time() - began < MAX_SECONDS, content
            assert tracemalloc.get_traced_memory()[1] < MAX_BYTES, content
            count += 1
    finally:
        tracemalloc.stop()
    record_property("hostile cases", f"{group} {count}")
    assert count >= MIN_CASES
