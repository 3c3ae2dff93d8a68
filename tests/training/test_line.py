"""Training of the line network on a small bank: it learns, and a resumed run ends with the same bits."""

import json
import math
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenet.errors import BusyError, CheckpointError, DivergedError, RecipeError, RunError
from lenet.models.checkpoint import write_tensors
from lenet.models.line import LineNetwork, load_line
from lenet.models.line_config import BLANK, ROWS
from lenet.synthesis.lines import LineStrip
from lenet.training.history import read_history
from lenet.training.line import choose_rate, measure_ctc_loss, train_line
from lenet.training.line_bank import FORMAT, LineBank, compose_bank, read_bank
from lenet.training.line_batches import SLACK, distort, place_strips, plan_batches
from lenet.training.line_evaluation import balance_blank, compute_line_logits, read_lines
from lenet.training.line_recipe import LineRecipe
from lenet.training.line_run import LineEpoch, LinePlan, begin_line_run, open_line_run, read_line_plan
from lenet.training.randomness import random_stream
from lenet.training.run_folder import RunFolder

Begin = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def finished(begin_lines: Begin, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[LineEpoch]]:
    run = begin_lines(tmp_path_factory.mktemp("runs"))
    return run.path, list(train_line(run))


def test_a_bank_is_read_back(strips: list[LineStrip], banks: Path) -> None:
    bank = read_bank(banks / "train-lines.safetensors")
    assert list(bank.texts) == [strip.text for strip in strips[:120]]
    assert "" in bank.texts
    for number, strip in enumerate(strips[:120]):
        assert np.array_equal(bank.image(number), strip.image)
        assert bank.widths[number] == strip.image.shape[1]


def test_a_damaged_bank_is_refused(begin_lines: Begin, tmp_path: Path) -> None:
    run = begin_lines(tmp_path)
    file = run.path / "train-lines.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        next(train_line(run))
    bank = {"columns": torch.zeros(ROWS, 9, dtype=torch.uint8), "ends": torch.tensor([4, 9])}
    write_tensors(file, {**bank, "texts": torch.tensor([49], dtype=torch.uint8)}, {"format": FORMAT})
    with pytest.raises(RunError, match="not a bank of lines; delete it"):
        next(train_line(run))


def test_the_loss_falls_and_a_network_is_written(finished: tuple[Path, list[LineEpoch]]) -> None:
    folder, epochs = finished
    assert [one.epoch for one in epochs] == [1, 2]
    assert epochs[1].train_loss < epochs[0].train_loss
    assert all(0 <= one.validation_accuracy <= 1 for one in epochs)
    loaded = load_line(folder)
    assert loaded.network.channels == (4, 6, 8, 8, 12, 12)
    assert load_line(folder / "line.safetensors").card == loaded.card
    assert loaded.card["epoch"] == 2
    assert loaded.card["figures"]["validation_accuracy"] == epochs[1].validation_accuracy
    rows = [json.loads(row) for row in (folder / "history.jsonl").read_text().splitlines()]
    assert [row["train_loss"] for row in rows] == [one.train_loss for one in epochs]


