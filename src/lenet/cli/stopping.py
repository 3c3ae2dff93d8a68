"""What stops a command that trains: Ctrl-C, or SIGTERM as a scheduler sends it. Both end it with one line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from lenet.cli.app import end


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


@contextmanager
def stop_with(message: str) -> Iterator[None]:
    """Run a block that Ctrl-C and SIGTERM end with `message`, and exit code 130 or 143."""
    is_main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, _raise) if is_main else None
    try:
        yield
    except KeyboardInterrupt as stop:
        end(message, code=143 if isinstance(stop, Terminated) else 130)
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _raise(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
