"""Pools of cuda-convnet: a window that hangs over the edge is cut off there, and an average divides by what is left.

As torch's max_pool2d and avg_pool2d in ceil mode, in the same bits; on a CPU, for channels_last maps, by a C kernel (kernels/cpu.c)
where there is a compiler: torch's own zero-fill, keep 8 bytes of position a maximum, and are several times slower in bf16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels.cpu import kernels

VALUES_PER_THREAD = 50_000  # fewer are not worth another thread


class Pool(nn.Module):
    """The "max" or "average" of square windows. Takes and gives [n, maps, height, width]."""

    def __init__(self, kind: str, window: int, stride: int):
        super().__init__()
        self.kind, self.window, self.stride = kind, window, stride

    def forward(self, maps: Tensor) -> Tensor:
        if _compiled(maps, self.window):
            return _Pool.apply(maps, self.kind, self.window, self.stride)
        return by_torch(maps, self.kind, self.window, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, window={self.window}, stride={self.stride}"


def by_torch(maps: Tensor, kind: str, window: int, stride: int) -> Tensor:
    return (F.max_pool2d if kind == "max" else F.avg_pool2d)(maps, window, stride, ceil_mode=True)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, kind: str, window: int, stride: int) -> Tensor:
        n, count, *sides = maps.shape
        sizes = [-(-(side - window) // stride) + 1 for side in sides]
        sizes = [size - ((size - 1) * stride >= side) for size, side in zip(sizes, sides, strict=True)]  # none begins outside
        out = torch.empty((n, count, *sizes), dtype=maps.dtype, memory_format=torch.channels_last)
        positions = torch.empty_like(out, dtype=torch.uint8) if kind == "max" else None
        pointers = out.data_ptr(), positions.data_ptr() if kind == "max" else None, maps.data_ptr()
        kernels().pool(*pointers, *_sizes(maps, out), window, stride, maps.dtype == torch.bfloat16, _threads(maps))
        ctx.save_for_backward(maps, positions)
        ctx.settings = kind, window, stride
        return out

    @staticmethod
    def backward(ctx, upstream: Tensor):
        maps, positions = ctx.saved_tensors
        kind, window, stride = ctx.settings
        if torch.is_grad_enabled():  # someone differentiates twice: the same by operations that torch can differentiate
            own = maps.view_as(maps)
            (gradient,) = torch.autograd.grad(by_torch(own, *ctx.settings), own, upstream, create_graph=True)
            return gradient, None, None, None
        out, upstream = torch.empty_like(maps), upstream.contiguous(memory_format=torch.channels_last)
        threads = _threads(maps)
        shares = torch.empty(0 if kind == "max" else threads * upstream[0].numel())
        pointers = out.data_ptr(), positions.data_ptr() if kind == "max" else None, upstream.data_ptr(), shares.data_ptr()
        kernels().unpool(*pointers, *_sizes(maps, upstream), window, stride, maps.dtype == torch.bfloat16, threads)
        return out, None, None, None


def _compiled(maps: Tensor, window: int) -> bool:
    return (
        maps.device.type == "cpu"
        and maps.dtype in (torch.float32, torch.bfloat16)
        and maps.is_contiguous(memory_format=torch.channels_last)
        and maps.shape[1] >= 16  # the kernel's step
        and window <= min(*maps.shape[2:], 15)  # positions in a byte
        and kernels() is not None
    )


def _sizes(large: Tensor, small: Tensor) -> tuple[int, ...]:
    n, maps, height, width = large.shape
    return n, height, width, maps, *small.shape[2:]


def _threads(large: Tensor) -> int:
    return max(1, min(len(large), torch.get_num_threads(), large.numel() // VALUES_PER_THREAD))
