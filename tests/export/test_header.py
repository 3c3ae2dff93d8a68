"""The C header, compiled by gcc with every warning and sanitizer, against numpy: equal to the last bit."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenet
from lenet.errors import ExportError
from lenet.export.header import Header, write_header
from lenet.export.integer import IntegerNetwork
from lenet.export.network import export_network
from lenet.export.quantisation import quantise
from lenet.models.config import MODELS, LeNetConfig
from lenet.models.network import LeNet

GCC = shutil.which("gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
SANITIZED = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
DRIVER = Path(__file__).with_name("golden.c")
TINY = LeNetConfig(channels=(3, 4), hidden=(9,), input_size=20, kernel_size=3, padding=1, fit="resize")
NETWORKS = {
    "mnist": None,
    "reader": None,
    "tanh, three convolutions, enlarged": MODELS["lenet5-tanh"],
    "sigmoid, padded with pixels": MODELS["lenet5-textbook"],
    "leaky, reduced, contrast": replace(TINY, activation="leaky-relu", contrast_sigma=1.5, pooling="avg"),
    "elu, odd side": replace(TINY, activation="elu", input_size=31, fit="pad", reject_class=True),
    "gelu, no hidden layer": replace(TINY, activation="gelu", hidden=(), pixel_mean=0.5, pixel_std=0.2),
    "silu, contrast, moved": replace(
        TINY, activation="silu", contrast_sigma=3.0, pixel_mean=0.1, pixel_std=2.0
    ),
    "relu, average": MODELS["lenet5-relu-avg"],
}

compiled = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def images(all_digits: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    """Digits, noise of every contrast, and images of one level, as uint8 (220, 28, 28)."""
    chance = np.random.default_rng(0)
    levels = np.array([0, 1, 128, 254, 255], np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    noise = [chance.integers(0, most, (8, 28, 28), np.uint8) for most in (2, 30, 256)]
    edges = 255 * chance.integers(0, 2, (20, 28, 28), np.uint8)
    return np.concatenate([levels, *noise, edges, all_digits[0][:171, 0].numpy()])


def make_network(name: str, images: np.ndarray) -> tuple[LeNet, IntegerNetwork]:
    config = NETWORKS[name]
    torch.manual_seed(0)
    model = lenet.load(name).model if config is None else LeNet(config).eval()
    if config is not None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)  # initial weights give nearly the same logits for all images
    return model, quantise(model, torch.from_numpy(images[:, None]))


def run_gcc(header: Header, folder: Path, *flags: str) -> Path:
    assert GCC is not None
    (folder / "network.h").write_text(header.text)
    program = folder / "program"
    given = f'-DHEADER="{folder / "network.h"}"'
    subprocess.run([GCC, *STRICT, *flags, given, str(DRIVER), "-o", str(program)], check=True, timeout=60)
    return program


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_numbers_are_near_the_floats_and_c_is_equal_to_the_bit(
    name: str, images: np.ndarray, tmp_path: Path
) -> None:
    model, network = make_network(name, images)
    logits = model(torch.from_numpy(images[:, None])).detach().numpy()
    scores = network.compute_scores(images)
    assert np.abs(scores / 256 - logits).mean() < 0.02 * (logits.max() - logits.min())
    if NETWORKS[name] is None:
        assert (scores.argmax(axis=1) == logits.argmax(axis=1))[-171:].mean() >= 0.98
    assert len(np.unique(scores, axis=0)) > 100  # they depend on the image
    if GCC is None:
        pytest.skip("gcc is not installed")
    reject = model.config.reject_class
    header = write_header(network, name, list("0123456789"), reject=reject, golden=np.empty((0, 28, 28)))
    program = run_gcc(header, tmp_path, "-O1", *SANITIZED)
    done = subprocess.run([program], input=images.tobytes(), capture_output=True, check=True, timeout=60)
    rows = np.array([line.split() for line in done.stdout.decode().splitlines()], np.int64)
    np.testing.assert_array_equal(rows[:, :-1], scores)
    best = scores.argmax(axis=1)
    answers = np.where(scores.max(axis=1) < 0, -1, best) if reject else best
    np.testing.assert_array_equal(rows[:, -1], answers)


@compiled
def test_the_header_tests_itself_and_tells_its_memory(no_data: None, tmp_path: Path) -> None:
    """The symbols that nm lists are what the head says; two changed scores are noticed."""
    done = export_network("reader", tmp_path / "reader.h")
    text = (tmp_path / "reader.h").read_text("ascii")
    assert done.bytes == len(text)
    assert (done.images, done.data) == (360, "scikit-learn's digits")
    assert done.accuracy == pytest.approx(done.float_accuracy, abs=0.01)
    changed = text.replace("{ -", "{ -1", 2)
    assert changed != text
    for content, code in ((text, 0), (changed, 1)):
        (tmp_path / "golden.h").write_text(content)
        command = [str(GCC), *STRICT, "-DLENET_GOLDEN", "-x", "c", str(tmp_path / "golden.h")]
        subprocess.run([*command, "-o", str(tmp_path / "golden")], check=True, timeout=60)
        ended = subprocess.run([tmp_path / "golden"], capture_output=True, text=True, timeout=60)
        assert ended.returncode == code
        assert ended.stdout == f"{10 - 2 * code} of 10 images have the expected scores\n"
    program = run_gcc(Header(text, 0, 0), tmp_path)
    listed = subprocess.run(["nm", "-S", program], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines() if " lenet_" in line]
    sizes = {"r": 0, "b": 0}
    for _, size, kind, symbol in rows:
        is_layer = symbol.removeprefix("lenet_") in ("conv1", "conv2", "dense1", "dense2", "output")
        if kind in sizes and not is_layer:
            sizes[kind] += int(size, 16)
    assert (sizes["r"], sizes["b"]) == (done.rom_bytes, done.ram_bytes)
    assert f"#define LENET_RAM_BYTES {done.ram_bytes}" in text


@compiled
def test_names_cannot_end_the_comment(images: np.ndarray, tmp_path: Path) -> None:
    _, network = make_network("gelu, no hidden layer", images)
    names = ['*/ #error "', "/* a\nb", "ten\\", "零", *"456789"]
    header = write_header(network, "*/ int x;", names, reject=False, golden=np.empty((0, 28, 28)))
    run_gcc(header, tmp_path)


def test_what_32_bits_cannot_hold_is_refused(all_digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images = all_digits[0][:10]
    wide = LeNetConfig(input_size=64, channels=(40,), kernel_size=1, padding=0, hidden=(), fit="resize")
    with pytest.raises(ExportError, match=r"output adds up 40,960 products"):
        quantise(LeNet(wide).eval(), images)
    with pytest.raises(ExportError, match="pixel_mean is 2"):
        quantise(LeNet(replace(TINY, pixel_mean=2.0)).eval(), images)
    with pytest.raises(ExportError, match="pixel_mean is 900"):
        quantise(LeNet(replace(TINY, contrast_sigma=1.0, pixel_mean=900.0)).eval(), images)
    with pytest.raises(ExportError, match="contrast of the calibration images"):
        quantise(LeNet(replace(TINY, contrast_sigma=1.0)).eval(), torch.zeros_like(images))
    large = LeNet(TINY).eval()
    with torch.no_grad():
        large.get_parameter("output.weight").mul_(1e12)
    with pytest.raises(ExportError, match=r"write an \.onnx file"):
        quantise(large, images)


def test_small_weights_beside_a_large_bias_and_dead_units(
    all_digits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Nothing overflows, and what the float network says, the integer network says."""
    torch.manual_seed(1)
    model, images = LeNet(TINY).eval(), all_digits[0][:50]
    with torch.no_grad():
        model.get_parameter("conv1.weight")[0] = 0.0
        model.get_parameter("conv2.bias")[1] = -1e4
        model.get_parameter("dense1.weight")[3] *= 1e-9
        model.get_parameter("dense1.bias")[3] = 0.5
    logits = model(images).detach().numpy()
    scores = quantise(model, images).compute_scores(images[:, 0].numpy()) / 256
    np.testing.assert_allclose(scores, logits, atol=0.03)


def test_a_full_disk_leaves_nothing(full_disk: Any, no_data: None, tmp_path: Path) -> None:
    with full_disk(10_000), pytest.raises(OSError, match=r"too large|No space"):
        export_network("mnist", tmp_path / "mnist.h")
    assert list(tmp_path.iterdir()) == []
