"""Where chance comes from: streams that are pure functions of (seed, purpose, epoch, step)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from lenet.errors import RecipeError

LARGEST_SEED = (1 << 63) - 1


def check_seed(seed: object) -> None:
    """Raise RecipeError unless `seed` is a whole number from 0 to 2⁶³ - 1."""
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise RecipeError(f"seed is {seed!r}; it must be a whole number from 0 to {LARGEST_SEED}")


def random_stream(
    seed: int, purpose: str, epoch: int = 0, step: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator for each purpose, epoch and step: independent of all others, with nothing to store."""
    return torch.Generator(device).manual_seed(_mix(seed, purpose, epoch, step))


def sample_order(count: int, shuffle: bool, seed: int, epoch: int) -> Tensor:
    """The order of `count` images in `epoch`: int64 (count,), a permutation."""
    if not shuffle:
        return torch.arange(count)
    return torch.randperm(count, generator=random_stream(seed, "order", epoch))


@contextmanager
def seeded_dropout(
    is_random: bool, seed: int, epoch: int, step: int, device: torch.device, purpose: str = "dropout"
) -> Iterator[None]:
    """Dropout draws from torch's global state: set it to a state of this step, and restore it afterwards."""
    if not is_random:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(_mix(seed, purpose, epoch, step))
        yield


def _mix(seed: int, purpose: str, epoch: int, step: int) -> int:
    """63 well-mixed bits (numpy's SeedSequence) that differ wherever any of the four does."""
    entropy = [seed, int.from_bytes(purpose.encode()), epoch, step]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
