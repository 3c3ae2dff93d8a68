"""Weights on disk: the same bits come back, and whatever is not whole is refused in one line."""

import io
import json
import math
import pickle
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune

from lenet.errors import CheckpointError
from lenet.models import stored as stored_module
from lenet.models.checkpoint import (
    Checkpoint,
    import_state,
    load_checkpoint,
    save_checkpoint,
    save_network,
    write_tensors,
)
from lenet.models.config import LeNetConfig
from lenet.models.network import LeNet, initialise
from lenet.models.stored import FORMAT, find_checkpoint, read_tensors
from lenet.training.recipes import RECIPES

CONFIG = LeNetConfig(input_size=8, channels=(2,), kernel_size=3, padding=1, hidden=(3,), classes=3)
CARD = {"classes": ["a", "b", "ç"], "recipe": {"data": "digits", "lr": 0.1}, "figures": {"loss": 1 / 3}}


def make(seed: int = 0) -> LeNet:
    model = LeNet(CONFIG)
    initialise(model, "default", torch.Generator().manual_seed(seed))
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.safetensors"
    save_checkpoint(file, make(), CARD)
    return file


@pytest.fixture(scope="session")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("whole") / "model.safetensors"
    save_checkpoint(file, make(), CARD)
    return file.read_bytes()


def write_hostile(path: Path, tensors: dict[str, Tensor] | None = None, **card: Any) -> None:
    """A whole safetensors file in our format, with anything in it."""
    content = {"format": FORMAT, "config": CONFIG.to_dict(), **CARD, **card}
    write_tensors(path, make().state_dict() if tensors is None else tensors, content)


def load_if_whole(path: Path) -> Checkpoint | None:
    """The checkpoint, or None where it is refused as it should be."""
    try:
        return load_checkpoint(path)
    except CheckpointError as error:
        return pytest.fail(f"{error} has lines") if "\n" in str(error) else None


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_the_same_bits_come_back(path: Path):
    loaded = load_checkpoint(path)
    assert loaded.model.config == CONFIG
    assert loaded.classes == ("a", "b", "ç")
    assert not loaded.model.training
    for name, weights in make().state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weights)
    assert {name: loaded.card[name] for name in CARD} == CARD
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(loaded.model(images), make().eval()(images))


def test_a_loaded_network_can_be_trained_and_saved_again(path: Path):
    loaded = load_checkpoint(path)
    assert all(weights.requires_grad for weights in loaded.model.parameters())
    again = path.with_name("again.safetensors")
    save_checkpoint(again, loaded.model, loaded.card)
    assert again.read_bytes() == path.read_bytes()


def test_equal_content_gives_equal_bytes(path: Path):
    other = path.with_name("other.safetensors")
    save_checkpoint(other, make(), dict(reversed(CARD.items())))
    assert other.read_bytes() == path.read_bytes()
    save_checkpoint(other, make(seed=1), CARD)
    assert other.read_bytes() != path.read_bytes()


def test_the_file_is_one_that_others_can_read(path: Path):
    """By the description of the format alone: eight bytes of length, JSON, numbers."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"]["card"])
    assert card["config"]["channels"] == [2]
    begin, end = header["output.bias"]["data_offsets"]
    numbers = torch.frombuffer(bytearray(content[8 + length + begin : 8 + length + end]), dtype=torch.float32)
    assert torch.equal(numbers, make().state_dict()["output.bias"])


def test_the_file_may_be_replaced_while_the_network_is_in_use(path: Path):
    loaded = load_checkpoint(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(loaded.model.output.weight, make().output.weight)


def test_a_card_must_name_every_class(path: Path):
    with pytest.raises(CheckpointError, match="names 2 classes, the network has 3"):
        save_checkpoint(path, make(), {"classes": ["a", "b"]})
    assert load_checkpoint(path).classes == ("a", "b", "ç")


def test_names_of_classes_may_be_anything(path: Path):
    """A folder's name need not be valid text; what the system makes of such bytes must survive."""
    names = ["\udcff", "line\nbreak", "🙂"]
    save_checkpoint(path, make(), {"classes": names})
    assert load_checkpoint(path).classes == tuple(names)


