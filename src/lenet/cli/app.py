"""The `lenet` program, the flags that several verbs share, and the one line that ends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

import lenet

app = App(
    name="lenet",
    help="LeNet-5: train it, measure it, read digits with it. Begin with: lenet train quick",
    version=f"lenet {lenet.__version__}",
    help_format="plaintext",
    version_flags=["--version"],
    result_action="return_value",
)

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for programs.")]
Quiet = Annotated[bool, Parameter(negative=(), help="No progress on standard error.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.")]
RunsDir = Annotated[Path, Parameter(help="The folder that runs are kept in.")]
CheckpointName = Annotated[
    str,
    Parameter(
        name=["--checkpoint", "--model"], help="A .safetensors file, a run folder, or shipped weights."
    ),
]


def end(message: str, code: int = 2) -> NoReturn:
    """One line on standard error, and out."""
    print(f"lenet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
