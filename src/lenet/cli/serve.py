"""`lenet serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lenet.cli.app import app
from lenet.cli.flags import read_whole
from lenet.cli.stopping import stop_with


@app.command
def serve(
    checkpoint: Annotated[
        str | None,
        Parameter(
            help="A .safetensors file, a run folder or the name of shipped weights that names the digits. "
            "[default: the shipped line network]"
        ),
    ] = None,
    /,
    *,
    host: Annotated[
        str, Parameter(help="The address to listen on; 0.0.0.0 lets other machines call.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port; 0 takes a free one.", converter=read_whole)] = 8000,
    keep: Annotated[
        Path | None, Parameter(help="Keep corrected pictures in this folder, one folder a class.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        Parameter(
            negative=(), help="Let web pages of this origin call, such as https://example.org; repeatable."
        ),
    ] = None,
) -> None:
    """Serve the page and an API that reads pictures; the first line printed is the address.

    Clients need the key in the environment variable LENET_API_KEY, where one is set.

    Example: lenet serve
    Example: lenet serve runs/reader-mnist-0 --port 8080
    """
    with stop_with("stopped"):
        from lenet.serving.server import run_server

        run_server(checkpoint, host, port, keep, announce, origins=allow_origin or ())


def announce(address: str) -> None:
    """Print the address at once, also where standard output is a pipe."""
    print(address, flush=True)
