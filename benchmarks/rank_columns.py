"""The two columns of a network on two ranks of torch.distributed, to be compared with the other layouts (layouts.py)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from benchmarks.two_devices import Column


class RankColumn(nn.Module):
    """This rank's column, on two ranks of torch.distributed.

    Rank 0 gets the logits [n, classes]. Rank 1 gets a meaningless zero: it calls backward() on it, while rank 0 calls
    backward() on the loss, to take part in the backward pass.
    """

    def __init__(self, network: AlexNet, device: str):
        super().__init__()
        if not dist.is_initialized() or dist.get_world_size() != 2:
            raise Refused("ranks: two are needed, a column each; torchrun starts them")
        self.column = Column(network, dist.get_rank()).to(device)
        self.bytes_exchanged = 0

    def begin_step(self, seed: int, step: int) -> None:
        self.column.begin_step(seed, step)

    def forward(self, images: Tensor) -> Tensor:
        x, stages = images, self.column.stages
        for stage, (meets, _) in enumerate(stages):
            if meets:
                x = (_MeetOnZero if stage == len(stages) - 1 else _Meet).apply(x, self)
            x = self.column.run(stage, x)
        return x


class _Meet(torch.autograd.Function):
    """Forward: both columns' outputs, on both ranks. Backward: each rank sums both ranks' gradients of its own outputs."""

    @staticmethod
    def forward(ctx, own: Tensor, account: RankColumn) -> Tensor:
        ctx.account, rank = account, dist.get_rank()
        other = _swap(own.contiguous(), account)
        return torch.cat([own, other] if rank == 0 else [other, own], 1)

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        (gradient,) = gradients
        rank, parts = dist.get_rank(), gradient.chunk(2, 1)
        return parts[rank] + _swap(parts[1 - rank].contiguous(), ctx.account), None


class _MeetOnZero(torch.autograd.Function):
    """The last meeting: rank 1 sends its outputs and receives their gradient."""

    @staticmethod
    def forward(ctx, own: Tensor, account: RankColumn) -> Tensor:
        ctx.account, own = account, own.contiguous()
        account.bytes_exchanged += own.numel() * own.element_size() * dist.get_rank()
        if dist.get_rank() == 1:
            dist.send(own, 0)
            ctx.like = own
            return own.new_zeros(())
        other = torch.empty_like(own)
        dist.recv(other, 1)
        return torch.cat([own, other], 1)

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        (gradient,) = gradients
        if dist.get_rank() == 1:
            received = torch.empty_like(ctx.like)
            dist.recv(received, 0)
            return received, None
        own, other = (part.contiguous() for part in gradient.chunk(2, 1))
        ctx.account.bytes_exchanged += other.numel() * other.element_size()
        dist.send(other, 1)
        return own, None


def _swap(sent: Tensor, account: RankColumn) -> Tensor:
    received, peer = torch.empty_like(sent), 1 - dist.get_rank()
    account.bytes_exchanged += sent.numel() * sent.element_size()
    for work in dist.batch_isend_irecv([dist.P2POp(dist.isend, sent, peer), dist.P2POp(dist.irecv, received, peer)]):
        work.wait()
    return received