def test_every_cut_is_noticed(path: Path):
    content = path.read_bytes()
    for length in {*range(0, len(content), 5), *range(40), *range(len(content) - 40, len(content))}:
        path.write_bytes(content[:length])
        refused(path)
    path.write_bytes(content + b"\0")
    refused(path)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.0, bit=0)
@settings(deadline=None, max_examples=300)
def test_no_flipped_bit_changes_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, whole_file: bytes, place: float, bit: int
):
    """A damaged file is refused, or the damage hit nothing that matters; never other weights."""
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    content = bytearray(whole_file)
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    loaded = load_if_whole(path)
    if loaded is None:
        return
    assert loaded.model.config == CONFIG
    assert loaded.classes == tuple(CARD["classes"])
    for name, weights in make().state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weights)


@given(content=st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_noise_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.getbasetemp() / "noise.safetensors"
    path.write_bytes(content)
    refused(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(card=json_values, config=st.none() | json_values, classes=json_values)
@settings(deadline=None, max_examples=60)
def test_any_card_is_a_network_or_refused(
    tmp_path_factory: pytest.TempPathFactory, card: Any, config: Any, classes: Any
):
    path = tmp_path_factory.getbasetemp() / "card.safetensors"
    whole = {"format": FORMAT, "config": config or CONFIG.to_dict(), "classes": classes, "recipe": card}
    for content in (card, whole):
        save_file(make().state_dict(), path, metadata={"card": json.dumps(content)})
        loaded = load_if_whole(path)
        assert loaded is None or len(loaded.classes) == CONFIG.classes


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite(path: Path, number: float):
    tensors = make().state_dict()
    tensors["dense1.weight"][1, 1] = number
    write_hostile(path, tensors)
    assert "dense1.weight holds numbers that are not finite" in refused(path)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda t: t.pop("output.bias"), "output.bias"),
        (lambda t: t.update(extra=torch.zeros(3)), "extra"),
        (lambda t: t.update({"output.bias": torch.zeros(4)}), "output.bias is torch.float32 (4,)"),
        (lambda t: t.update({"output.bias": torch.zeros(3, 1)}), "(3, 1)"),
        (lambda t: t.update({"output.bias": torch.zeros(3).double()}), "torch.float64"),
        (lambda t: t.update({"output.bias": torch.zeros(3).bfloat16()}), "bfloat16"),
        (lambda t: t.update({"output.bias": torch.zeros(3).long()}), "torch.int64"),
        (lambda t: t.update({"conv1.weight": torch.zeros(())}), "conv1.weight"),
        (lambda t: t.clear(), "the tensors are not those of its network"),
    ],
)
def test_tensors_that_do_not_fit(path: Path, change: Callable[[Any], None], phrase: str):
    tensors = dict(make().state_dict())
    change(tensors)
    write_hostile(path, tensors)
    assert phrase in refused(path)


@pytest.mark.parametrize(
    ("card", "phrase"),
    [
        ({"format": "lenet/2"}, "none of format lenet/1"),
        ({"format": None}, "none of format lenet/1"),
        ({"config": None}, "no configuration"),
        ({"config": []}, "no configuration"),
        ({"config": {"kernel": 5}}, "did you mean 'kernel_size'"),
        ({"config": CONFIG.to_dict() | {"classes": 10}}, "3 classes for 10 logits"),
        ({"config": CONFIG.to_dict() | {"hidden": [4]}}, "; the card says float32 (4"),
        ({"config": CONFIG.to_dict() | {"kernel_size": 50}}, "conv1"),
        ({"classes": None}, "names no classes"),
        ({"classes": {"a": 1, "b": 2, "c": 3}}, "names no classes"),
        ({"classes": [1, 2, 3]}, "names no classes"),
        ({"classes": ["a"]}, "1 classes for 3 logits"),
    ],
)
def test_cards_that_do_not_fit(path: Path, card: dict[str, Any], phrase: str):
    write_hostile(path, **card)
    assert phrase in refused(path)


