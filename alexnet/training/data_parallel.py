"""One run on several processes (torchrun): each computes its share of every batch, and all take the same step.

Compared with one process, only the order of sums differs: seed and step decide images, crops, dropout masks and rates for the
whole batch, wherever its rows are. Only rank 0 writes.

A network of two columns is trained like any other, whole on each rank: columns belong to the network, not to the machine. The
layout with one column on each of two ranks (benchmarks/rank_columns.py) is only measured; no run uses it.
"""

import atexit
import functools
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from alexnet.errors import Refused
from alexnet.machine import launched
from alexnet.recipe import Recipe


@dataclass(frozen=True)
class Ranks:
    """Which process this is, and how many there are. With one process, every method returns its argument unchanged."""

    rank: int = 0
    count: int = 1

    def share(self, n: int) -> slice:
        """Return this rank's rows of `n`. The shares of all ranks cover all rows, in order, and differ by at most one row."""
        return slice(n * self.rank // self.count, n * (self.rank + 1) // self.count)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum `values` over all ranks, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def average_gradients(self, parameters: Iterable[Tensor], weight: float) -> None:
        """Turn the gradients of each rank's mean loss into those of the batch's mean loss. `weight`: this rank's share of the
        rows."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.all_reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]).mul_(weight))
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))

    def any_rank(self, *flags: bool) -> tuple[bool, ...]:
        """Return, for each flag, whether it holds on at least one rank."""
        if self.count == 1:
            return flags
        values = torch.tensor(flags, dtype=torch.uint8)  # on the CPU, where gloo is used and not nccl
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(values.bool().tolist())

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's `value` on every rank."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
        return box[0]

    def check(self, recipe: Recipe) -> None:
        """Raises Refused for a recipe that several ranks cannot train as one process would."""
        if self.count > recipe.optim.batch_size:
            raise Refused(
                f"ranks: {self.count} ranks for batches of {recipe.optim.batch_size} images; at most one rank an image"
            )
        norms = [layer.norm for layer in recipe.model.layers]
        if self.count > 1 and "batch" in norms:
            raise Refused(
                f"model.layers: norm 'batch' needs the statistics of a whole batch, but each of {self.count} ranks sees a part "
                "of it; choose another norm or one process"
            )


ALONE = Ranks()
PATIENCE = timedelta(days=30)
"""How long ranks wait for rank 0, which may pack images or wait for a run that another command trains. If a rank dies, torchrun
ends the others."""


def asked() -> Ranks:
    """Return the ranks that torchrun set, before the processes have joined; ALONE without torchrun."""
    processes = launched()
    return Ranks(processes.rank, processes.count)


@functools.cache
def join() -> Ranks:
    """Join the processes that torchrun started, each with its own GPU if there are any. Return this rank; ALONE without
    torchrun."""
    ranks = asked()
    if ranks.count > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(launched().local_rank)
        begin("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return ranks


def begin(backend: str) -> None:
    """Join the processes that torchrun started, and make sure that their threads end before the interpreter does.

    A gloo thread that releases a tensor while the interpreter ends aborts the process ("terminate called without an active
    exception"). `destroy_process_group` joins those threads, unless something else holds the group. The functions of the module
    below hold it as a default argument if they are first imported after the group exists, as torch.optim does. So the module is
    imported before.
    """
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group(backend, timeout=PATIENCE)
    atexit.register(dist.destroy_process_group)
