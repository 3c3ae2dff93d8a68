"""Curves in a notebook: one picture, replaced as epochs end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator

from lenet.apps.progress import write_epoch
from lenet.training.curves import plot_curves, render_figure
from lenet.training.loop import Epoch, Step

SECONDS_BETWEEN_PICTURES = 1.0  # a picture takes a third of one


def show_in_notebook(records: Iterable[Step | Epoch]) -> Iterator[Epoch]:
    """Pass the epochs on, and keep one picture of their curves in the notebook's output.

    The last picture shows every epoch, also when the loop is left with `break`.
    """
    from IPython.display import Image, display  # there in every notebook

    history: list[Epoch] = []
    handle, drawn, drawn_at = None, 0, -math.inf

    def show() -> None:
        nonlocal handle, drawn, drawn_at
        content = render_figure(plot_curves(history, write_epoch(history[-1])))
        picture = Image(content, width=900)
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)
        drawn, drawn_at = len(history), time.monotonic()

    try:
        for record in records:
            if isinstance(record, Epoch):
                history.append(record)
                if time.monotonic() - drawn_at > SECONDS_BETWEEN_PICTURES:
                    show()
                yield record
    finally:
        if drawn < len(history):
            show()
