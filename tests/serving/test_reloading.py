"""SIGHUP under load: the checkpoint changes, no request is lost, and a bad file changes nothing."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from lenet.models.checkpoint import load_checkpoint, save_checkpoint
from lenet.models.config import LeNetConfig
from lenet.models.inference import open_lenet
from lenet.models.network import LeNet
from lenet.models.stored import find_checkpoint, read_stored

PENCIL = Path(__file__).parents[2] / "examples/pictures/9-pencil.jpg"
READER, MNIST = find_checkpoint("reader"), find_checkpoint("mnist")
DIGITS = list("0123456789")

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


def version(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:12]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Any]) -> Iterator[Any]:
    """A server with a checkpoint in its folder, which has read its first picture."""
    folder = tmp_path_factory.mktemp("reloaded")
    shutil.copy(READER, folder / "served.safetensors")
    server = start(folder, "served.safetensors")
    wait_until(lambda: httpx.get(f"{server.address}ready", timeout=60).status_code == 200)
    yield server
    server.process.kill()
    server.process.communicate()


def count_reloads(server: Any) -> dict[str, int]:
    lines = httpx.get(f"{server.address}metrics", timeout=30).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {
        outcome: int(float(values[f'lenet_reloads_total{{outcome="{outcome}"}}']))
        for outcome in ("swapped", "refused")
    }


def reload(server: Any, outcome: str) -> None:
    """Send SIGHUP and wait until a reload has ended as expected."""
    before = count_reloads(server)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: count_reloads(server) != before)
    assert count_reloads(server) == {**before, outcome: before[outcome] + 1}


def put(source: Path, server: Any) -> None:
    """Replace the checkpoint as `cp` and `mv` do."""
    target = server.kept.parent / "served.safetensors"
    shutil.copy(source, target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)


def test_no_request_is_lost_and_none_is_answered_by_two_checkpoints(server: Any):
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), np.uint8)
    expected = {
        version(path): open_lenet(read_stored(path)).compute_logits(images) for path in (READER, MNIST)
    }
    tensor = {
        "name": "images",
        "datatype": "UINT8",
        "shape": list(images.shape),
        "parameters": {"binary_data_size": images.size},
    }
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "logits"}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    stop = threading.Event()
    seen: list[str] = []
    texts: list[str] = []
    faults: list[str] = []

    def ask(work: Callable[[httpx.Client], None]) -> None:
        with httpx.Client(base_url=server.address, timeout=60) as client:
            while not stop.is_set():
                try:
                    work(client)
                except Exception as error:
                    faults.append(repr(error))
                    return

    def infer(client: httpx.Client) -> None:
        answer = client.post(
            "v2/models/served.safetensors/infer", content=head + images.tobytes(), headers=headers
        ).raise_for_status()
        told = answer.json()
        logits = np.array(told["outputs"][0]["data"], np.float32).reshape(40, 10)
        np.testing.assert_allclose(logits, expected[told["model_version"]], rtol=1e-4, atol=1e-5)
        seen.append(told["model_version"])

    def predict(client: httpx.Client) -> None:
        files = [("pictures", ("nine", PENCIL.read_bytes()))]
        (row,) = client.post("v1/predict", files=files).raise_for_status().json()
        texts.append(row["text"])

    threads = [threading.Thread(target=ask, args=(work,)) for work in (infer, infer, predict)]
    for thread in threads:
        thread.start()
    try:
        for path in (MNIST, READER):
            put(path, server)
            reload(server, "swapped")
            assert httpx.get(f"{server.address}v1/model").json()["version"] == version(path)
            time.sleep(0.2)  # of answers by this one
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert set(seen) == set(expected)
    assert set(texts) == {"9"}


def make_nan(path: Path) -> None:
    model = load_checkpoint("mnist").model
    with torch.no_grad():
        model.output.weight[3, 3] = torch.nan
    save_checkpoint(path, model, {"classes": DIGITS})


def make_flipped(path: Path) -> None:
    """One bit of a weight is another one."""
    content = bytearray(READER.read_bytes())
    content[-1000] ^= 64
    path.write_bytes(content)


def make_truncated(path: Path) -> None:
    path.write_bytes(READER.read_bytes()[:-1000])


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_random(path: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(path, LeNet(LeNetConfig()), {"classes": DIGITS})


def make_overflowing(path: Path) -> None:
    """Its numbers are finite; what it computes of them is not."""
    model = load_checkpoint("mnist").model
    with torch.no_grad():
        for values in model.parameters():
            values *= 1e20
    save_checkpoint(path, model, {"classes": DIGITS})


def make_constant(path: Path) -> None:
    model = LeNet(LeNetConfig())
    with torch.no_grad():
        for values in model.parameters():
            values.zero_()
    save_checkpoint(path, model, {"classes": DIGITS})


def make_other_classes(path: Path) -> None:
    save_checkpoint(path, load_checkpoint("mnist").model, {"classes": list("abcdefghij")})


def make_other_size(path: Path) -> None:
    save_checkpoint(path, LeNet(LeNetConfig(input_size=20)), {"classes": DIGITS})


def make_line(path: Path) -> None:
    shutil.copy(find_checkpoint("line"), path)


def make_missing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_nan, "not finite"),
        (make_flipped, "checksum"),
        (make_truncated, "served.safetensors"),
        (make_empty, "served.safetensors"),
        (make_random, "images of digits"),
        (make_overflowing, "not finite"),
        (make_constant, "the same for every image"),
        (make_other_classes, "other classes"),
        (make_other_size, "another size"),
        (make_line, "line network"),
        (make_missing, "no such checkpoint"),
    ],
)
def test_a_bad_file_leaves_the_old_one_serving(server: Any, make: Callable[[Path], None], said: str):
    before = httpx.get(f"{server.address}v1/model").json()
    log = server.kept.parent / "log"
    length = len(log.read_text())
    make(server.kept.parent / "served.safetensors")
    reload(server, "refused")
    assert httpx.get(f"{server.address}v1/model").json() == before
    assert httpx.get(f"{server.address}ready").status_code == 200
    lines = [json.loads(line) for line in log.read_text()[length:].splitlines()]
    (line,) = [line for line in lines if line["level"] == "warning"]
    assert said in line["message"]
    assert line["version"] == before["version"]
    files = [("pictures", ("nine", PENCIL.read_bytes()))]
    (row,) = httpx.post(f"{server.address}v1/predict", files=files, timeout=60).json()
    assert row["text"] == "9"


def test_signals_in_a_row_are_not_lost(server: Any):
    """The file that lies there at the last signal is the one that is served in the end."""
    put(READER, server)
    for _ in range(5):
        server.process.send_signal(signal.SIGHUP)
    put(MNIST, server)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: httpx.get(f"{server.address}v1/model").json()["version"] == version(MNIST))


def test_a_good_file_makes_a_server_ready_that_had_none(tmp_path: Path, start: Callable[..., Any]):
    """A checkpoint whose numbers overflow can be opened, but fails the first self-test."""
    make_overflowing(tmp_path / "served.safetensors")
    server = start(tmp_path, "served.safetensors")
    try:
        wait_until(lambda: "self-test failed" in (tmp_path / "log").read_text())
        assert httpx.get(f"{server.address}ready", timeout=60).status_code == 503
        put(READER, server)
        reload(server, "swapped")
        wait_until(lambda: httpx.get(f"{server.address}ready", timeout=60).status_code == 200)
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_closed_terminal_stops_the_server(tmp_path: Path):
    """The same signal, but nobody is there any more."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lenet", "serve", "--port", "0"],
        cwd=tmp_path,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    os.close(terminal)
    assert process.stdout is not None
    process.stdout.readline()
    os.close(master)
    process.send_signal(signal.SIGHUP)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    code = process.poll()
    process.kill()
    process.communicate()
    assert code == 143
