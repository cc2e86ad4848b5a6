"""The one question before a kernel is used: are these tensors for it? Where not, torch operations do the same, more slowly."""

import torch
from torch import Tensor

from alexnet.kernels import cpu, gpu


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
