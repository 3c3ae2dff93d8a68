"""Trains the line network on composed lines: connectionist temporal classification, in plain sight.

The lines are composed once and kept in the run folder. Their order and their distortions are pure functions
of (seed, epoch, step), so a run that is killed and resumed ends with the same bits.
"""

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

import lenet
from lenet.errors import DivergedError, RunError
from lenet.files import write_text
from lenet.models.checkpoint import write_tensors
from lenet.models.line import LineNetwork, fold_normalisation, save_line
from lenet.models.line_config import BLANK
from lenet.models.stored import read_tensors
from lenet.training.line_bank import LineBank, compose_bank, read_bank
from lenet.training.line_batches import distort, place_strips, plan_batches
from lenet.training.line_evaluation import balance_blank
from lenet.training.optimisation import AdamW
from lenet.training.randomness import check_seed, random_stream

STATE_FORMAT = "lenet-line-state/1"


@dataclass(frozen=True)
class LineRecipe:
    """Every number of the training of a line network."""

    strips: int = 240_000
    """Composed lines to learn from."""
    validation: int = 3000
    """Composed lines of held-out images, to measure by."""
    epochs: int = 6
    batch_size: int = 64
    lr: float = 3e-3
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises; it falls along a cosine afterwards."""
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    clip_norm: float = 2.0
    channels: tuple[int, ...] = (24, 48, 96, 128, 192, 192)


@dataclass(frozen=True)
class LineEpoch:
    """One finished pass; accuracies are shares of lines that are read without an error."""

    epoch: int
    epochs: int
    train_loss: float
    validation_accuracy: float
    validation_digit_accuracy: float
    """Of lines of one digit."""
    seconds: float
    strips_per_second: float


def train_line(
    folder: Path, recipe: LineRecipe | None = None, seed: int = 0, processes: int = 1
) -> Iterator[LineEpoch]:
    """Train a line network in `folder`, or resume the run that is there, and yield each epoch as it ends.

    Args:
        folder: of the run; at the end of each epoch `line.safetensors` holds the averaged, folded network.
        recipe: the numbers of a new run; a run that is resumed keeps its own.
        seed: of the lines, their order, their distortions and the initial weights.
        processes: that compose the lines.

    Raises DivergedError when the loss is no longer finite, RunError for a damaged folder, DataError and
    DownloadError where MNIST or the fonts are missing.
    """
    check_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    recipe, seed = _keep_plan(folder / "recipe.json", recipe or LineRecipe(), seed)
    banks = []
    for split, count in (("train", recipe.strips), ("validation", recipe.validation)):
        file = folder / f"{split}-lines.safetensors"
        if not file.exists():
            compose_bank(file, split, count, seed, processes)
        banks.append(read_bank(file))
    bank, held_out = banks
    torch.manual_seed(int(random_stream(seed, "weights").initial_seed()))
    network = LineNetwork(recipe.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    state = folder / "state.safetensors"
    done = _read_state(state, network, averaged, optimizer) if state.exists() else 0
    for epoch in range(done + 1, recipe.epochs + 1):
        began = time.perf_counter()
        loss = train_epoch(network, averaged, optimizer, bank, recipe, seed, epoch)
        seconds = time.perf_counter() - began
        balanced = copy.deepcopy(averaged)
        right = balance_blank(balanced, held_out)
        single = np.array([len(text) == 1 for text in held_out.texts])
        record = LineEpoch(
            epoch,
            recipe.epochs,
            loss,
            float(right.mean()),
            float(right[single].mean()) if single.any() else math.nan,
            seconds,
            len(bank.texts) / seconds,
        )
        figures = {"validation_accuracy": record.validation_accuracy}
        card = {"classes": list("0123456789"), "recipe": asdict(recipe), "seed": seed, "epoch": epoch}
        card |= {"figures": figures, "lenet": lenet.__version__}
        save_line(folder / "line.safetensors", fold_normalisation(balanced), card)
        history = folder / "history.jsonl"
        before = history.read_text("utf-8").splitlines() if history.exists() else []
        write_text(history, "\n".join([*before[: epoch - 1], json.dumps(asdict(record)), ""]))
        _write_state(state, network, averaged, optimizer, epoch)  # last: a kill before it repeats the epoch
        yield record


def train_epoch(
    network: LineNetwork,
    averaged: LineNetwork,
    optimizer: torch.optim.Optimizer,
    bank: LineBank,
    recipe: LineRecipe,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the bank; changes networks and optimiser. Returns the mean loss."""
    network.train()
    batches = plan_batches(bank, recipe.batch_size, seed, epoch)
    steps, total = len(batches), 0.0
    # Processors with bfloat16 arithmetic train about twice as fast with it, and as well.
    fast = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    for step, chosen in enumerate(batches):
        stream = random_stream(seed, "line", epoch, step)
        images = distort(place_strips([bank.image(number) for number in chosen], stream), stream)
        texts = [bank.texts[number] for number in chosen]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            logits = network(images.contiguous(memory_format=torch.channels_last))
        loss = measure_ctc_loss(logits.float(), texts)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(network.parameters(), recipe.clip_norm)
        done = (epoch - 1) * steps + step
        for group in optimizer.param_groups:
            group["lr"] = choose_rate(recipe, done / (recipe.epochs * steps))
        optimizer.step()
        average(averaged, network, min(recipe.ema_decay, (1 + done) / (10 + done)))
        total += loss.item()
        if not math.isfinite(total):
            raise DivergedError(f"the loss is not finite in epoch {epoch}; lower `lr`")
    return total / steps


