"""Training of the line network on a small bank: it learns, and a resumed run ends with the same bits."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lenet.data.datasets import load_digits
from lenet.errors import CheckpointError, DivergedError, LeNetError, RunError
from lenet.models.checkpoint import write_tensors
from lenet.models.line import LineNetwork, load_line
from lenet.models.line_config import BLANK, ROWS
from lenet.synthesis.hands import gather_material
from lenet.synthesis.lines import LineStrip, compose_line
from lenet.training.line import LineEpoch, LineRecipe, choose_rate, measure_ctc_loss, train_line
from lenet.training.line_bank import FORMAT, LineBank, read_bank, write_bank
from lenet.training.line_batches import SLACK, distort, place_strips, plan_batches
from lenet.training.line_evaluation import balance_blank, compute_line_logits, read_lines
from lenet.training.randomness import random_stream

RECIPE = LineRecipe(
    strips=120, validation=30, epochs=2, batch_size=24, lr=0.01, channels=(4, 6, 8, 8, 12, 12)
)
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def strips() -> list[LineStrip]:
    """Lines of scikit-learn's digits and drawn ones, without any font."""
    images, labels = load_digits()
    material = gather_material(images[:, 0].numpy(), labels.numpy())
    lines = (compose_line(material, 0, "test", number) for number in range(170))
    return [line for line in lines if line is not None][:150]


