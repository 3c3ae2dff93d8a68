"""The page in a notebook: every layer of a network, below the cell that asks for it."""

import html
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lenet.models.checkpoint import Checkpoint, save_network
from lenet.models.network import LeNet
from lenet.page.bundle import make_page


@dataclass(frozen=True)
class NotebookPage:
    """A page that a notebook shows as the value of a cell."""

    page: str
    """The HTML text."""
    height: int
    """Of the frame, in CSS pixels."""

    def _repr_html_(self) -> str:
        """The page in a frame that can reach neither the notebook nor a network."""
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts allow-downloads allow-modals" '
            f'title="LeNet" style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )


def show(*networks: LeNet | Checkpoint | str | Path, height: int = 900) -> NotebookPage:
    """Draw digits in a notebook and see every layer of a network.

    Args:
        networks: 1 to 4 models, loaded checkpoints, files, run folders or names of shipped weights.
        height: of the frame, in CSS pixels.

    Returns the page as a value that notebooks display; `page` is its HTML text. Raises CheckpointError where
    a checkpoint cannot be read.
    """
    with TemporaryDirectory() as folder:
        paths: list[str | Path] = []
        for number, network in enumerate(networks, 1):
            if isinstance(network, LeNet | Checkpoint):
                path = Path(folder) / (
                    f"network {number}.safetensors" if len(networks) > 1 else "network.safetensors"
                )
                save_network(network, path)
                paths.append(path)
            else:
                paths.append(network)
        return NotebookPage(make_page(paths), height)
