"""history.jsonl: the finished epochs of a run, one JSON object a line, checked when they are read."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lenet.errors import RunError
from lenet.files import write_text
from lenet.training.recipe import MOST_EPOCHS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MEASURED = ("seconds", "examples_per_second", "epochs")  # of an epoch: not equal in equal trainings
MAXIMUM = 1e40  # of any value; the largest float32 is 3.4e38
Record = TypeVar("Record", bound="DataclassInstance")  # of an epoch


def write_history(file: Path, history: Sequence["DataclassInstance"]) -> None:
    """Write epochs to `file`, whole or not at all; JSON has no NaN and no infinity, so these become null."""
    rows = [{name: _as_json(value) for name, value in asdict(epoch).items()} for epoch in history]
    write_text(file, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_history(file: Path, kind: type[Record]) -> list[Record]:
    """The epochs in `file`, as records of `kind`; none where it is missing. Raises RunError where damaged."""
    if not file.exists():
        return []
    try:
        lines = file.read_text("utf-8").splitlines()
        if len(lines) > MOST_EPOCHS:
            raise ValueError(f"{len(lines):,} epochs; a recipe has at most {MOST_EPOCHS:,}")
        return [_parse_epoch(line, number, kind) for number, line in enumerate(lines, 1)]
    except (ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{file}: damaged ({error}); restore it, or begin a new run") from None


def hash_history(history: Sequence["DataclassInstance"]) -> str:
    """SHA-256 of epochs, without their times."""
    rows = [asdict(epoch) for epoch in history]
    return hash_json([{n: _as_json(row[n]) for n in row if n not in MEASURED} for row in rows])


def hash_json(values: Any) -> str:
    """SHA-256 of values as JSON, whatever the order of the keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _as_json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse_epoch(line: str, number: int, record: type[Record]) -> Record:
    """Line `number` of history.jsonl. Raises ValueError or TypeError on anything else."""
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError(f"line {number} is no object")
    epoch = record(**{name: _as_json(value) for name, value in values.items()})
    checked = asdict(epoch)
    for name, value in checked.items():
        may_lack = name.startswith(("validation", "test"))
        kind = bool if name == "is_best" else int if name in ("epoch", "epochs") else int | float
        is_number = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if not (is_number and 0 <= value <= MAXIMUM) and not (value is None and may_lack):
            raise ValueError(f"line {number}: {name} is {str(value)[:40]!r}")
    if checked["epoch"] != number:
        raise ValueError(f"line {number} holds epoch {str(checked['epoch'])[:40]}")
    return epoch
