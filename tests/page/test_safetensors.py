"""Checkpoints in the page: the good ones, older ones, and files of strangers."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch

from lenet.errors import ModelError
from lenet.models.checkpoint import load_checkpoint, save_network
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet
from lenet.models.stored import find_checkpoint

PARSE = """async ({ files, lengths }) => {
  const { parseCheckpoint, CheckpointError } = await import("lenet/safetensors.js");
  let start = 0;
  return lengths.map((length) => {
    const bytes = files.subarray(start, start += length);
    try {
      const { card, config, classes, tensors } = parseCheckpoint(bytes);
      return { card, config, classes, tensors };
    } catch (error) {
      if (!(error instanceof CheckpointError) || !error.detail) throw error;
      return error.code;
    }
  });
}"""
CONFIG = LeNetConfig(input_size=8, channels=(2,), kernel_size=3, padding=0, hidden=(), classes=2)
CODES = {"not-safetensors", "pickle", "not-lenet", "does-not-fit", "not-finite"}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("page") / "net.safetensors"
    torch.manual_seed(0)
    save_network(LeNet(CONFIG), path, classes=["no", "yes"])
    return path.read_bytes()


def parse(modules: Any, *files: bytes) -> list[Any]:
    return modules.run(PARSE, files=b"".join(files), lengths=[len(file) for file in files])


def split(file: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def build(header: Any, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def change(file: bytes, name: str, **entries: Any) -> bytes:
    """The file with another entry of a tensor's header."""
    header, numbers = split(file)
    return build(header | {name: header[name] | entries}, numbers)


def change_card(file: bytes, **entries: Any) -> bytes:
    header, numbers = split(file)
    card = json.loads(header["__metadata__"]["card"]) | entries
    return build(header | {"__metadata__": {"card": json.dumps(card)}}, numbers)


def put_number(file: bytes, number: float) -> bytes:
    return file[:-4] + np.float32(number).tobytes()


def save_with_torch() -> bytes:
    content = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, content)
    return content.getvalue()


