"""Triton kernels for a GPU, each in one pass over memory: response normalization, dropout, the update rule.

Each does what a slower form of torch operations does elsewhere (response_norm.py, luck.py, optimizer.py), and that form is
used where there is no Triton. Values are float32 or bfloat16; all arithmetic is in float32. Nothing is summed by several
threads, so the same input always gives the same bits. Where TRITON_INTERPRET=1 is set, Triton runs them on a CPU, for tests.
"""

import functools
import os
import sys

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # a CPU build of torch
    triton = None

BLOCK = 1024  # values a program


@functools.cache
def has_triton() -> bool:
    """Whether kernels of this file can be used on this machine's GPU; says why not, once, on stderr."""
    if triton is None or os.environ.get("ALEXNET_COMPILED") == "0":
        why = "there is no Triton" if triton is None else "ALEXNET_COMPILED=0"
        print(f"response normalization, dropout and update by torch operations on the GPU: {why}", file=sys.stderr)
        return False
    return True


def runs_here(*tensors: Tensor) -> bool:
    """Whether the kernels are the way for these tensors: on a GPU, float32 or bfloat16."""
    return all(t.is_cuda and t.dtype in (torch.float32, torch.bfloat16) for t in tensors) and has_triton()


def _programs(count: int) -> tuple[int]:
    return (-(-count // BLOCK),)


if triton is not None:

    @triton.jit
    def _square(values, at, inside):
        x = tl.load(values + at, mask=inside, other=0.0).to(tl.float32)
        return x * x

    @triton.jit
    def _cross_map(
        out,
        maps,
        upstream,
        count,
        channels,
        k,
        alpha,
        beta,
        twice,
        SIZE: tl.constexpr,
        BACKWARD: tl.constexpr,
        BLOCK: tl.constexpr,
    ):
        """Rows of `channels` values one after another. A value's own scale needs SIZE squares around it, its gradient the scales
        of all in its window: they are computed again for each, which costs less than keeping them."""
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        inside = at < count
        channel = at % channels
        HALF: tl.constexpr = SIZE // 2
        total = tl.zeros((BLOCK,), tl.float32)
        for shift in tl.static_range(-HALF, HALF + 1):
            total += _square(maps, at + shift, inside & (channel + shift >= 0) & (channel + shift < channels))
        scale = total * alpha + k
        power = tl.exp2(-beta * tl.log2(scale))
        x = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
        if BACKWARD:
            around = tl.zeros((BLOCK,), tl.float32)
            for near in tl.static_range(-HALF, HALF + 1):
                its = inside & (channel + near >= 0) & (channel + near < channels)
                sums = tl.zeros((BLOCK,), tl.float32)
                for shift in tl.static_range(-HALF, HALF + 1):
                    there = channel + near + shift
                    sums += _square(maps, at + near + shift, its & (there >= 0) & (there < channels))
                its_scale = sums * alpha + k
                product = tl.load(maps + at + near, mask=its, other=0.0).to(tl.float32)
                product *= tl.load(upstream + at + near, mask=its, other=0.0).to(tl.float32)
                around += product * tl.exp2((-beta - 1.0) * tl.log2(its_scale))
            g = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32)
            result = power * g - twice * x * around
        else:
            result = power * x
        tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)

    @triton.jit
    def _within_map_sum(
        values, at, row, column, height, width, channels, inside, SIZE: tl.constexpr, SQUARED: tl.constexpr, BLOCK: tl.constexpr
    ):
        HALF: tl.constexpr = SIZE // 2
        total = tl.zeros((BLOCK,), tl.float32)
        for down in tl.static_range(-HALF, HALF + 1):
            for across in tl.static_range(-HALF, HALF + 1):
                there = inside & (row + down >= 0) & (row + down < height) & (column + across >= 0) & (column + across < width)
                value = tl.load(values + at + (down * width + across) * channels, mask=there, other=0.0).to(tl.float32)
                total += value * value if SQUARED else value
        return total

    @triton.jit
    def _within_map(
        out,
        maps,
        upstream,
        inner,
        count,
        height,
        width,
        channels,
        k,
        alpha,
        beta,
        twice,
        SIZE: tl.constexpr,
        STEP: tl.constexpr,
        BLOCK: tl.constexpr,
    ):
        """STEP 0: forward. 1: what each value passes on to its window, into `out` (float32). 2: the gradient, from those as `inner`."""
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        inside = at < count
        column = at // channels % width
        row = at // (channels * width) % height
        scale = _within_map_sum(maps, at, row, column, height, width, channels, inside, SIZE, True, BLOCK) * alpha + k
        x = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
        if STEP == 0:
            result = tl.exp2(-beta * tl.log2(scale)) * x
        else:
            g = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32)
            if STEP == 1:
                result = g * x * tl.exp2((-beta - 1.0) * tl.log2(scale))
            else:
                around = _within_map_sum(inner, at, row, column, height, width, channels, inside, SIZE, False, BLOCK)
                result = tl.exp2(-beta * tl.log2(scale)) * g - twice * x * around
        tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)

    @triton.jit(do_not_specialize=["key"])  # a key of 1 would be a constant, which has no type to turn into another
    def _hashed_draws(out, step, key, count, words, BLOCK: tl.constexpr):
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        x = (tl.load(step) * words + at // 4 + 1).to(tl.uint64) * 0x9E3779B97F4A7C15 + key.to(tl.uint64)
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB
        x = (x ^ (x >> 31)) >> (at % 4 * 16).to(tl.uint64)
        tl.store(out + at, x.to(tl.int16), mask=at < count)

    @triton.jit
    def _update(parameter, velocity, gradient, count, momentum, decay, rate, BLOCK: tl.constexpr):
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        inside = at < count
        w = tl.load(parameter + at, mask=inside)
        v = tl.load(velocity + at, mask=inside) * momentum + decay * w + rate * tl.load(gradient + at, mask=inside)
        tl.store(velocity + at, v, mask=inside)
        tl.store(parameter + at, w + v, mask=inside)


def cross_map(
    out: Tensor, maps: Tensor, upstream: Tensor | None, columns: int, size: int, k: float, alpha: float, beta: float
) -> None:
    """Forward into `out`, or backward of `upstream`: [n, maps, height, width] in channels_last memory, all of one type."""
    count, given = maps.numel(), maps if upstream is None else upstream
    settings = maps.shape[1] // columns, k, alpha, beta, 2 * alpha * beta
    _cross_map[_programs(count)](out, maps, given, count, *settings, SIZE=size, BACKWARD=upstream is not None, BLOCK=BLOCK)


def within_map(out: Tensor, maps: Tensor, upstream: Tensor | None, size: int, k: float, alpha: float, beta: float) -> None:
    """As `cross_map`, over pixels of the same map."""
    count, (_, channels, height, width) = maps.numel(), maps.shape
    settings = count, height, width, channels, k, alpha, beta, 2 * alpha * beta
    if upstream is None:
        _within_map[_programs(count)](out, maps, maps, maps, *settings, SIZE=size, STEP=0, BLOCK=BLOCK)
        return
    inner = torch.empty_like(maps, dtype=torch.float32)
    _within_map[_programs(count)](inner, maps, upstream, inner, *settings, SIZE=size, STEP=1, BLOCK=BLOCK)
    _within_map[_programs(count)](out, maps, upstream, inner, *settings, SIZE=size, STEP=2, BLOCK=BLOCK)


def update(parameter: Tensor, velocity: Tensor, gradient: Tensor, momentum: float, decay: float, rate: float) -> None:
    """v := momentum v + decay w + rate gradient, w := w + v, in place; all float32 and in one memory format."""
    assert parameter.stride() == velocity.stride() == gradient.stride(), "one memory format for all three"
    count = parameter.numel()
    _update[_programs(count)](parameter, velocity, gradient, count, momentum, decay, rate, BLOCK=BLOCK)


def hashed_draws(key: int, step: Tensor, count: int) -> Tensor:
    """See `luck.hashed_draws`: the same numbers."""
    out = torch.empty(count, dtype=torch.int16, device=step.device)
    _hashed_draws[_programs(count)](out, step, key, count, -(-count // 4), BLOCK=BLOCK)
    return out
