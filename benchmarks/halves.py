"""Sums up readings of pictures: of all, of those that may be looked at, and of those that are only counted.

Tables of pictures have the column half. Rules are made by looking at pictures of the half `seen`; those of
the half `blind` only count, so that both halves together show whether a rule holds for other pictures.
"""

from dataclasses import dataclass

import numpy as np

from lenet.reading.reading import Reading

BLIND = "blind"
WRONG = 0.01  # of what is accepted


@dataclass(frozen=True)
class Answer:
    """The reading of a picture of one kind; `half` is empty where the table has none."""

    kind: str
    half: str
    right: bool
    reading: Reading


def sum_up_kinds(answers: list[Answer]) -> dict[str, dict[str, object]]:
    """For all pictures and for each kind: what `sum_up` says of them, and of each of their halves."""
    kinds = {
        kind: [answer for answer in answers if answer.kind == kind]
        for kind in sorted({answer.kind for answer in answers})
    }
    kinds["all"] = answers
    return {
        kind: {
            **sum_up(found),
            "halves": {
                half: sum_up([answer for answer in found if answer.half == half])
                for half in sorted({answer.half for answer in found} - {""}, reverse=True)
            },
        }
        for kind, found in kinds.items()
    }


def sum_up(answers: list[Answer]) -> dict[str, object]:
    """How many there are, the share read correctly, and what is accepted at one wrong in a hundred."""
    right = np.array([answer.right for answer in answers])
    confidence = np.array([answer.reading.confidence for answer in answers])
    ranked = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[ranked]) / np.arange(1, len(right) + 1)
    accepted = int(np.flatnonzero(wrong <= WRONG).max(initial=-1)) + 1
    return {
        "count": len(right),
        "right": int(right.sum()),
        "share": round(float(right.mean()), 5),
        "rejected": round(float(np.mean([answer.reading.rejected for answer in answers])), 4),
        f"coverage at {WRONG:.0%} wrong": round(accepted / len(right), 4),
        "confidence there": round(float(confidence[ranked[accepted - 1]]), 4) if accepted else None,
    }
