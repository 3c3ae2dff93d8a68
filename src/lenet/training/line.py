"""Trains the line network on composed lines: connectionist temporal classification, in plain sight.

The lines are composed once and kept in the run folder. Their order and their distortions are pure functions
of (seed, epoch, step), so a run that is killed and resumed ends with the same bits.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

import lenet
from lenet.errors import DivergedError, RunError
from lenet.models.checkpoint import write_tensors
from lenet.models.line import LineNetwork, fold_normalisation, save_line
from lenet.models.line_config import BLANK
from lenet.models.stored import read_tensors
from lenet.training.history import read_history, write_history
from lenet.training.line_bank import LineBank, compose_bank, read_bank
from lenet.training.line_batches import distort, place_strips, plan_batches
from lenet.training.line_evaluation import balance_blank
from lenet.training.line_recipe import LineRecipe
from lenet.training.line_run import LineEpoch, read_line_plan
from lenet.training.optimisation import AdamW
from lenet.training.randomness import random_stream
from lenet.training.run_folder import RunFolder
from lenet.training.run_state import collect_tensors, restore_moments

STATE_FORMAT = "lenet-line-state/1"


def train_line(folder: RunFolder, processes: int = 1) -> Iterator[LineEpoch]:
    """Train a run from where it is to its end, and yield each epoch as it ends.

    Args:
        folder: of a run that `begin_line_run` made; at the end of each epoch `line.safetensors` holds the
            averaged, folded network.
        processes: that compose the lines.

    Raises DivergedError when the loss is no longer finite, BusyError when another process trains the run,
    RunError and CheckpointError for a damaged folder, DataError and DownloadError where MNIST or the fonts
    are missing.
    """
    with folder.alone():
        plan = read_line_plan(folder)
        recipe, seed = plan.recipe, plan.seed
        torch.manual_seed(int(random_stream(seed, "weights").initial_seed()))
        network = LineNetwork(recipe.channels)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaged = copy.deepcopy(network).eval().requires_grad_(False)
        optimizer = AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        done = _read_state(folder.state, network, averaged, optimizer) if folder.state.exists() else 0
        history = read_history(folder.history, LineEpoch)[:done]
        if len(history) < done:
            raise RunError(
                f"{folder.history} holds {len(history)} of {done} epochs; restore it, or begin a new run"
            )
        if done >= recipe.epochs:
            return
        banks = []
        for split, count in (("train", recipe.strips), ("validation", recipe.validation)):
            file = folder.path / f"{split}-lines.safetensors"
            if not file.exists():
                compose_bank(file, split, count, seed, processes)
            banks.append(read_bank(file))
        bank, held_out = banks
        single = np.array([len(text) == 1 for text in held_out.texts])
        for epoch in range(done + 1, recipe.epochs + 1):
            began = time.perf_counter()
            loss = train_epoch(network, averaged, optimizer, bank, recipe, seed, epoch)
            seconds = time.perf_counter() - began
            balanced = copy.deepcopy(averaged)
            right = balance_blank(balanced, held_out)
            record = LineEpoch(
                epoch,
                recipe.epochs,
                loss,
                float(right.mean()),
                float(right[single].mean()) if single.any() else None,
                seconds,
                len(bank.texts) / seconds,
            )
            figures = {"validation_accuracy": record.validation_accuracy}
            card = {"classes": list("0123456789"), **asdict(plan), "epoch": epoch}
            card |= {"figures": figures, "lenet": lenet.__version__}
            save_line(folder.path / "line.safetensors", fold_normalisation(balanced), card)
            history.append(record)
            write_history(folder.history, history)
            _write_state(folder.state, network, averaged, optimizer, epoch)  # last: a kill repeats the epoch
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
        if recipe.clip_norm:
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


def _write_state(
    file: Path, network: LineNetwork, averaged: LineNetwork, optimizer: torch.optim.Optimizer, epoch: int
) -> None:
    tensors = collect_tensors(optimizer, network=network, averaged=averaged)
    write_tensors(file, tensors, {"format": STATE_FORMAT, "epoch": epoch})


def _read_state(
    file: Path, network: LineNetwork, averaged: LineNetwork, optimizer: torch.optim.Optimizer
) -> int:
    """Bring networks and optimiser to where the run was; returns the finished epochs."""
    tensors, card = read_tensors(file, STATE_FORMAT)
    try:
        for prefix, model in (("network.", network), ("averaged.", averaged)):
            own = {name for name in tensors if name.startswith(prefix)}
            model.load_state_dict({name.removeprefix(prefix): tensors[name] for name in own})
        restore_moments(optimizer, tensors)
        return int(card["epoch"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{file}: not the state of this run ({reason}); delete it to begin again") from None
