"""Triton kernels for a GPU, each in one pass over memory: response normalization, dropout, the update rule.

Each does what a slower form in torch operations does elsewhere (response_norm.py, rng.py, optimizer.py), which is used where
there is no Triton. Values are float32 or bfloat16; all arithmetic is in float32. Nothing is summed by several threads, so the
same input always gives the same bits. Where TRITON_INTERPRET=1 is set, Triton runs them on a CPU, for tests."""

import functools
import os
import sys
from typing import Any

import torch
from torch import Tensor

triton_kernels: Any
try:
    from alexnet.kernels import triton_kernels
except ImportError:  # a CPU build of torch, which has no Triton
    triton_kernels = None

BLOCK = 1024  # values a program


@functools.cache
def has_triton() -> bool:
    """Whether kernels of this file can be used on this machine's GPU; says why not, once, on stderr."""
    if triton_kernels is None or os.environ.get("ALEXNET_COMPILED") == "0":
        why = "there is no Triton" if triton_kernels is None else "ALEXNET_COMPILED=0"
        print(f"response normalization, dropout and update by torch operations on the GPU: {why}", file=sys.stderr)
        return False
    return True


def _programs(count: int) -> tuple[int]:
    return (-(-count // BLOCK),)


def cross_map(
    out: Tensor, maps: Tensor, upstream: Tensor | None, columns: int, size: int, k: float, alpha: float, beta: float
) -> None:
    """Forward into `out`, or backward of `upstream`: [n, maps, height, width] in channels_last memory, all of one type."""
    count, given = maps.numel(), maps if upstream is None else upstream
    settings = maps.shape[1] // columns, k, alpha, beta, 2 * alpha * beta
    triton_kernels.cross_map[_programs(count)](
        out, maps, given, count, *settings, SIZE=size, BACKWARD=upstream is not None, BLOCK=BLOCK
    )


def within_map(out: Tensor, maps: Tensor, upstream: Tensor | None, size: int, k: float, alpha: float, beta: float) -> None:
    """As `cross_map`, over pixels of the same map."""
    count, (_, channels, height, width) = maps.numel(), maps.shape
    settings = count, height, width, channels, k, alpha, beta, 2 * alpha * beta
    if upstream is None:
        triton_kernels.within_map[_programs(count)](out, maps, maps, maps, *settings, SIZE=size, STEP=0, BLOCK=BLOCK)
        return
    inner = torch.empty_like(maps, dtype=torch.float32)
    triton_kernels.within_map[_programs(count)](inner, maps, upstream, inner, *settings, SIZE=size, STEP=1, BLOCK=BLOCK)
    triton_kernels.within_map[_programs(count)](out, maps, upstream, inner, *settings, SIZE=size, STEP=2, BLOCK=BLOCK)


def update(parameter: Tensor, velocity: Tensor, gradient: Tensor, momentum: float, decay: float, rate: float) -> None:
    """v := momentum v + decay w + rate gradient, w := w + v, in place; all float32 and in one memory format."""
    assert parameter.stride() == velocity.stride() == gradient.stride(), "one memory format for all three"
    count = parameter.numel()
    triton_kernels.update[_programs(count)](parameter, velocity, gradient, count, momentum, decay, rate, BLOCK=BLOCK)


def hashed_draws(key: int, step: Tensor, count: int) -> Tensor:
    """The same numbers as those of `rng.hashed_draws`."""
    out = torch.empty(count, dtype=torch.int16, device=step.device)
    triton_kernels.hashed_draws[_programs(count)](out, step, key, count, -(-count // 4), BLOCK=BLOCK)
    return out
