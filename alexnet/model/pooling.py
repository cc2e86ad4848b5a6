"""Pools of cuda-convnet: a window that hangs over the edge is cut off there, and an average divides by what is left.

They are torch's max_pool2d and avg_pool2d in ceil mode, in the same bits. On a CPU channels_last maps go through a C kernel
(kernels/cpu.py) where there is a compiler: torch's own fill memory with zeros, keep 8 bytes of position for each maximum, and
are several times slower in bf16."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels import cpu
from alexnet.kernels.supported import supported


class Pool(nn.Module):
    """The "max" or "average" of square windows. Takes and gives [n, maps, height, width]."""

    def __init__(self, kind: str, window: int, stride: int):
        super().__init__()
        self.kind, self.window, self.stride = kind, window, stride

    def forward(self, maps: Tensor) -> Tensor:
        if _has_kernel(maps, self.window):
            return _Pool.apply(maps, self.kind, self.window, self.stride)
        return by_torch(maps, self.kind, self.window, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, window={self.window}, stride={self.stride}"


def by_torch(maps: Tensor, kind: str, window: int, stride: int) -> Tensor:
    """The same by torch's own operations."""
    return (F.max_pool2d if kind == "max" else F.avg_pool2d)(maps, window, stride, ceil_mode=True)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, kind: str, window: int, stride: int) -> Tensor:
        n, count, *sides = maps.shape
        sizes = [-(-(side - window) // stride) + 1 for side in sides]
        sizes = [size - ((size - 1) * stride >= side) for size, side in zip(sizes, sides, strict=True)]  # none begins outside
        out = torch.empty((n, count, *sizes), dtype=maps.dtype, memory_format=torch.channels_last)
        positions = torch.empty_like(out, dtype=torch.uint8) if kind == "max" else None
        cpu.pool(out, positions, maps, window, stride)
        ctx.save_for_backward(maps, positions)
        ctx.settings = kind, window, stride
        return out

    @staticmethod
    def backward(ctx, *upstreams: Tensor):
        (upstream,) = upstreams
        maps, positions = ctx.saved_tensors
        kind, window, stride = ctx.settings
        if torch.is_grad_enabled():  # someone differentiates twice: the same by operations that torch can differentiate
            own = maps.view_as(maps)
            (gradient,) = torch.autograd.grad(by_torch(own, kind, window, stride), own, upstream, create_graph=True)
            return gradient, None, None, None
        out = torch.empty_like(maps)
        cpu.unpool(out, positions, upstream.contiguous(memory_format=torch.channels_last), window, stride)
        return out, None, None, None


def _has_kernel(maps: Tensor, window: int) -> bool:
    return (
        maps.device.type == "cpu"
        and maps.is_contiguous(memory_format=torch.channels_last)
        and maps.shape[1] >= 16  # the kernel's step
        and window <= min(*maps.shape[2:], 15)  # positions in a byte
        and supported(maps)
    )
