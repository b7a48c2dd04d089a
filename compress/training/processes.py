"""Several processes that train one network together, as torch's own launcher starts them.

Every batch is the one that a single process would see; each process computes its share of it. The outputs
are gathered, every process takes the loss of the whole batch, its gradients are those of its own share, and
their sum is the gradient that a single process would have: also for losses that are no mean over images.
What is left of a difference: batch normalisation that learns takes its statistics from a process's own share
(as is usual where they are not synchronised), and the running statistics are the mean over the processes.
Networks without batch normalisation, or whose normalisation is frozen, train as in one process but for the
order in which numbers are summed. Only the first process writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from runtime.errors import StepError

T = TypeVar("T")
_PATIENCE = timedelta(hours=3)
"""How long a process waits for the others: one may be preprocessing a whole dataset."""


@dataclass(frozen=True)
class Processes:
    """rank: number of this process, from 0. count: of all."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is this one that writes and speaks."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """This process's rows of `total`. Raises StepError where not every process would have as many."""
        if total % self.count:
            raise StepError(
                f"a batch of {total} images cannot be shared equally by {self.count} processes",
                f"make batch_size, and the fit set, at least {self.count} and batch_size a multiple of it",
            )
        size = total // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def whole(self, share: Tensor) -> Tensor:
        """The shares of all, in order; gradients flow into this process's own."""
        if self.count == 1:
            return share
        parts = [torch.empty_like(share, memory_format=torch.contiguous_format) for _ in range(self.count)]
        distributed.all_gather(parts, share.detach().contiguous())
        parts[self.rank] = share
        return torch.cat(parts)

    def add_gradients(self, network: nn.Module) -> None:
        """Replace the gradients by their sums over all processes."""
        if self.count > 1:
            self._reduce([p.grad for p in network.parameters() if p.grad is not None])

    def mean_statistics(self, network: nn.Module) -> None:
        """Replace floating-point buffers, the running statistics, by their means over all processes."""
        if self.count > 1:
            buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
            self._reduce(buffers)
            for buffer in buffers:
                buffer.div_(self.count)

    def agree(self, value: T) -> T:
        """What the first process says."""
        if self.count == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def concatenate(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows of all processes, in order; they may be differently many."""
        if self.count == 1:
            return rows
        parts: list[NDArray[np.float32]] = [rows] * self.count
        distributed.all_gather_object(parts, rows)
        return np.concatenate(parts)

    @contextmanager
    def one_after_the_first(self) -> Iterator[None]:
        """The first process goes through the block before the others enter it, and finds its files made."""
        if self.count > 1 and not self.is_first:
            distributed.barrier()
        yield
        if self.count > 1 and self.is_first:
            distributed.barrier()

    @staticmethod
    def _reduce(tensors: list[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, summed in zip(tensors, parts, strict=True):
            tensor.copy_(summed.view(tensor.shape))


ALONE = Processes()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the group that torchrun announces in the environment; ALONE where nobody launched a group.

    Messages go through NCCL between CUDA devices and through Gloo elsewhere.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    has_cuda = torch.cuda.is_available()
    if has_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if has_cuda else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