@pytest.mark.parametrize(
    "config",
    [
        {"hidden": [8192, 8192, 8192]},
        {"channels": [8192, 8192]},
        {"classes": 10**12},
        {"hidden": [5_000], "classes": 8192},  # within the limits, but the file does not hold it
        {"input_size": 512, "padding": 512, "kernel_size": 1},
    ],
    ids=str,
)
def test_a_card_cannot_ask_for_memory(path: Path, config: dict[str, Any]):
    write_hostile(path, config=CONFIG.to_dict() | config)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_a_header_cannot_ask_for_memory(path: Path):
    for length in (2**63, 2**40, 2**27):
        path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(100))
        refused(path)


def test_deep_json_is_refused(path: Path):
    deep = "[" * 100_000
    save_file({"a": torch.zeros(1)}, path, metadata={"card": deep})
    refused(path)


def test_a_file_too_large_is_not_opened(path: Path):
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse: takes no room
    assert "too many for a LeNet checkpoint" in refused(path)


def test_foreign_safetensors(path: Path):
    save_file(make().state_dict(), path)
    assert "none of format lenet/1" in refused(path)


def test_a_pickle_is_not_executed(path: Path):
    class Trap:
        def __reduce__(self) -> Any:
            return (path.with_name("sprung").touch, ())

    path.write_bytes(pickle.dumps(Trap()))
    refused(path)
    buffer = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, buffer)
    path.write_bytes(buffer.getvalue())
    refused(path)
    assert not path.with_name("sprung").exists()


def test_what_is_no_file(tmp_path: Path):
    assert "no such checkpoint or run folder" in refused(tmp_path)
    assert "no such checkpoint or run folder" in refused(tmp_path / "missing.safetensors")
    (tmp_path / "empty").touch()
    assert "not a whole safetensors file" in refused(tmp_path / "empty")


def test_a_failed_write_leaves_the_old_file(path: Path, full_disk: Callable[[int], Any]):
    old = path.read_bytes()
    with full_disk(len(old) // 2), pytest.raises(OSError, match="too large"):
        save_checkpoint(path, make(seed=1), CARD)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_names_mean_files_then_runs_then_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
):
    monkeypatch.setattr(stored_module, "WEIGHTS", tmp_path / "weights")
    shipped = tmp_path / "weights" / "mnist.safetensors"
    save_checkpoint(shipped, make(), CARD)
    run = tmp_path / "run"
    save_checkpoint(run / "last.safetensors", make(), CARD)
    assert find_checkpoint(str(path)) == path
    assert find_checkpoint("mnist") == shipped
    assert find_checkpoint(run) == run / "last.safetensors"
    save_checkpoint(run / "best.safetensors", make(), CARD)
    assert find_checkpoint(run) == run / "best.safetensors"
    with pytest.raises(CheckpointError, match=r"shipped weights: mnist$"):
        find_checkpoint("mnits")


def test_shipped_weights_load():
    for file in set(stored_module.WEIGHTS.glob("*.safetensors")) - {
        stored_module.WEIGHTS / "line.safetensors"
    }:
        assert load_checkpoint(file).model.config.parameters


def test_what_another_program_wrote_needs_no_checksum(path: Path):
    card = {"format": FORMAT, "config": CONFIG.to_dict(), **CARD}
    save_file(make().state_dict(), path, metadata={"card": json.dumps(card)})
    assert load_checkpoint(path).card == card


def test_a_state_is_no_checkpoint(path: Path):
    write_hostile(path, format="lenet-state/1")
    refused(path)
    assert read_tensors(path, "lenet-state/1")[1]["format"] == "lenet-state/1"


