"""Tiny data sets in the place of the large ones: the same code, a few images, no network."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor

from lenet.data.idx import encode_idx
from lenet.data.sources import SOURCES, Bundle, Source, SourceFile


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, no LENET_DATA, no mirror of one's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LENET_CACHE", str(folder))
    monkeypatch.delenv("LENET_DATA", raising=False)
    monkeypatch.delenv("LENET_MIRROR", raising=False)
    return folder


@dataclass
class Tiny:
    """A data set of six training and four test images, and the packed files that hold it."""

    source: Source
    tensors: dict[str, Tensor]
    packed: dict[str, bytes]

    def unpacked(self, name: str) -> bytes:
        return gzip.decompress(self.packed[name])

    def write(self, folder: Path, *, packed: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.packed.items():
            if packed:
                (folder / f"{name}.gz").write_bytes(content)
            else:
                (folder / name).write_bytes(gzip.decompress(content))
        return folder


def make_tiny(name: str, mirrors: tuple[str, ...] = (), *, seed: int = 0, known_inside: bool = True) -> Tiny:
    generator = torch.Generator().manual_seed(seed)
    tensors, packed, files = {}, {}, {}
    for split, prefix, count in (("train", "train", 6), ("test", "t10k", 4)):
        images = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
        pair = []
        for file_name, values in (
            (f"{prefix}-images-idx3-ubyte", images),
            (f"{prefix}-labels-idx1-ubyte", torch.arange(count, dtype=torch.uint8) % 3),
        ):
            content = encode_idx(values)
            tensors[file_name], packed[file_name] = values, gzip.compress(content, mtime=0)
            pair.append(
                SourceFile(
                    file_name,
                    tuple(values.shape),
                    packed=f"sha256:{hashlib.sha256(packed[file_name]).hexdigest()}",
                    sha256=hashlib.sha256(content).hexdigest() if known_inside else "",
                )
            )
        files[split] = tuple(pair)
    source = Source(name, 6, 4, ("a", "b", "c"), "CC0", mirrors, files)  # type: ignore[arg-type]
    return Tiny(source, tensors, packed)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, server: "Server") -> Tiny:
    """A registered data set whose only mirror is the local server, which holds its files."""
    made = make_tiny("tiny", (f"{server.address}/tiny/",))
    monkeypatch.setitem(SOURCES, "tiny", made.source)
    server.files |= {f"/tiny/{name}.gz": content for name, content in made.packed.items()}
    return made


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch, server: "Server") -> Tiny:
    """A registered data set as EMNIST's letters are: in a zip, transposed, labels from one."""
    generator = torch.Generator().manual_seed(2)
    tensors, packed, files = {}, {}, {}
    for split, count in (("train", 6), ("test", 4)):
        images = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
        labels = torch.arange(count, dtype=torch.uint8) % 3 + 1
        names = f"l-{split}-images-idx3-ubyte", f"l-{split}-labels-idx1-ubyte"
        files[split] = SourceFile(names[0], (count, 28, 28)), SourceFile(names[1], (count,))
        tensors |= {names[0]: images, names[1]: labels}
        packed |= {name: gzip.compress(encode_idx(tensors[name]), mtime=0) for name in names}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("gzip/../../escape.txt", "never written")
        for name, content in packed.items():
            members.writestr(f"gzip/{name}.gz", content)
    content = archive.getvalue()
    server.files["/letters.zip"] = content
    bundle = Bundle(
        (f"{server.address}/letters.zip",),
        f"sha256:{hashlib.sha256(content).hexdigest()}",
        len(content),
        "gzip",
    )
    source = Source(
        "letters",
        6,
        4,
        ("A", "B", "C"),
        "none",
        files=files,  # type: ignore[arg-type]
        bundle=bundle,
        transposed=True,
        first_label=1,
    )
    monkeypatch.setitem(SOURCES, "letters", source)
    return Tiny(source, tensors, packed)


@dataclass
class Server:
    """A web server on this machine: gives `files`, and misbehaves under the paths of `faults`."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            if self.path in state.faults:
                state.faults[self.path](self)  # type: ignore[operator]
            elif self.path in state.files:
                self.send_response(200)
                self.send_header("Content-Length", str(len(state.files[self.path])))
                self.end_headers()
                self.wfile.write(state.files[self.path])
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # the client has hung up, as the tests make it do

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        state.address = f"http://127.0.0.1:{listening.server_port}"
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield state
        listening.shutdown()
        thread.join()
