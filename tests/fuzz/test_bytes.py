"""Seeded damage to files of every kind: a result or the package's own error, in bounded time and memory.

`LENET_FUZZ_SECONDS` sets the seconds per group; `make fuzz` takes longer than `make test`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECONDS = float(os.environ.get("LENET_FUZZ_SECONDS", "1.5"))
MAX_MEGABYTES = 500
GROUPS = ("picture", "idx", "checkpoint", "csv", "archive", "run")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What `groups.py` prints for each group; a group that hangs or needs too much ends by itself."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).parent / "groups.py"), str(SECONDS), *GROUPS],
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 3 * SECONDS * len(GROUPS),
    )
    assert ended.returncode == 0, ended.stderr
    return {row["group"]: row for row in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files(
    group: str, outcomes: dict[str, dict[str, Any]], record_property: Callable[[str, object], None]
):
    outcome = outcomes[group]
    assert outcome["fault"] == ""
    assert outcome["megabytes"] < MAX_MEGABYTES
    assert outcome["cases"] >= 60
    record_property("hostile cases", f"{group} {outcome['cases']}")
