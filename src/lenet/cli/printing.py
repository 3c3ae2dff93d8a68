"""What `--json` prints: JSON that every parser takes, so without NaN and Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def print_json(values: Any) -> None:
    """Print values as one line of JSON; a number that is not finite becomes null."""
    print(json.dumps(_make_plain(values), allow_nan=False))


def _make_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _make_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
