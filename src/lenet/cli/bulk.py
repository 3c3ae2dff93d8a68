"""`lenet predict FOLDER --out results.csv`: any number of pictures into a file that can be gone on with."""

from __future__ import annotations

import json as json_module
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lenet.cli.app import end
from lenet.errors import PictureError, ResultsError


def read_into(
    out: Path,
    given: Sequence[str],
    checkpoint: str,
    workers: int | None,
    max_error: float | None,
    *,
    quiet: bool,
    json: bool,
    **options: Any,
) -> int:
    """Read the pictures that are not in `out` yet, append their rows, print what the file holds.

    Returns 0 when all of its pictures were read, 1 when some were not, 2 when none was.
    """
    from lenet.apps.progress import show_reading
    from lenet.inference.bulk import read_in_bulk
    from lenet.inference.folder import find_pictures
    from lenet.inference.results import Results

    if "-" in given:
        raise PictureError("- has no name that a results file could keep; give a file or a folder")
    if workers is not None and workers < 1:
        raise PictureError(f"workers is {workers}; it must be a number from 1 on")
    for name in given:
        if not Path(name).exists():
            raise PictureError(f"{name}: there is no such file or folder; check the path")
    if next(find_pictures(given), None) is None:
        raise PictureError(f"no pictures in {', '.join(given)}; check the path")
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # to be stopped is the same from wherever it comes
    with Results(out) as results:
        kept = results.count
        total = sum(name not in results for name, _ in find_pictures(given))
        new = ((name, path) for name, path in find_pictures(given) if results.claim(name))
        rows = read_in_bulk(new, checkpoint, workers=workers, max_error=max_error, **options)
        try:
            with closing(show_reading(rows, total, quiet=quiet)) as shown:
                for row in shown:
                    results.append(row)
        except KeyboardInterrupt:
            end(
                f"stopped; {out} holds {results.count:,} pictures; the same command goes on with it", code=130
            )
        except ResultsError as error:
            raise ResultsError(f"{error}; the same command goes on with {out}") from error
    summary = {"out": str(out), "pictures": results.count, "new": results.count - kept}
    summary |= {"failed": results.failed, "rejected": results.rejected}
    if json:
        print(json_module.dumps(summary))
    else:
        print(
            f"{out}: {results.count:,} pictures, {results.count - kept:,} of them new; "
            f"{results.failed:,} could not be read, {results.rejected:,} rejected"
        )
    return 2 if results.failed == results.count else min(results.failed, 1)
