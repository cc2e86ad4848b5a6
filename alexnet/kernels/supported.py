"""Two questions before a kernel is used: is somebody following the single operations, and are these tensors for it?

Where not, torch operations do the same, more slowly."""

import torch
from torch import Tensor, nn

from alexnet.kernels import cpu, gpu


def is_followed(values: Tensor) -> bool:
    """Whether somebody follows what is done to `values` operation by operation, so that only torch's own will do:
    torch.compile, torch.export, torch.jit.trace, torch.func, a mode such as FakeTensorMode, a subclass of Tensor.

    A kernel writes into memory, of which they would see nothing.
    """
    return (
        torch.compiler.is_compiling()
        or type(values) not in (Tensor, nn.Parameter)
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._are_functorch_transforms_active()
        or torch.jit.is_tracing()
    )


def is_recorded(values: Tensor) -> bool:
    """Whether what is done to `values` becomes a graph that is used without the network: torch.export, torch.jit.trace,
    torch.fx."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing() or not isinstance(values, Tensor)


def supported(*tensors: Tensor) -> bool:
    """Whether the kernels of their device (cpu.py or gpu.py) take these tensors.

    They take float32 and bfloat16, all of one type, on one device, and laid out alike without gaps.
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
