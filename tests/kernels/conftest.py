"""What the tests of the kernel share: several threads."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch


@pytest.fixture
def kernel_threads() -> Callable[[int], AbstractContextManager[None]]:
    """A block in which the kernel computes with so many threads. All other tests run with one."""

    @contextmanager
    def use(count: int) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    return use