@pytest.fixture(scope="module")
def banks(strips: list[LineStrip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the banks of a run, as if it had composed them."""
    folder = tmp_path_factory.mktemp("banks")
    write_bank(folder / "train-lines.safetensors", strips[:120])
    write_bank(folder / "validation-lines.safetensors", strips[120:])
    return folder


def begin(banks: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in banks.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def finished(banks: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[LineEpoch]]:
    folder = begin(banks, tmp_path_factory.mktemp("runs") / "whole")
    return folder, list(train_line(folder, RECIPE, seed=1))


def test_a_bank_is_read_back(strips: list[LineStrip], banks: Path) -> None:
    bank = read_bank(banks / "train-lines.safetensors")
    assert list(bank.texts) == [strip.text for strip in strips[:120]]
    assert "" in bank.texts
    for number, strip in enumerate(strips[:120]):
        assert np.array_equal(bank.image(number), strip.image)
        assert bank.widths[number] == strip.image.shape[1]


def test_a_damaged_bank_is_refused(banks: Path, tmp_path: Path) -> None:
    folder = begin(banks, tmp_path / "run")
    file = folder / "train-lines.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        next(train_line(folder, RECIPE))
    bank = {"columns": torch.zeros(ROWS, 9, dtype=torch.uint8), "ends": torch.tensor([4, 9])}
    write_tensors(file, {**bank, "texts": torch.tensor([49], dtype=torch.uint8)}, {"format": FORMAT})
    with pytest.raises(RunError, match="not a bank of lines; delete it"):
        next(train_line(folder, RECIPE))


def test_the_loss_falls_and_a_network_is_written(finished: tuple[Path, list[LineEpoch]]) -> None:
    folder, epochs = finished
    assert [one.epoch for one in epochs] == [1, 2]
    assert epochs[1].train_loss < epochs[0].train_loss
    assert all(0 <= one.validation_accuracy <= 1 for one in epochs)
    loaded = load_line(folder)
    assert loaded.network.channels == RECIPE.channels
    assert load_line(folder / "line.safetensors").card == loaded.card
    assert loaded.card["epoch"] == 2
    assert loaded.card["figures"]["validation_accuracy"] == epochs[1].validation_accuracy
    rows = [json.loads(row) for row in (folder / "history.jsonl").read_text().splitlines()]
    assert [row["train_loss"] for row in rows] == [one.train_loss for one in epochs]


def test_a_resumed_run_ends_with_the_same_bits(
    banks: Path, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    whole, epochs = finished
    folder = begin(banks, tmp_path / "stopped")
    stopped = train_line(folder, RECIPE, seed=1)
    assert next(stopped).train_loss == epochs[0].train_loss
    stopped.close()
    # The plan of the run counts, whatever is asked for now.
    (second,) = train_line(folder, replace(RECIPE, epochs=9), seed=5)
    assert replace(second, seconds=0, strips_per_second=0) == replace(
        epochs[1], seconds=0, strips_per_second=0
    )
    for name in ("line.safetensors", "state.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert list(train_line(folder)) == []  # it is finished


def test_another_seed_gives_another_network(
    banks: Path, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    first = next(train_line(begin(banks, tmp_path / "other"), RECIPE, seed=2))
    assert first.train_loss != finished[1][0].train_loss


def test_what_is_no_state_of_this_run_is_refused_in_one_line(
    banks: Path, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    whole = (finished[0] / "state.safetensors").read_bytes()
    folder = begin(banks, tmp_path / "run")
    state, plan = folder / "state.safetensors", folder / "recipe.json"
    other = replace(RECIPE, channels=(2, 2, 2, 2, 2, 2))
    for content, recipe, kind in (
        (whole[:-9], RECIPE, CheckpointError),
        (whole[:-1] + bytes([whole[-1] ^ 1]), RECIPE, CheckpointError),
        (b"", RECIPE, CheckpointError),
        (whole, other, RunError),
    ):
        state.write_bytes(content)
        with pytest.raises(kind) as refused:
            next(train_line(folder, recipe))
        assert "\n" not in str(refused.value)
        plan.unlink()
    for text in ("", "{}", "[]", '{"recipe": {"channels": [1], "more": 2}, "seed": 0}', '{"recipe": 3}'):
        plan.write_text(text)
        with pytest.raises(RunError, match="not a plan of this version") as refused:
            next(train_line(folder, RECIPE))
        assert "\n" not in str(refused.value)


def test_a_loss_that_grows_without_bounds_ends_the_run(banks: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="lower `lr`"):
        list(train_line(begin(banks, tmp_path / "run"), replace(RECIPE, lr=1e30, warm_up=0.01)))


def test_a_seed_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeNetError):
        next(train_line(tmp_path / "run", RECIPE, seed=-1))


def test_every_strip_is_used_once_an_epoch_with_others_as_long(banks: Path) -> None:
    bank = read_bank(banks / "train-lines.safetensors")
    batches = plan_batches(bank, 10, 0, 1)
    assert sorted(number for batch in batches for number in batch) == list(range(120))
    assert batches == plan_batches(bank, 10, 0, 1)
    assert batches != plan_batches(bank, 10, 0, 2)
    spread = [np.ptp(bank.widths[batch]) for batch in batches]
    assert np.median(spread) < np.ptp(bank.widths) / 5


def test_the_rate_rises_and_falls() -> None:
    recipe = LineRecipe()
    rates = [choose_rate(recipe, progress) for progress in np.linspace(0, 1, 101)]
    assert np.argmax(rates) == 10
    assert max(rates) == pytest.approx(recipe.lr)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert 0 < rates[0] < 0.1 * recipe.lr


def test_the_loss_is_the_probability_of_the_text() -> None:
    logits = torch.randn(1, 2, BLANK + 1, generator=torch.Generator().manual_seed(0))
    rows = logits[0].softmax(dim=1)
    one = rows[0, 3] * rows[1, 3] + rows[0, 3] * rows[1, BLANK] + rows[0, BLANK] * rows[1, 3]
    assert measure_ctc_loss(logits, ["3"]).item() == pytest.approx(-math.log(one), abs=1e-5)
    assert measure_ctc_loss(logits, ["37"]).item() == pytest.approx(
        -math.log(rows[0, 3] * rows[1, 7]) / 2, abs=1e-5
    )
    nothing = -math.log(rows[0, BLANK] * rows[1, BLANK])
    assert measure_ctc_loss(logits, [""]).item() == pytest.approx(nothing, abs=1e-5)
    assert measure_ctc_loss(logits, ["33"]).item() == 0  # no room for a blank between: left out


def test_strips_are_placed_and_distorted_by_the_seed_alone(strips: list[LineStrip]) -> None:
    images = [strip.image for strip in strips[:6]]
    made = [place_strips(images, random_stream(0, "line", epoch)) for epoch in (1, 1, 2)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    for row, image in zip(made[0], images, strict=True):
        assert row.sum().item() == pytest.approx(image.sum(dtype=float) / 255, rel=1e-4)
        first = np.flatnonzero(row[0].numpy().any(axis=0))[0]
        assert 0 <= first - np.flatnonzero(image.any(axis=0))[0] < SLACK
    one, same = (distort(made[0], random_stream(0, "distort")) for _ in range(2))
    assert torch.equal(one, same)
    assert one.shape == made[0].shape
    assert 0 <= one.min() <= one.max() <= 1
    assert not torch.equal(one, made[0])


class Sure(LineNetwork):
    """Names the digit 7 once in every line, with logits `margin` below that of the blank."""

    def __init__(self, margin: float) -> None:
        super().__init__(RECIPE.channels)
        self.margin = margin

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(strips), strips.shape[3] // 2, BLANK + 1), -9.0)
        assert self.output.bias is not None
        logits[:, :, BLANK] = self.output.bias[-1]
        logits[:, 3:5, 7] = -self.margin
        return logits


def test_lines_are_read_by_the_best_class_of_each_frame(banks: Path) -> None:
    bank = read_bank(banks / "validation-lines.safetensors")
    network = Sure(-1)
    network.output.bias.data.zero_()  # type: ignore[union-attr]
    logits = compute_line_logits(network, bank)
    assert all(len(own) >= width // 2 for own, width in zip(logits, bank.widths, strict=True))
    assert read_lines(logits) == ["7"] * len(bank.texts)
    assert read_lines(logits, 2) == [""] * len(bank.texts)


def test_the_blank_is_lowered_until_the_number_of_digits_is_right(banks: Path) -> None:
    bank = read_bank(banks / "validation-lines.safetensors")
    sevens = LineBank(bank.columns, bank.ends, ("7",) * len(bank.texts))
    network = Sure(0.9)
    network.output.bias.data.zero_()  # type: ignore[union-attr]
    assert read_lines(compute_line_logits(network, sevens)) == [""] * len(bank.texts)
    assert balance_blank(network, sevens).all()
    assert read_lines(compute_line_logits(network, sevens)) == ["7"] * len(bank.texts)
    assert network.output.bias is not None
    assert network.output.bias.tolist() == pytest.approx([0.0] * 20 + [-1.0] * 2)
    nothing = LineBank(bank.columns, bank.ends, ("",) * len(bank.texts))
    network.output.bias.data.zero_()
    assert balance_blank(network, nothing).all()
    assert not network.output.bias.any()
