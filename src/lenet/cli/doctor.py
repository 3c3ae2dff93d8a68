"""`lenet doctor`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lenet.cli.app import Json, app


@app.command
def doctor(
    run: Annotated[Path, Parameter(help="A run folder, finished or not; it is only read.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Say what is wrong with a training and what to do: measured on its history and on its network at work.

    Ends with exit code 1 where there is a fault.

    Example: lenet doctor runs/quick-digits-0
    """
    from lenet.insight.diagnosis import diagnose
    from lenet.training.folder import RunFolder

    diagnosis = diagnose(RunFolder(run))
    if json:
        print(json_module.dumps(diagnosis.to_dict()))
    elif diagnosis.faults:
        for fault in diagnosis.faults:
            print(f"{run}: {fault.sentence}")
    else:
        epochs = diagnosis.symptoms.epochs
        print(f"{run}: {epochs} epochs, no fault found" if epochs else f"{run}: no epoch is finished yet")
    return int(bool(diagnosis.faults))
