"""Max pooling and the ReLU after it on a GPU, as one operation. The position of each maximum is kept in one byte.

Torch keeps eight bytes of position for each maximum, and reads and writes the pooled maps once more for the ReLU, forward and
backward. In a step of a small network, this is the largest share of needless memory traffic."""

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.kernels import gpu
from alexnet.kernels.supported import supported
from alexnet.recipe.network import side_after_pool


def takes(maps: Tensor, window: int) -> bool:
    """Whether the kernel takes these maps [n, maps, height, width]."""
    return (
        maps.is_cuda
        and window <= min(*maps.shape[2:], gpu.LARGEST_WINDOW)
        and maps.is_contiguous(memory_format=torch.channels_last)
        and supported(maps)
        and maps.numel() // maps.shape[1] < 2**31  # a pixel's number has 32 bits
    )


def max_pool(maps: Tensor, window: int, stride: int, relu: bool) -> Tensor:
    """Return torch's max_pool2d in ceil mode, with `relu` its ReLU: [n, maps, height, width], in the type of `maps`."""
    return _MaxPool.apply(maps, window, stride, relu)


def by_torch(maps: Tensor, kind: str, window: int, stride: int, relu: bool = False) -> Tensor:
    """Return the "max" or "average" of windows by torch's own operations; with `relu`, the ReLU of that."""
    pooled = (F.max_pool2d if kind == "max" else F.avg_pool2d)(maps, window, stride, ceil_mode=True)
    return F.relu(pooled) if relu else pooled


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, window: int, stride: int, relu: bool) -> Tensor:
        n, count, *sides = maps.shape
        sizes = [side_after_pool(side, window, stride) for side in sides]
        out = torch.empty((n, count, *sizes), dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)
        positions = torch.empty_like(out, dtype=torch.uint8)
        gpu.max_pool(out, positions, maps, window, stride, relu)
        ctx.save_for_backward(maps, positions)
        ctx.settings = window, stride, relu
        return out

    @staticmethod
    def backward(ctx, *upstreams: Tensor):
        (upstream,) = upstreams
        maps, positions = ctx.saved_tensors
        window, stride, relu = ctx.settings
        if torch.is_grad_enabled():  # for second derivatives: the same in operations that torch can differentiate
            own = maps.view_as(maps)
            (gradient,) = torch.autograd.grad(by_torch(own, "max", window, stride, relu), own, upstream, create_graph=True)
            return gradient, None, None, None
        out = torch.empty_like(maps)
        gpu.max_unpool(out, positions, upstream.contiguous(memory_format=torch.channels_last), window, stride)
        return out, None, None, None
