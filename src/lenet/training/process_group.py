"""The processes that train one run together, as torchrun starts them, and what they tell each other.

Every process computes the same decisions from the same figures; the first one alone writes the run folder.
An error of a user in one process is raised in all of them. The death of a process is an error in the others:
no one waits for ever, and the run resumes from its last finished epoch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from lenet.errors import DeviceError, LeNetError, RunError
from lenet.processes import find_rank


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one training: how many, and which one this is."""

    size: int = 1
    rank: int = 0
    is_launched: bool = False
    """True under torchrun, also for a single process."""

    @property
    def leads(self) -> bool:
        """True in the one process that writes files and prints."""
        return self.rank == 0

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, of one shape, in their order: (size, …).

        Raises RunError when another process has ended.
        """
        if self.size == 1:
            return tensor[None]
        everything = tensor.new_empty(self.size, *tensor.shape)
        try:
            dist.all_gather(list(everything), tensor.contiguous())
        except RuntimeError:  # the connection is closed
            raise RunError("another process of this training has ended; resume the run") from None
        return everything

    def tell(self, text: str) -> list[str]:
        """The texts of all processes, in their order."""
        content = torch.tensor(list(text.encode()), dtype=torch.uint8)
        lengths = self.gather(torch.tensor([len(content)])).flatten().tolist()
        rows = self.gather(functional.pad(content, (0, max(lengths) - len(content)))).tolist()
        return [bytes(row[:length]).decode() for row, length in zip(rows, lengths, strict=True)]

    def assemble(self, own: Mapping[int, Tensor], lengths: Sequence[int], width: int) -> Tensor:
        """Blocks of float32 rows, each computed by one process, one below the other: (Σ lengths, width).

        Args:
            own: this process's blocks by number.
            lengths: the rows of every block.
            width: of the rows.
        """
        everything = torch.zeros(sum(lengths), width)
        for number, block in enumerate(everything.split(list(lengths))):
            if number in own:
                block.copy_(own[number])
        # As whole numbers, because bits are to be kept: each row is zeros in all processes but one.
        return self.gather(everything.view(torch.int32)).sum(dim=0, dtype=torch.int32).view(torch.float32)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block in every process, and wait for all; an error in one is raised in all of them."""
        error = None
        try:
            yield
        except LeNetError as raised:
            error = raised
        failures = [text for text in self.tell("" if error is None else str(error)) if text]
        if error is not None:
            raise error
        if failures:
            raise RunError(failures[0])

    def check_device(self, device: str) -> None:
        """Raise DeviceError where the processes of this machine cannot each have a device of the name."""
        count, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if self.size == 1 or device == "cpu":
            return
        if device != "cuda":
            raise DeviceError(f"`device` is {device}, one for {self.size} processes; give cuda or cpu")
        if here > count:
            raise DeviceError(f"{here} processes, and this machine has {count} GPUs; start as many, or fewer")


ALONE = ProcessGroup()


@contextmanager
def join_group() -> Iterator[ProcessGroup]:
    """The process group of this process within a block: those that torchrun started, or this one alone.

    With GPUs, "cuda" is the process's own one. Processes on CPUs talk through gloo, those on GPUs through
    nccl.
    """
    if find_rank() is None:
        yield ALONE
        return
    has_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if has_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.backends.cudnn.deterministic = True  # the same bits whoever computes a slice
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpus else "gloo")
    try:
        yield ProcessGroup(dist.get_world_size(), dist.get_rank(), is_launched=True)
    finally:
        dist.destroy_process_group()  # its threads would abort the process at its end
