"""The `lenet` command: the flags that several verbs share, and how errors are reported.

Results go to standard output, progress to standard error. A user's mistake gives one line and exit code 2.
Heavy libraries are imported only by the verbs that need them, so that `lenet --help` stays fast.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

import lenet
from lenet.errors import LeNetError

# Each module registers its verbs with `app` when it is imported.
VERBS = ("train", "evaluate", "calibrate", "predict", "explain", "study", "runs", "catalogue")
SHIPPED = "reader"  # the default checkpoint for pictures
SETTING = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")  # in messages of the library: `lr` or `lr=0.1`

app = App(
    name="lenet",
    help="Train LeNet-5, evaluate it and read handwritten digits with it. To start: lenet train quick",
    version=f"lenet {lenet.__version__}",
    help_format="plaintext",
    version_flags=["--version"],
    result_action="return_value",
)
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Quiet = Annotated[bool, Parameter(negative=(), help="Print no progress on standard error.")]
Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda, cuda:N or mps.")]
RunsDir = Annotated[Path, Parameter(help="The folder that holds the runs.")]
CheckpointName = Annotated[
    str,
    Parameter(
        name=["--checkpoint", "--model"],
        help="A .safetensors file, a run folder or the name of shipped weights.",
    ),
]


def end(message: str, code: int = 2) -> NoReturn:
    """Print one line on standard error and exit."""
    print(f"lenet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def abandon_output() -> None:
    """Discard output that could not be written: Python would try again at exit and print an error."""
    with suppress(OSError):  # it may be no real file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain_misuse(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line, and whose help shows what is right."""
    said = str(error).partition(" Available commands")[0].rstrip("., ")  # it names only some of them
    if isinstance(error, UnusedCliTokensError):
        said = f"unexpected argument {' '.join(error.unused_tokens or ())!r}"
    verb = " ".join(("lenet", *(error.command_chain or ())))
    return f"{said}; `{verb} --help` shows what there is"


def name_flags(message: str, words: Sequence[str]) -> str:
    """A message of the library, with settings written as flags of the command that `words` call.

    The library names the setting: `lr`, or `lr=0.1` with a value, or "lr is 0; …" at the start. What the
    command has no flag for stays as it is.
    """
    _, apps, _ = app.parse_commands(words)
    names = [name for argument in apps[-1].assemble_argument_collection() for name in argument.names]
    flags = {name[2:].replace("-", "_"): name for name in names if name.startswith("--")}

    def write(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in flags:
            return match[0]
        if value in ("True", "False"):
            return flags[name] if value == "True" else f"--no-{flags[name][2:]}"
        return flags[name] if value is None else f"{flags[name]} {value}"

    first, _, rest = message.partition(" ")
    starts = first in flags and rest.startswith(("is ", "are ", "must ", "needs ", "makes "))
    return SETTING.sub(write, f"{flags[first]} {rest}" if starts else message)


def register_verbs() -> App:
    """`app` with every verb."""
    for verbs in VERBS:
        import_module(f"lenet.cli.{verbs}")
    return app


def main() -> None:
    """The `lenet` command: run a verb, report errors, exit."""
    register_verbs()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold undecodable bytes
    try:
        code = app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        end(explain_misuse(error))
    except LeNetError as error:
        end(name_flags(str(error), sys.argv[1:]))
    except BrokenPipeError:
        abandon_output()  # the reader has closed the pipe
        sys.exit(141)
    except KeyboardInterrupt:
        end("stopped", code=130)
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # a bug; but torch raises RuntimeError when memory is full
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        place = getattr(error, "filename", None)
        if not place:
            abandon_output()
        end(f"{place}: {reason}" if place else reason)
    sys.exit(code or 0)
