"""The line network: shapes, folded normalisation, and files that are read back or refused in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lenet.errors import CheckpointError
from lenet.models.checkpoint import load_checkpoint, write_tensors
from lenet.models.line import LineNetwork, fold_normalisation, load_line, save_line
from lenet.models.line_config import BLANK, COLUMNS_PER_FRAME, DIGITS, ROWS
from lenet.models.stored import LINE_FORMAT, find_checkpoint, read_format

SMALL = (2, 3, 4, 5, 6, 7)


def make_network(seed: int = 0) -> LineNetwork:
    """A narrow network whose normalisation is not the identity."""
    torch.manual_seed(seed)
    network = LineNetwork(SMALL)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def make_strips(count: int, width: int) -> torch.Tensor:
    return torch.randint(256, (count, 1, ROWS, width), dtype=torch.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a small folded network."""
    file = tmp_path / "line.safetensors"
    save_line(file, fold_normalisation(make_network()), {"seed": 3})
    return file


@pytest.mark.parametrize("width", [4, 16, 60, 400])
def test_a_frame_for_every_two_columns(width: int) -> None:
    with torch.inference_mode():
        logits = make_network()(make_strips(2, width))
    assert logits.shape == (2, width // COLUMNS_PER_FRAME, BLANK + 1)


def test_bytes_and_floats_give_the_same() -> None:
    network, strips = make_network(), make_strips(2, 32)
    with torch.inference_mode():
        assert torch.equal(network(strips), network(strips.float() / 255))


def test_the_network_is_swept() -> None:
    """Far from the ends of a strip, writing that is moved moves its frames, and nothing else."""
    network = fold_normalisation(make_network())
    strip = torch.zeros(1, 1, ROWS, 160)
    strip[..., 60:100] = torch.rand(1, 1, ROWS, 40)
    with torch.inference_mode():
        here, moved = network(strip)[0], network(strip.roll(8, dims=3))[0]
    torch.testing.assert_close(moved[24:64], here[20:60])


def test_folding_keeps_the_function() -> None:
    network, strips = make_network(), make_strips(3, 64)
    folded = fold_normalisation(network)
    assert not any("norm" in name for name, _ in folded.named_modules())
    assert all(torch.equal(one, one.half().float()) for one in folded.parameters())
    with torch.inference_mode():
        exact, rounded = (one(strips).softmax(dim=2) for one in (network, folded))
    torch.testing.assert_close(rounded, exact, atol=5e-3, rtol=0)


def test_a_file_is_read_back(path: Path) -> None:
    loaded = load_line(path)
    network, strips = fold_normalisation(make_network()), make_strips(2, 40)
    assert loaded.classes == DIGITS
    assert loaded.card["seed"] == 3
    assert loaded.network.channels == SMALL
    assert not loaded.network.training
    with torch.inference_mode():
        assert torch.equal(loaded.network(strips), network(strips))
    before = path.read_bytes()
    save_line(path, loaded.network, loaded.card)
    assert path.read_bytes() == before


def test_the_shipped_network_is_small_and_reads_digits() -> None:
    loaded = load_line()
    assert read_format(find_checkpoint("line")) == LINE_FORMAT
    assert find_checkpoint("line").stat().st_size < 1_000_000
    with torch.inference_mode():
        blank = loaded.network(torch.zeros(1, 1, ROWS, 64)).argmax(dim=2)
    assert (blank == BLANK).all()


def refuse(path: Path, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as refused:
        load_line(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "channels",
    [
        None,
        "24",
        [],
        [2, 3, 4, 5, 6],
        [2, 3, 4, 5, 6, 0],
        [2, 3, 4, 5, 6, 10**9],
        [2, 3, 4, 5, 6, 7.0],
        {"a": 1},
    ],
)
def test_a_card_that_describes_no_network_is_refused(tmp_path: Path, channels: object) -> None:
    file = tmp_path / "a.safetensors"
    tensors = fold_normalisation(make_network()).state_dict()
    write_tensors(file, tensors, {"format": LINE_FORMAT, "channels": channels})
    refuse(file, "the card describes no line network")


def test_tensors_that_do_not_fit_the_card_are_refused(tmp_path: Path) -> None:
    file, state = tmp_path / "a.safetensors", fold_normalisation(make_network()).state_dict()
    card = {"format": LINE_FORMAT, "channels": list(SMALL)}
    broken = [
        {**state, "conv1.weight": torch.zeros(9, 1, 5, 5)},
        {name: value for name, value in state.items() if name != "output.bias"},
        {**state, "extra": torch.zeros(3)},
        {**state, "conv3.bias": torch.full((4,), float("nan"))},
        {**state, "conv3.bias": torch.tensor([0.0, 0.0, float("inf"), 0.0])},
        {},
    ]
    for tensors in broken:
        write_tensors(file, tensors, card)
        refuse(file, "safetensors: ")
    write_tensors(file, state, {**card, "channels": [width + 1 for width in SMALL]})
    refuse(file, "safetensors: ")


def test_weights_of_32_bits_are_read_as_well(tmp_path: Path) -> None:
    file, network = tmp_path / "a.safetensors", fold_normalisation(make_network())
    write_tensors(file, network.state_dict(), {"format": LINE_FORMAT, "channels": list(SMALL)})
    assert all(
        torch.equal(one, other)
        for one, other in zip(load_line(file).network.parameters(), network.parameters(), strict=True)
    )


def test_a_damaged_or_foreign_file_is_refused(path: Path, tmp_path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    refuse(path, "damaged")
    path.write_bytes(bytes(content[:100]))
    refuse(path, "safetensors")
    path.write_bytes(b"PK\x03\x04 a pickle")
    refuse(path, "pickle")
    save_file({"a": torch.zeros(2)}, path, {"card": json.dumps({"format": "other/1"})})
    refuse(path, "none of format")
    refuse(find_checkpoint("mnist"), "none of format")
    refuse(tmp_path / "missing", "no such")


def test_a_line_network_is_no_network_of_single_images(path: Path) -> None:
    for file in (path, find_checkpoint("line")):
        with pytest.raises(CheckpointError, match="a line network, which reads whole lines") as refused:
            load_checkpoint(file)
        assert "\n" not in str(refused.value)


def test_a_changed_card_keeps_the_weights(path: Path) -> None:
    loaded = load_line(path)
    save_line(path, loaded.network, replace(loaded, card={**loaded.card, "more": 1}).card)
    again = load_line(path)
    assert again.card["more"] == 1
    assert torch.equal(again.network.output.weight, loaded.network.output.weight)
