"""How many held-out lines a line network reads without an error, and the bias of its blank."""

import numpy as np
import torch
from numpy.typing import NDArray

from lenet.images.strips import stack_strips
from lenet.models.line import LineNetwork
from lenet.models.line_config import BLANK, COLUMNS_PER_STEP, FRAMES_PER_STEP, read_best_path
from lenet.training.line_bank import LineBank

BATCH = 64
BLANK_SHIFTS = tuple(-0.2 * step for step in range(11))  # what is added to the logit of the blank
Logits = NDArray[np.float32]
"""Of the frames of one line, (frames, 11)."""


def compute_line_logits(network: LineNetwork, bank: LineBank) -> list[Logits]:
    """The logits (frames, 11) of each line of a bank."""
    logits: list[Logits] = [np.empty((0, BLANK + 1), np.float32)] * len(bank.texts)
    order = np.argsort(bank.widths, kind="stable")
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH].tolist()
        strips = [bank.image(number) for number in chosen]
        width = max(strip.shape[1] for strip in strips)
        batch = stack_strips(strips, -(-width // COLUMNS_PER_STEP) * COLUMNS_PER_STEP)
        with torch.inference_mode():
            for number, own in zip(chosen, network(torch.from_numpy(batch)).numpy(), strict=True):
                logits[number] = own
    return logits


def read_lines(logits: list[Logits], blank: float = 0.0) -> list[str]:
    """The digits of each line by the best class of each frame; `blank` is added to the logit of the blank."""
    shift = np.array([0.0] * BLANK + [blank], np.float32)
    return [read_best_path((own + shift).argmax(axis=1)) for own in logits]


def balance_blank(network: LineNetwork, held_out: LineBank) -> NDArray[np.bool_]:
    """Lower the bias of the blank until as many digits are read in the held-out lines as they have.

    The loss favours the blank where a digit is hard to read, so that more digits are left out than marks are
    read as digits. Changes `network`; returns which lines it reads without an error, bool (N,).
    """
    logits = compute_line_logits(network, held_out)
    count = sum(map(len, held_out.texts))
    shift = min(BLANK_SHIFTS, key=lambda shift: abs(sum(map(len, read_lines(logits, shift))) - count))
    with torch.no_grad():
        bias = network.output.bias
        assert bias is not None
        bias.view(BLANK + 1, FRAMES_PER_STEP)[BLANK] += shift
    texts = zip(read_lines(logits, shift), held_out.texts, strict=True)
    return np.array([read == text for read, text in texts], np.bool_)
