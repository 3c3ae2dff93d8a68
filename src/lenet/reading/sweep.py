"""Sweeps the line network over the lines of a picture and transcribes what it names."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lenet.images.strips import stack_strips
from lenet.models.inference import StripNetwork
from lenet.reading.digits import Line, Piece, divide_line
from lenet.reading.transcription import Constraints, Frames, Text, align, find_text, measure_count

WIDTHS = 16  # columns: strips are padded to a multiple, so that a reading does not depend on others beside it
FAINT = 60  # grey levels of 255: what is paler is removed from the second of two copies of a strip
BATCH = 64  # strips of equal length at a time: bounds the memory


@dataclass(frozen=True, eq=False)
class Transcript:
    """The digits of a picture, over all its lines.

    `rows` (digits, 10) are the probabilities of the classes of each digit. `probability`, 0..1, is that of
    the text among all texts within the constraints, and `fit` that of any digit, or of the known number.
    """

    text: Text
    rows: NDArray[np.float64]
    pieces: list[Piece]
    probability: float
    fit: float
    frames: list[Frames] = field(repr=False)
    """The frames of each line with digits."""
    counts: list[int] = field(repr=False)
    """The number of digits of each line with digits."""

    def measure_segmentation(self) -> float:
        """The probability of the number of digits on each line, whatever the digits are, 0..1."""
        return float(np.exp(sum(measure_count(*one) for one in zip(self.frames, self.counts, strict=True))))


def transcribe(network: StripNetwork, lines: tuple[Line, ...], constraints: Constraints) -> Transcript | None:
    """Read the lines (at least one) of a picture; None if no text within the constraints is possible.

    A line that rather has no digit is left out, such as print or the edge of a shadow.
    """
    frames = compute_frames(network, [line.strip.image for line in lines])
    if constraints.count is not None:
        return transcribe_together(frames, lines, constraints)
    kept: list[tuple[int, Text]] = []
    nothing: Text = ()
    probability, best = 1.0, (0.0, 0, nothing, 0.0)
    for number, own in enumerate(frames):
        amount = constraints.amount and not kept
        text, chance, fit = find_text(own, Constraints(amount=amount))
        if text is None:
            continue
        best = max(best, (fit, number, text, chance))
        if fit > 0.5:
            kept.append((number, text))
            probability *= chance
        else:
            probability *= 1 - fit
    fit, number, text, chance = best
    if not text:
        return None
    if kept:
        fit = 1.0 if len(kept) > 1 or len(kept[0][1]) > 1 else fit
    else:
        kept, probability = [(number, text)], chance
    spans = [align(frames[number], text) for number, text in kept]
    return assemble(frames, lines, kept, spans, probability, fit)


def transcribe_together(
    frames: list[Frames], lines: tuple[Line, ...], constraints: Constraints
) -> Transcript | None:
    """Read lines with a known number of digits: any line may have any share of them."""
    blank = np.full((1, frames[0].shape[1]), -np.inf)
    blank[0, -1] = 0.0
    joined = np.concatenate([part for own in frames for part in (own, blank)])
    text, probability, fit = find_text(joined, constraints)
    if text is None:
        return None
    ends = np.cumsum([len(own) + 1 for own in frames])
    kept: dict[int, list[tuple[int, slice]]] = {}
    for label, span in zip(text, align(joined, text), strict=True):
        number = int(np.searchsorted(ends, span.start, side="right"))
        start = int(ends[number]) - len(frames[number]) - 1
        kept.setdefault(number, []).append((label, slice(span.start - start, span.stop - start)))
    texts = [(number, tuple(label for label, _ in own)) for number, own in kept.items()]
    spans = [[span for _, span in own] for own in kept.values()]
    return assemble(frames, lines, texts, spans, probability, fit)


def assemble(
    frames: list[Frames],
    lines: tuple[Line, ...],
    kept: list[tuple[int, Text]],
    spans: list[list[slice]],
    probability: float,
    fit: float,
) -> Transcript:
    """The transcript of the lines with digits: `kept` are their numbers and texts."""
    rows = []
    for (number, text), places in zip(kept, spans, strict=True):
        for label, span in zip(text, places, strict=True):
            own = frames[number][span]
            row = np.exp(own[own[:, label].argmax(), :-1])
            rows.append(row / row.sum())
    text = tuple(label for _, own in kept for label in own)
    pieces = [
        piece
        for (number, _), places in zip(kept, spans, strict=True)
        for piece in divide_line(lines[number], places)
    ]
    own_frames = [frames[number] for number, _ in kept]
    return Transcript(
        text, np.array(rows), pieces, probability, fit, own_frames, [len(own) for _, own in kept]
    )


def compute_frames(network: StripNetwork, strips: list[NDArray[np.uint8]]) -> list[Frames]:
    """The log-probabilities of the frames of each strip uint8 (ROWS, w).

    They are means over two copies of the strip (test-time augmentation): as it is, and without faint ink,
    such as a printed pattern.
    """
    widths = [-(-strip.shape[1] // WIDTHS) * WIDTHS for strip in strips]
    frames: list[Frames] = [np.zeros((0, 0))] * len(strips)
    for width in set(widths):
        alike = [number for number, own in enumerate(widths) if own == width]
        for first in range(0, len(alike), BATCH):
            chosen = alike[first : first + BATCH]
            batch = stack_strips([strips[number] for number in chosen], width).astype(np.float32)
            clean = np.maximum(batch - FAINT, 0) / (255 - FAINT)
            logits = network.compute_logits(np.concatenate([batch / 255, clean]))
            both = compute_log_shares(logits.astype(np.float64)).reshape(2, len(chosen), *logits.shape[1:])
            for number, own in zip(chosen, compute_log_shares(both.mean(axis=0)), strict=True):
                frames[number] = own
    return frames


def compute_log_shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shares