def make_bad_files(good: bytes) -> dict[str, tuple[str, bytes]]:
    """The code that is expected, and the file."""
    header, numbers = split(good)
    names = [name for name in header if name != "__metadata__"]
    first = min(names, key=lambda name: header[name]["data_offsets"])
    begin, end = header[first]["data_offsets"]
    without = {name: entry for name, entry in header.items() if name != first}
    weight = "conv1.weight"
    config = CONFIG.to_dict()
    return {
        "empty": ("not-safetensors", b""),
        "a picture": ("not-safetensors", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "header longer than the file": ("not-safetensors", b"\xff" * 8 + good[8:]),
        "header of the length of a terabyte": ("not-safetensors", (1 << 40).to_bytes(8, "little") + good[8:]),
        "no JSON": ("not-safetensors", build(b"{" + b"x" * 50, numbers)),
        "no UTF-8": ("not-safetensors", build(b'{"\xff": 1}', numbers)),
        "a list": ("not-safetensors", build([1], numbers)),
        "truncated": ("not-safetensors", good[:-4]),
        "bytes at the end": ("not-safetensors", good + b"1234"),
        "beyond the file": ("not-safetensors", change(good, first, data_offsets=[2**40, 2**40 + end])),
        "negative offsets": ("not-safetensors", change(good, first, data_offsets=[begin - 8, end - 8])),
        "overlapping": ("not-safetensors", change(good, first, data_offsets=[begin + 4, end + 4])),
        "offsets of text": ("not-safetensors", change(good, first, data_offsets=["0", str(end)])),
        "no offsets": ("not-safetensors", change(good, first, data_offsets=None)),
        "fractional offsets": ("not-safetensors", change(good, first, data_offsets=[begin + 0.5, end + 0.5])),
        "torch.save": ("pickle", save_with_torch()),
        "pickle": ("pickle", b"\x80\x04\x95" + bytes(60)),
        "old pickle": ("pickle", b"(dp0\nS'weight'\n."),
        "no card": ("not-lenet", build({**header, "__metadata__": {}}, numbers)),
        "a card of text": ("not-lenet", build({**header, "__metadata__": {"card": '"lenet/1"'}}, numbers)),
        "another format": ("not-lenet", change_card(good, format="lenet/2")),
        "no configuration": ("not-lenet", change_card(good, config=None)),
        "unknown setting": ("not-lenet", change_card(good, config=config | {"attention": 8})),
        "prototype": ("not-lenet", change_card(good, config=config | {"__proto__": {}, "constructor": 1})),
        "no classes": ("not-lenet", change_card(good, classes=None)),
        "three classes": ("not-lenet", change_card(good, classes=["a", "b", "c"])),
        "a number as class": ("not-lenet", change_card(good, classes=["a", 1])),
        "too many parameters": ("not-lenet", change_card(good, config=config | {"hidden": [8192] * 9})),
        "half floats": ("does-not-fit", change(good, weight, dtype="F16")),
        "other shape": ("does-not-fit", change(good, weight, shape=[2, 9])),
        "turned shape": ("does-not-fit", change(good, weight, shape=[1, 2, 3, 3])),
        "missing tensor": ("does-not-fit", build(without, numbers)),
        "further tensor": ("does-not-fit", build({**header, "extra": header[first]}, numbers)),
        "another network": ("does-not-fit", change_card(good, config=config | {"channels": [3]})),
        "NaN": ("not-finite", put_number(good, float("nan"))),
        "infinite": ("not-finite", put_number(good, float("-inf"))),
    }  # fmt: skip


def test_bad_files_are_refused_with_a_code(modules, good):
    bad = make_bad_files(good)
    codes = parse(modules, *(file for _, file in bad.values()))
    assert dict(zip(bad, codes, strict=True)) == {name: code for name, (code, _) in bad.items()}


def test_files_larger_than_64_megabytes_are_not_parsed(modules):
    code = """async () => {
      const { parseCheckpoint } = await import("lenet/safetensors.js");
      try { parseCheckpoint(new Uint8Array(64 * 2 ** 20 + 1)); } catch (error) { return error.code; }
    }"""
    assert modules.run(code) == "not-lenet"


def test_a_damaged_header_is_refused_or_read_and_nothing_else(modules, good):
    random = np.random.default_rng(0)
    length = int.from_bytes(good[:8], "little")
    files = []
    for _ in range(400):
        damaged = bytearray(good)
        for place in random.integers(0, 8 + length, random.integers(1, 4)):
            damaged[place] = random.integers(256)
        files.append(bytes(damaged))
    found = parse(modules, *files)
    refused = [one for one in found if isinstance(one, str)]
    assert set(refused) <= CODES
    assert len(refused) > 300


@pytest.mark.parametrize("name", ["mnist", "reader"])
def test_shipped_checkpoints_are_read_whole(modules, name):
    checkpoint = load_checkpoint(name)
    (found,) = parse(modules, find_checkpoint(name).read_bytes())
    assert found["config"] == checkpoint.model.config.to_dict()
    assert found["classes"] == list(checkpoint.classes)
    assert found["card"]["recipe"] == checkpoint.card["recipe"]
    for key, tensor in checkpoint.model.state_dict().items():
        assert found["tensors"][key]["shape"] == list(tensor.shape)
        assert (found["tensors"][key]["data"] == tensor.flatten().numpy()).all()


def test_older_spellings_of_settings_are_read(modules, good):
    config = CONFIG.to_dict() | {"neighbourhood": 2.5, "background": True}
    del config["contrast_sigma"], config["reject_class"], config["dropout"]
    (found,) = parse(modules, change_card(good, config=config))
    assert found["config"] == LeNetConfig.from_dict(config).to_dict()


def test_configurations_are_refused_exactly_where_python_refuses_them(modules):
    values: dict[str, list[Any]] = {
        "input_size": [0, 1, 28, 512, 513, "28", None, True, 2.5],
        "kernel_size": [0, 1, 14, 33, -1],
        "channels": [[], [1], [1, 2, 3], [1, 2, 3, 4], [0], [8193], "6", 6, [True], [[6]]],
        "hidden": [[], [0], [1] * 98, [1] * 99, None],
        "padding": [0, 3, -1, 513],
        "activation": ["gelu", "leaky-relu", "leaky_relu", None, "toString"],
        "pooling": ["avg", "max", "min"],
        "classes": [1, 2, 8192, 8193],
        "pixel_std": [0, 1e-6, 1000, 1001, "1"],
        "pixel_mean": [-1000, -1000.5],
        "contrast_sigma": [-1, 512, 513],
        "dropout": [0.99, 1],
        "reject_class": [True, 0, None],
        "fit": ["pad", "crop"],
        "initialisation": ["xavier", "zeros"],
    }
    configs = [{name: value} for name, several in values.items() for value in several]
    code = """async ({ configs }) => {
      const { readConfig } = await import("lenet/config.js");
      return configs.map((config) => {
        try { return Boolean(readConfig(config)); } catch (error) {
          if (error instanceof RangeError) return false;
          throw error;
        }
      });
    }"""
    assert modules.run(code, configs=configs) == [is_accepted(config) for config in configs]


def is_accepted(config: dict[str, Any]) -> bool:
    try:
        LeNetConfig.from_dict(config)
    except (ModelError, TypeError):
        return False
    return True
