"""`lenet data list`, `fetch` and `import`."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lenet.apps.tables import align
from lenet.cli.app import Json, app

data_app = App(name="data", help="The data sets: list, fetch, import.", help_format="plaintext")
app.command(data_app)


@data_app.command(name="list")
def data_list(*, json: Json = False) -> None:
    """List the data sets, their licences, and where their files were found.

    Example: lenet data list
    """
    from lenet.data.store import list_sources

    rows = [asdict(listing) for listing in list_sources()]
    if json:
        print(json_module.dumps(rows))
        return
    table = [[r["name"], r["train"], r["test"], len(r["classes"]), r["licence"], r["found"]] for r in rows]
    print(align([["data", "train", "test", "classes", "licence", "found"], *table], right=(1, 2, 3)))


@data_app.command
def fetch(name: Annotated[str, Parameter(help="A data set's name.")], /) -> None:
    """Fetch a data set from its mirrors into the cache, checked by its checksums.

    Example: lenet data fetch mnist
    """
    from lenet.data.store import fetch as fetch_data

    print(fetch_data(name))


@data_app.command(name="import")
def data_import(
    path: Annotated[Path, Parameter(help="A folder, archive or file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Which data set it is, where its files do not tell.")] = None,
) -> None:
    """Put the files of a known data set into the cache, recognised by their checksums.

    Example: lenet data import ~/Downloads/mnist.zip
    """
    from lenet.data.importing import import_data

    print(import_data(path, name))
