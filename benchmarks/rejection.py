"""Does it know when it does not know? Rejection, calibration and what is no digit at all, on test images.

    python benchmarks/rejection.py
    python benchmarks/rejection.py mnist reader runs/best-mnist-1

For each checkpoint: what share of MNIST's test digits has to be rejected for 1, 0.5 and 0.1 % of the rest to
be wrong; what became of the promises on its card, whose thresholds were figured on digits held out of
training; how often such promises are broken when they are figured on 5,000 digits drawn again and again; the
expected calibration error; and what share of the pictures in `negatives.py` is rejected where
1 % of the test digits are. "readings" are of the same digits as pictures, which the line network and `reader`
name together. Results go to benchmarks/results/rejection.json.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch
from torch import Tensor

from lenet.bench.machine import describe_machine
from lenet.data.datasets import load
from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError
from lenet.files import write_text
from lenet.models.checkpoint import Checkpoint, load_checkpoint
from lenet.models.line import open_checkpoint
from lenet.reading.calibration import measure_readings
from lenet.reading.reader import Reader
from lenet.training.evaluation import compute_logits, measure_reliability
from lenet.uncertainty.calibration import MAX_ERRORS
from lenet.uncertainty.reading_rejection import find_group
from lenet.uncertainty.rejection import find_threshold
from lenet.uncertainty.risk import compute_risk, rank_risk, summarise_risk
from negatives import make_groups

RESULTS = Path(__file__).parent / "results" / "rejection.json"
LINE = "line"
READING_ERRORS = (0.01, 0.005)  # promised; 4,000 readings of one digit cannot promise 0.1 %
LOST = 0.01  # of the digits
DRAWN, TIMES = 5000, 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", default=["mnist", "reader"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    digits, groups = load("mnist", "test"), make_groups()
    result = {
        "what": "rejection",
        "command": shlex.join(["python", "benchmarks/rejection.py", *sys.argv[1:]]),
        "negatives": {name: len(images) for name, images in groups.items()},
        "checkpoints": {name: examine(load_checkpoint(name), digits, groups) for name in given.checkpoints},
        "readings": examine_readings(digits),
        "machine": describe_machine(),
    }
    write_text(RESULTS, json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: result[name] for name in ("checkpoints", "readings")}, indent=1))


def examine(checkpoint: Checkpoint, digits: ImageSet, groups: dict[str, Tensor]) -> dict[str, object]:
    def read(images: Tensor) -> Tensor:
        return checkpoint.model.as_probabilities(compute_logits(checkpoint.model, images))

    probabilities = read(digits.images)
    confidence, predicted = probabilities.double().max(dim=1)
    wrong = predicted != digits.labels
    allowed = int(LOST * len(digits))
    threshold = float(confidence.sort().values[allowed])  # as many lie below it
    strange = {name: read(images) for name, images in groups.items()}
    shares = {name: share(rows.double().amax(dim=1) < threshold) for name, rows in strange.items()}
    return {
        "accuracy": 1 - share(wrong),
        **measure_reliability(checkpoint, digits).to_dict(),
        "promises": [keep(checkpoint, error, confidence, wrong) for error in MAX_ERRORS],
        "promises_drawn_again": [draw_again(error, probabilities, digits.labels) for error in MAX_ERRORS],
        "digits_lost": share(confidence < threshold),
        "not_digits_rejected": shares,
        "not_digits_rejected_mean": sum(shares.values()) / len(shares),
        "without_a_threshold": {
            "digits_lost": share(probabilities.sum(dim=1) < 0.5),
            "not_digits_rejected_mean": sum(share(rows.sum(dim=1) < 0.5) for rows in strange.values())
            / len(strange),
        },
    }


def examine_readings(digits: ImageSet) -> dict[str, object]:
    """What rejection costs and what becomes of promises where whole readings are accepted or not."""
    checkpoint = open_checkpoint(LINE)
    truths = [digits.classes[int(label)] for label in digits.labels]
    rows = measure_readings(Reader(checkpoint), zip(digits.images[:, 0].numpy(), truths, strict=True))
    # What the reader rejects by itself is rejected at every threshold.
    confidence = torch.tensor([row.confidence if row.accepted else -1.0 for row in rows], dtype=torch.float64)
    wrong = torch.tensor([not row.right for row in rows])
    curve = rank_risk(confidence, wrong)
    thresholds = {error: Reader(checkpoint, error).thresholds[find_group(1)] for error in READING_ERRORS}
    return {
        "weights": LINE,
        "accuracy": 1 - share(wrong),
        "reject_rates": [{"max_error": error, "rejected": curve.reject_rate(error)} for error in MAX_ERRORS],
        "promises": [
            describe_promise(error, threshold, confidence, wrong) for error, threshold in thresholds.items()
        ],
    }


def keep(checkpoint: Checkpoint, max_error: float, confidence: Tensor, wrong: Tensor) -> dict[str, object]:
    """What a promise of the card comes to on these digits."""
    try:
        threshold = find_threshold(checkpoint.card.get("rejection"), max_error)
    except CheckpointError as error:
        return {"max_error": max_error, "refused": str(error)}
    return describe_promise(max_error, threshold, confidence, wrong)


def describe_promise(
    max_error: float, threshold: float, confidence: Tensor, wrong: Tensor
) -> dict[str, object]:
    """The share that a threshold rejects, and the share of errors in the rest."""
    accepted = confidence >= threshold
    return {
        "max_error": max_error,
        "threshold": threshold,
        "rejected": 1 - share(accepted),
        "error": share(wrong[accepted]),
    }


def draw_again(max_error: float, probabilities: Tensor, labels: Tensor) -> dict[str, object]:
    """Figure the promise on some of the digits, drawn with repetition, and look what becomes of it on all."""
    generator, curve = torch.Generator().manual_seed(0), compute_risk(probabilities, labels)
    given, broken, rejected = 0, 0, 0.0
    for _ in range(TIMES):
        drawn = torch.randint(len(labels), (DRAWN,), generator=generator)
        try:
            threshold = find_threshold(summarise_risk(probabilities[drawn], labels[drawn]), max_error)
        except CheckpointError:
            continue
        place = int((curve.thresholds < threshold).sum())
        given += 1
        broken += bool(curve.errors[place] > max_error)
        rejected += float(curve.rejected[place])
    return {
        "max_error": max_error,
        "times": TIMES,
        "digits": DRAWN,
        "given": given,
        "broken": broken,
        "rejected": rejected / max(given, 1),
    }


def share(chosen: Tensor) -> float:
    return chosen.double().mean().item()


if __name__ == "__main__":
    main()
