"""The `lenet` command: the flags that several verbs share, and how errors are reported.

Results go to standard output, progress to standard error. A user's mistake gives one line and exit code 2.
Heavy libraries are imported only by the verbs that need them, so that `lenet --help` stays fast.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

import lenet
from lenet.errors import LeNetError
from lenet.files import escape_unprintable
from lenet.processes import find_rank

# Each module registers its verbs with `app` when it is imported.
VERBS = (
    "train", "evaluate", "calibrate", "predict", "explain", "export", "study", "runs", "serve", "catalogue",
)  # fmt: skip
LINE = "line"  # the shipped line network, which reads pictures
SHIPPED = "reader"  # the shipped network for single digits
SETTING = re.compile(r"`([a-z0-9_]+)(?:=([^`]*))?`")  # in messages of the library: `lr` or `lr=0.1`

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


class PrintableOutput:
    """A text stream that writes characters on which a terminal would act as escapes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write printable text and line ends."""
        written: int = self._stream.write(escape_unprintable(text, "\n\t\u00a0\u202f\u3000"))
        return written

    def isatty(self) -> bool:
        """False, so that no library writes colours, which would be escaped."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def report(message: str) -> None:
    """Print one line on standard error; of the processes that torchrun started, the first one does it."""
    if find_rank():
        return
    with suppress(OSError):  # standard error may be a closed pipe
        print(f"lenet: {escape_unprintable(' '.join(message.split()))}", file=sys.stderr)


def end(message: str, code: int = 2) -> NoReturn:
    """Print one line on standard error and exit."""
    report(message)
    sys.exit(code)


def print_warning(message: Warning | str, *_: object) -> None:
    """Print a warning of Python in one line on standard error, without the place in the code."""
    if not find_rank():
        print(f"lenet: warning: {' '.join(str(message).split())}", file=sys.stderr)


def write_json(value: object) -> str:
    """A value as one line of valid JSON: numbers that are not finite become null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_stdin() -> bytes:
    """The picture on standard input; at most one byte more than a picture may have is read."""
    from lenet.images.decoding import MAX_BYTES

    return sys.stdin.buffer.read(MAX_BYTES + 1)


def check_output(out: Path, inputs: Iterable[str]) -> None:
    """Raise LeNetError if `out` is one of the input files, also under another name."""
    for name in inputs:
        with suppress(OSError, ValueError):
            if out.samefile(name):
                raise LeNetError(f"{out}: is also an input; name another file for the output")


def open_missing_streams() -> None:
    """Replace closed standard streams, which Python sets to None, by the null device.

    Otherwise what is printed on a closed standard error goes to standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def abandon_output() -> None:
    """Discard output that could not be written: Python would try again at exit and print an error."""
    with suppress(OSError):  # it may be no real file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain_misuse(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line, and whose help shows what is right."""
    said = str(error).partition(" Available commands")[0].rstrip("., ")  # it names only some of them
    if isinstance(error, UnusedCliTokensError):
        said = f"unexpected argument {' '.join(error.unused_tokens or ())!r}"
    from lenet.cli.flags import ELSEWHERE_CALLED  # needs the recipes, which `--help` does not

    option, _, _ = said.removeprefix("Unknown option: ").partition(". ")
    name = option.strip('"').partition("=")[0]
    if said.startswith("Unknown option") and name in ELSEWHERE_CALLED:
        said = f"unknown option {name}; did you mean {ELSEWHERE_CALLED[name]}?"
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
    open_missing_streams()
    register_verbs()
    warnings.showwarning = print_warning  # type: ignore[assignment]
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack letters of a name
    try:
        with redirect_stdout(PrintableOutput(sys.stdout)):
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
