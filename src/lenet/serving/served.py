"""What is served: a checkpoint with its name and version, ready to compute. It never changes.

Everything that answers takes the current one from `Service.served` and keeps it for its request, so that a
reload is one assignment, and no request is answered by two checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lenet.batch.pool import ReaderSettings
from lenet.errors import CheckpointError
from lenet.models.inference import DigitNetwork, open_lenet
from lenet.models.line_config import DIGITS
from lenet.models.stored import FORMAT, StoredCheckpoint, find_checkpoint, read_stored
from lenet.page.bundle import make_page
from lenet.reading.reader import LINE, SINGLE, Reader

VERSION_DIGITS = 12
USUAL_SIDE = 28  # pixels; networks of 32 pixels a side frame images of this size by themselves


@dataclass(frozen=True, eq=False)
class Served:
    """A checkpoint that is served. Threads may share it."""

    name: str
    version: str
    """The first 12 hexadecimal digits of the SHA-256 of the checkpoint's file."""
    checkpoint: StoredCheckpoint
    """The network that names images, and its card."""
    network: DigitNetwork
    """The same, ready to compute."""
    reader: ReaderSettings
    """With what the workers read pictures: the checkpoint itself, or the shipped line network."""
    page: str
    """The page that shows the checkpoint, as HTML."""

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images that the network names."""
        side = self.network.config.input_size
        side = USUAL_SIDE if side == 32 else side
        return side, side


def open_served(checkpoint: str | Path | None = None) -> Served:
    """Load a checkpoint that is to be served: a file, a run folder or the name of shipped weights.

    None is the default: the shipped line network reads pictures, and `reader` names images. This takes about
    a second. Raises CheckpointError.
    """
    shown = SINGLE if checkpoint is None else str(checkpoint)
    path = find_checkpoint(shown)
    version = _find_version(path)
    stored = read_stored(path, FORMAT)
    reader = read_stored(LINE) if checkpoint is None else stored
    Reader(reader)  # what no pictures can be read with ends here, with its reason
    beside = (SINGLE, "d2l", LINE) if stored.classes == DIGITS else ()
    page = make_page(list(dict.fromkeys([shown, *beside])), api=True)
    if _find_version(path) != version:
        raise CheckpointError(f"{path}: it changed while it was read; try again")
    return Served(
        Path(shown).absolute().name, version, stored, open_lenet(stored), (reader, None, False), page
    )


def _find_version(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()[:VERSION_DIGITS]
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
