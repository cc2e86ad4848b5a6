"""Pooling as in cuda-convnet: a window that crosses the edge is cut off there, and an average divides by the pixels left.

This equals torch's max_pool2d and avg_pool2d in ceil mode, bit for bit. On a GPU, a Triton kernel computes maxima and the ReLU
after them (pooling_on_gpu.py). On a CPU with a compiler, a C kernel (kernels/cpu.py) pools channels_last maps: torch's own
pools fill memory with zeros, keep 8 bytes of position for each maximum, and are several times slower in bf16. Tools that trace
single operations, such as torch.compile, torch.export and torch.func, see torch's own pools."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels import cpu
from alexnet.kernels.supported import is_followed, supported
from alexnet.model import pooling_on_gpu
from alexnet.model.pooling_on_gpu import by_torch
from alexnet.recipe.network import side_after_pool


class Pool(nn.Module):
    """The "max" or "average" of square windows; with `relu`, the ReLU of that. Takes and returns [n, maps, height, width]."""

    def __init__(self, kind: str, window: int, stride: int, relu: bool = False):
        super().__init__()
        self.kind, self.window, self.stride, self.relu = kind, window, stride, relu

    def forward(self, maps: Tensor) -> Tensor:
        return pool(maps, self.kind, self.window, self.stride, self.relu)

    def extra_repr(self) -> str:
        return f"{self.kind}, window={self.window}, stride={self.stride}{', relu' if self.relu else ''}"


@torch.fx.wrap  # one node in a graph of torch.fx, as torchvision does for features
def pool(maps: Tensor, kind: str, window: int, stride: int, relu: bool = False) -> Tensor:
    """Return the "max" or "average" of square windows of [n, maps, height, width]; with `relu`, the ReLU of that."""
    if is_followed(maps):
        return by_torch(maps, kind, window, stride, relu)
    if kind == "max" and pooling_on_gpu.takes(maps, window):
        return pooling_on_gpu.max_pool(maps, window, stride, relu)
    if not _has_kernel(maps, window):
        return by_torch(maps, kind, window, stride, relu)
    pooled = _Pool.apply(maps, kind, window, stride)
    return F.relu(pooled) if relu else pooled


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor, kind: str, window: int, stride: int) -> Tensor:
        n, count, *sides = maps.shape
        sizes = [side_after_pool(side, window, stride) for side in sides]
        out = torch.empty((n, count, *sizes), dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)
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
        if torch.is_grad_enabled():  # for second derivatives: the same in operations that torch can differentiate
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
        and window <= min(*maps.shape[2:], 15)  # a position fits in a byte
        and supported(maps)
    )
