"""The `lenet` command: the flags that several verbs share, and what becomes of a mistake.

Results go to standard output, progress to standard error. A user's mistake ends with one line and exit code
2. Nothing heavy is imported before a verb needs it: `lenet --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

import lenet
from lenet.errors import LeNetError

# Each registers its verbs with `app` as it is imported.
VERBS = ("train", "evaluate", "predict", "explain", "study", "runs", "catalogue")
SHIPPED = "reader"  # the weights that pictures are read with unless told otherwise

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


def abandon_output() -> None:
    """Let go of what could not be written: Python would try once more at its end, and complain."""
    with suppress(OSError):  # it may be no real file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain_misuse(error: CycloptsError) -> str:
    """What was wrong with the words that were typed, in one line, and whose help says what is right."""
    said = str(error).partition(" Available commands")[0].rstrip("., ")  # it names only some of them
    if isinstance(error, UnusedCliTokensError):
        said = f"nothing is known to do with {' '.join(error.unused_tokens or ())!r}"
    verb = " ".join(("lenet", *(error.command_chain or ())))
    return f"{said}; `{verb} --help` shows what there is"


def register_verbs() -> App:
    """The whole command: `app` with every verb."""
    for verbs in VERBS:
        import_module(f"lenet.cli.{verbs}")
    return app


def main() -> None:
    """The `lenet` command: every verb, and what becomes of a mistake."""
    register_verbs()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what is no character
    try:
        code = app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        end(explain_misuse(error))
    except LeNetError as error:
        end(str(error))
    except BrokenPipeError:
        abandon_output()  # its reader has gone; nothing is left to say
        sys.exit(141)
    except KeyboardInterrupt:
        end("stopped", code=130)
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # a fault of ours; torch says RuntimeError when the memory is full
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        place = getattr(error, "filename", None)
        if not place:
            abandon_output()
        end(f"{place}: {reason}" if place else reason)
    sys.exit(code or 0)
