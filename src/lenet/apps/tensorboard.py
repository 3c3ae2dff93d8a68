"""Epochs as TensorBoard events: `tensorboard --logdir runs` then shows every run.

Raises RunError when it is imported where tensorboardX is not installed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lenet.errors import RunError
from lenet.training.curves import MEASURES, STYLES
from lenet.training.loop import Epoch

try:
    from tensorboardX import SummaryWriter
except ImportError:
    raise RunError("events need tensorboardX; install it with: pip install 'lenet[tensorboard]'") from None


def write_events(epochs: Iterable[Epoch], folder: Path, earlier: Sequence[Epoch] = ()) -> Iterator[Epoch]:
    """Pass the epochs on, and write each to an events file in `folder`, which holds nothing else.

    `earlier` are epochs of the same run that were finished before: they are written first, and what the
    folder held is removed, so that a resumed run has one curve, not two.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for epoch in earlier:
            _write(writer, epoch)
        for epoch in epochs:
            _write(writer, epoch)
            writer.flush()
            yield epoch


def _write(writer: SummaryWriter, epoch: Epoch) -> None:
    for measure in MEASURES:
        for split in STYLES:
            value = getattr(epoch, f"{split}_{measure}")
            if value is not None:
                writer.add_scalar(f"{measure}/{split}", value, epoch.epoch)
    writer.add_scalar("learning_rate", epoch.learning_rate, epoch.epoch)
