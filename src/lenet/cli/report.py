"""`lenet report`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lenet.cli.app import Json, app


@app.command
def report(
    run: Annotated[Path, Parameter(help="A run folder with a finished epoch.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Where the page goes. [default: report.html in the run's folder]")
    ] = None,
    json: Json = False,
) -> None:
    """Write all about a run into one HTML file that needs no network: to read, to send, to print.

    Example: lenet report runs/quick-digits-0
    """
    from lenet.insight.report import write_report
    from lenet.training.folder import RunFolder

    path = write_report(RunFolder(run), out)
    size = path.stat().st_size
    print(json_module.dumps({"report": str(path), "bytes": size}) if json else f"{path}: {size:,} bytes")