def test_a_resumed_run_ends_with_the_same_bits(
    begin_lines: Begin, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    whole, epochs = finished
    run = begin_lines(tmp_path)
    stopped = train_line(run)
    assert next(stopped).train_loss == epochs[0].train_loss
    stopped.close()
    (second,) = train_line(run)
    assert replace(second, seconds=0, strips_per_second=0) == replace(
        epochs[1], seconds=0, strips_per_second=0
    )
    for name in ("line.safetensors", "state.safetensors"):
        assert (run.path / name).read_bytes() == (whole / name).read_bytes()
    for file in run.path.glob("*-lines.safetensors"):
        file.unlink()
    assert list(train_line(run)) == []  # it is finished, and needs no lines


def test_another_seed_gives_another_network(
    begin_lines: Begin, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    first = next(train_line(begin_lines(tmp_path, seed=2)))
    assert first.train_loss != finished[1][0].train_loss


def test_a_clip_norm_of_0_does_not_limit_the_gradient(begin_lines: Begin, tmp_path: Path) -> None:
    free, wide, narrow = (
        next(train_line(begin_lines(tmp_path, clip_norm=norm))).train_loss for norm in (0, 1e6, 1e-3)
    )
    assert free == wide != narrow


def test_what_is_no_state_of_this_run_is_refused_in_one_line(
    begin_lines: Begin, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    whole = (finished[0] / "state.safetensors").read_bytes()
    run, other = begin_lines(tmp_path), begin_lines(tmp_path, channels=(2, 2, 2, 2, 2, 2))
    for content, folder, kind in (
        (whole[:-9], run, CheckpointError),
        (whole[:-1] + bytes([whole[-1] ^ 1]), run, CheckpointError),
        (b"", run, CheckpointError),
        (whole, other, RunError),
        (whole, run, RunError),  # without the history of its epochs
    ):
        folder.state.write_bytes(content)
        with pytest.raises(kind) as refused:
            next(train_line(folder))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"recipe": {"channels": [1], "more": 2}, "seed": 0}',
        '{"recipe": 3}',
        '{"recipe": {"strips": 0}, "seed": 0}',
        '{"recipe": {"strips": 9, "channels": 3}, "seed": 0}',
        '{"recipe": {"strips": 9}, "seed": 0.5}',
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(begin_lines: Begin, tmp_path: Path, text: str) -> None:
    run = begin_lines(tmp_path)
    (run.path / "recipe.json").write_text(text)
    with pytest.raises(RunError, match=r"recipe\.json: (not|cannot)") as refused:
        next(train_line(run))
    assert "\n" not in str(refused.value)


def test_a_loss_that_grows_without_bounds_ends_the_run(begin_lines: Begin, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="lower `lr`"):
        list(train_line(begin_lines(tmp_path, lr=1000.0, warm_up=0.0, clip_norm=0, epochs=9)))


@pytest.mark.parametrize("name", ["strips", "validation", "epochs", "batch_size", "lr"])
@pytest.mark.parametrize("value", [0, -1, math.nan, "1", None, True])
def test_a_setting_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"^{name} is "):
        LineRecipe(**{name: value})


@pytest.mark.parametrize("channels", [(), (4, 6, 8, 8, 12), (4, 6, 8, 8, 12, 0), (4, 6, 8, 8, 12, 1.5), 3])
def test_channels_that_cannot_be_are_refused(channels: Any) -> None:
    with pytest.raises(RecipeError, match=r"^channels is .* 6 whole numbers"):
        LineRecipe(channels=channels)


def test_a_seed_that_is_none_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="seed is -1"):
        begin_line_run(LineRecipe(), seed=-1, runs_dir=tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_has_a_folder_and_a_plan_of_its_own(tmp_path: Path) -> None:
    first = begin_line_run(LineRecipe(), runs_dir=tmp_path)
    second = begin_line_run(LineRecipe(epochs=12), seed=3, runs_dir=tmp_path)
    assert [first.path.name, second.path.name] == ["line", "line-2"]
    assert read_line_plan(first) == LinePlan(LineRecipe(), 0)
    assert read_line_plan(second) == LinePlan(LineRecipe(epochs=12), 3)


def test_one_process_trains_a_run(begin_lines: Begin, tmp_path: Path) -> None:
    run = begin_lines(tmp_path)
    first = train_line(run)
    next(first)
    for refused in (lambda: next(train_line(run)), lambda: open_line_run(run.path)):
        with pytest.raises(BusyError, match="another process"):
            refused()
    first.close()
    assert open_line_run(run.path) == run


def test_a_run_of_an_older_version_is_resumed(
    begin_lines: Begin, finished: tuple[Path, list[LineEpoch]], tmp_path: Path
) -> None:
    """It has no environment.json, and the history had NaN for what was not measured."""
    run = begin_lines(tmp_path)
    next(train_line(run))
    (run.path / "environment.json").unlink()
    row = json.loads(run.history.read_text()) | {"validation_digit_accuracy": math.nan}
    run.history.write_text(json.dumps(row) + "\n")
    assert "NaN" in run.history.read_text()
    assert len(list(train_line(open_line_run(run.path)))) == 1
    for name in ("line.safetensors", "state.safetensors"):
        assert (run.path / name).read_bytes() == (finished[0] / name).read_bytes()
    assert [epoch.validation_digit_accuracy is None for epoch in read_history(run.history, LineEpoch)] == [
        True,
        False,
    ]


def test_a_worker_that_dies_is_one_line(begin_lines: Begin, tmp_path: Path) -> None:
    run = begin_lines(tmp_path)
    (run.path / "validation-lines.safetensors").unlink()

    def kill() -> None:
        while not (workers := multiprocessing.active_children()):
            time.sleep(0.01)
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(RunError, match=r"a worker died.*resume with: lenet train --resume ") as refused:
        next(train_line(run))
    killer.join()
    assert str(refused.value).endswith(str(run.path))
    assert not (run.path / "validation-lines.safetensors").exists()


def test_lines_without_ink_are_no_bank(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no line came out with ink"):
        compose_bank(tmp_path / "bank.safetensors", "train", 0, 0, 1)
    assert list(tmp_path.iterdir()) == []


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
        super().__init__((4, 6, 8, 8, 12, 12))
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
