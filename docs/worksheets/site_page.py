"""The page that the worksheets link to, and a hook of properdocs that makes it a file of the site."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lenet.page.bundle import make_page

if TYPE_CHECKING:
    from properdocs.config.defaults import ProperDocsConfig
    from properdocs.structure.files import Files

CHECKPOINTS = ("reader", "d2l", "line")


def make_worksheet_page() -> str:
    """The page; its stored images are scikit-learn's digits, which may be published, never MNIST's."""
    before = dict(os.environ)
    with TemporaryDirectory() as folder:
        os.environ |= {"LENET_DATA": folder, "LENET_CACHE": folder}
        try:
            return make_page(CHECKPOINTS)
        finally:
            os.environ.clear()
            os.environ.update(before)


def on_files(files: Files, config: ProperDocsConfig) -> None:
    """Add `worksheets/page.html`."""
    from properdocs.structure.files import File

    files.append(File.generated(config, "worksheets/page.html", content=make_worksheet_page()))
