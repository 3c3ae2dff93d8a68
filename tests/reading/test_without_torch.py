"""Where the kernel is compiled, pictures are read without torch; without the kernel, torch reads the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet.kernels.library import load_library
from lenet.models.checkpoint import load_checkpoint
from lenet.models.inference import PackedLeNet, PackedLine
from lenet.models.network import LeNet
from lenet.models.torch_inference import ModuleLeNet
from lenet.reading.reader import Reader

built = pytest.mark.skipif(load_library()[0] is None, reason=load_library()[1])
SCRIPT = """
import sys
from lenet.cli.app import main
sys.argv[0] = "lenet"
try:
    main()
finally:
    print("torch" in sys.modules, "scipy.stats" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One digit and three, drawn with straight strokes."""
    folder = tmp_path_factory.mktemp("pictures")
    paper = np.full((90, 240), 240, np.uint8)
    for left in (30, 90, 150):
        paper[20:70, left + 10 : left + 14] = 20
    paper[66:70, 100:130] = paper[20:24, 160:185] = 20
    for name, columns in (("one", 70), ("three", 240)):
        Image.fromarray(paper[:, :columns]).save(folder / f"{name}.png")
    return [folder / "one.png", folder / "three.png"]


def predict(pictures: list[Path], *options: str, **environment: str) -> tuple[list[dict[str, object]], str]:
    """The rows of `lenet predict --json`, and what it says on standard error."""
    words = [sys.executable, "-c", SCRIPT, "predict", "--json", *map(str, pictures), *options]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=250, check=True, env={**os.environ, **environment}
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@built
@pytest.mark.parametrize("options", [(), ("--checkpoint", "mnist"), ("--max-error", "5%")])
def test_a_picture_is_read_without_torch(options: tuple[str, ...], pictures: list[Path]):
    rows, said = predict(pictures, *options)
    assert len(rows) == 2
    assert all(row["digits"] for row in rows)
    assert said.split()[-2:] == ["False", "False"]


@built
@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["line", "reader"])
def test_without_the_kernel_torch_reads_the_same(checkpoint: str, pictures: list[Path]):
    with_kernel, _ = predict(pictures, "--checkpoint", checkpoint)
    without, said = predict(pictures, "--checkpoint", checkpoint, LENET_KERNEL="off")
    assert said.split()[-2] == "True"
    for one, other in zip(with_kernel, without, strict=True):
        assert one["text"] == other["text"]
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)


@built
def test_which_networks_the_kernel_reads_with():
    reader = Reader()
    assert isinstance(reader.network, PackedLeNet)
    assert isinstance(reader.line, PackedLine)
    checkpoint = load_checkpoint("mnist")
    assert isinstance(Reader(checkpoint).network, PackedLeNet)
    checkpoint.model.get_submodule("conv1").register_forward_hook(lambda *_: None)
    assert isinstance(Reader(checkpoint).network, ModuleLeNet)


@built
def test_a_watched_layer_sees_every_image_that_is_read(pictures: list[Path]):
    checkpoint = load_checkpoint("mnist")
    seen: list[int] = []
    model: LeNet = checkpoint.model
    model.get_submodule("conv1").register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    watched, plain = Reader(checkpoint).read(pictures[0]), Reader("mnist").read(pictures[0])
    assert seen
    assert watched.text == plain.text
    assert watched.confidence == pytest.approx(plain.confidence, abs=1e-4)
