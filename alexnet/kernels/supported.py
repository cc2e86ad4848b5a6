"""Checks before a kernel is used: does a tool trace the single operations, and can the kernel take these tensors?

If a kernel cannot be used, torch operations do the same, more slowly."""

import torch
from torch import Tensor, nn

from alexnet.kernels import cpu, gpu


def is_followed(values: Tensor) -> bool:
    """Whether a tool traces the single operations on `values`, so that only torch's own can be used: torch.compile,
    torch.export, torch.jit.trace, torch.func, a mode such as FakeTensorMode, a subclass of Tensor.

    A kernel writes directly into memory, which such a tool cannot see.
    """
    return (
        torch.compiler.is_compiling()
        or type(values) not in (Tensor, nn.Parameter)
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._are_functorch_transforms_active()
        or torch.jit.is_tracing()
    )


def is_recorded(values: Tensor) -> bool:
    """Whether the operations on `values` become a graph that is used without the network: torch.export, torch.jit.trace,
    torch.fx."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing() or not isinstance(values, Tensor)


def supported(*tensors: Tensor) -> bool:
    """Whether the kernels of their device (cpu.py or gpu.py) take these tensors.

    They take float32 or bfloat16 tensors of one type, on one device, with the same layout and no gaps.
    """
    first = tensors[0]
    if first.dtype not in (torch.float32, torch.bfloat16):
        return False
    if not (first.is_contiguous() or first.is_contiguous(memory_format=torch.channels_last)):
        return False
    if any((t.device, t.dtype, t.stride()) != (first.device, first.dtype, first.stride()) for t in tensors):
        return False
    if first.is_cuda:
        return gpu.has_triton()
    return first.device.type == "cpu" and cpu.kernels() is not None