def choose_rate(recipe: LineRecipe, progress: float) -> float:
    """The learning rate at `progress`, 0..1, of the training: a linear rise, then half a cosine."""
    if progress < recipe.warm_up:
        return recipe.lr * max(progress / recipe.warm_up, 0.04)
    return recipe.lr * (1 + math.cos(math.pi * (progress - recipe.warm_up) / (1 - recipe.warm_up))) / 2


def measure_ctc_loss(logits: Tensor, texts: list[str]) -> Tensor:
    """The mean of -log P(text), per digit, for logits (N, frames, 11); all alignments are summed up."""
    digits = torch.tensor([int(digit) for text in texts for digit in text], dtype=torch.long)
    lengths = torch.tensor([len(text) for text in texts])
    frames = torch.full((len(texts),), logits.shape[1])
    scores = logits.log_softmax(dim=2).transpose(0, 1)
    return functional.ctc_loss(scores, digits, frames, lengths, blank=BLANK, zero_infinity=True)


def average(averaged: LineNetwork, network: LineNetwork, decay: float) -> None:
    """Move the averaged weights and statistics towards those of `network`."""
    with torch.no_grad():
        for slow, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(value, 1 - decay)
            else:
                slow.copy_(value)


def _keep_plan(file: Path, recipe: LineRecipe, seed: int) -> tuple[LineRecipe, int]:
    """Write the plan of a new run, or read the one that is there."""
    if not file.exists():
        write_text(file, json.dumps({"recipe": asdict(recipe), "seed": seed}, indent=2) + "\n")
        return recipe, seed
    try:
        values = json.loads(file.read_text("utf-8"))
        kept = LineRecipe(**values["recipe"] | {"channels": tuple(values["recipe"]["channels"])})
        return kept, int(values["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: not a plan of this version ({error})") from None


def _write_state(
    file: Path, network: LineNetwork, averaged: LineNetwork, optimizer: torch.optim.Optimizer, epoch: int
) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in averaged.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    write_tensors(file, tensors, {"format": STATE_FORMAT, "epoch": epoch})


def _read_state(
    file: Path, network: LineNetwork, averaged: LineNetwork, optimizer: torch.optim.Optimizer
) -> int:
    """Bring networks and optimiser to where the run was; returns the finished epochs."""
    tensors, card = read_tensors(file, STATE_FORMAT)
    moments: dict[int, dict[str, Tensor]] = {}
    try:
        for prefix, model in (("network.", network), ("averaged.", averaged)):
            own = {name for name in tensors if name.startswith(prefix)}
            model.load_state_dict({name.removeprefix(prefix): tensors[name] for name in own})
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                moments.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return int(card["epoch"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{file}: not the state of this run ({reason}); delete it to begin again") from None