def make_tutorial_network() -> nn.Sequential:
    """The network as d2l writes it."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip


def test_a_tutorials_network_is_imported(tmp_path: Path):
    torch.manual_seed(0)
    network = make_tutorial_network()
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    imported = import_state(tmp_path / "net.safetensors", RECIPES["d2l"].model)
    images = torch.randint(0, 256, (16, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        wanted = network(images.float() / 255)
        assert torch.allclose(imported.model(images), wanted, atol=1e-6, rtol=0)
        save_network(imported, tmp_path / "d2l.safetensors")
        again = load_checkpoint(tmp_path / "d2l.safetensors")
        assert torch.allclose(again.model(images), wanted, atol=1e-6, rtol=0)
    assert next(iter(again.card["imported"].items())) == ("conv1.bias", "0.bias")
    assert again.card["imported"]["output.weight"] == "11.weight"  # after 9, not after 1


def test_layers_of_one_shape_are_imported_in_order(tmp_path: Path):
    """A class names its layers; the file holds them by name, so the order is that of names and shapes."""
    config = LeNetConfig(input_size=8, channels=(2,), kernel_size=3, padding=1, hidden=(5, 5, 5), classes=5)
    model = LeNet(config)
    names = {"conv1": "features.0", "dense1": "classifier.2", "dense2": "classifier.9",
             "dense3": "classifier.10", "output": "classifier.11"}  # fmt: skip
    state = {
        ".".join((names[key.split(".")[0]], key.split(".")[1])): v for key, v in model.state_dict().items()
    }
    save_file(state, tmp_path / "net.safetensors")
    imported = import_state(tmp_path / "net.safetensors", config, {"classes": list("abcde")})
    for name, weights in model.state_dict().items():
        assert torch.equal(imported.model.state_dict()[name], weights)


def spoil(state: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name} | (
        {} if value is None else {name: value}
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("0.weight", torch.zeros(6, 1, 3, 3), ("no layer fits conv1", "0 (weight 6×1×3×3", "weight 6×1×5×5")),
        ("11.bias", None, ("no layer fits output", "11 (weight 10×84)")),
        ("13.weight", torch.zeros(10, 10), ("no layer for 13", "13 (weight 10×10)")),
        ("11.bias", torch.full((10,), math.nan), ("not finite",)),
        ("11.bias", torch.zeros(10, dtype=torch.int32), ("output.bias is torch.int32",)),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_is_refused_with_both_shapes(
    name: str, value: Tensor | None, words: tuple[str, ...], tmp_path: Path
):
    file = tmp_path / "net.safetensors"
    save_file(spoil(make_tutorial_network().state_dict(), name, value), file)
    with pytest.raises(CheckpointError) as error:
        import_state(file, RECIPES["d2l"].model)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in (str(file), *words)), str(error.value)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5, "zip", "legacy"])
def test_a_pickle_is_refused_with_the_line_to_run(protocol: int | str, tmp_path: Path):
    file, state = tmp_path / "net.bin", make_tutorial_network().state_dict()
    if isinstance(protocol, int):
        file.write_bytes(pickle.dumps({key: [1.0] for key in state}, protocol))
    else:
        torch.save(state, file, _use_new_zipfile_serialization=protocol == "zip")
    line = 'safetensors.torch.save_file(net.state_dict(), "net.safetensors")'
    for read in (lambda: import_state(file, RECIPES["d2l"].model), lambda: load_checkpoint(file)):
        with pytest.raises(CheckpointError) as error:
            read()
        assert str(error.value).endswith(line)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: prune.l1_unstructured(model.dense1, "weight", 0.5), "not those of its network"),
        (lambda model: model.half(), "torch.float16"),
        (lambda model: model.conv1.weight.data.fill_(torch.nan), "not finite"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, spoil: Callable[[LeNet], object], said: str):
    model = LeNet(LeNetConfig())
    spoil(model)
    with pytest.raises(CheckpointError, match=said):
        save_network(model, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []
