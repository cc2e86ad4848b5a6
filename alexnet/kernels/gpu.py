"""Triton kernels for a GPU, each in one pass over memory: response normalization with the ReLU before it, max pooling with the
ReLU after it, dropout, the update rule.

Each has a slower form in torch operations elsewhere (response_norm.py, pooling.py, rng.py, optimizer.py), which is used if
Triton does not work. Values are float32 or bfloat16; all arithmetic is in float32. No sum is split over several threads, so the
same input always gives the same bits. With TRITON_INTERPRET=1, Triton runs them on a CPU, for tests."""

import contextlib
import functools
import os
import sys
from typing import Any

import torch
from torch import Tensor

triton_kernels: Any
try:
    from alexnet.kernels import triton_kernels
except ImportError:  # a CPU build of torch has no Triton
    triton_kernels = None

BLOCK = 1024  # values a program
TILE = 2048
"""Values in the tile of a program that works on rows: 16 a thread with four warps, without register spills (sm_75 to
sm_120)."""
LARGEST_WINDOW = 4
"""The largest window of `max_pool`, which unrolls it. The paper's windows are 3 or 2."""
LAUNCH = {"enable_fp_fusion": True}
"""Round a multiplication and an addition once, together. By default, Triton 3.10 no longer does: other bits, and slower."""


@functools.cache
def has_triton() -> bool:
    """Whether this file's kernels can be used on this machine's GPU. If not, a line on stderr says why, once."""
    if why := why_not():
        print(f"normalization, pooling, dropout and updates use torch operations on the GPU: {why}", file=sys.stderr)
    return not why


@functools.cache
def why_not(device: str = "cuda") -> str:
    """Return why this file's kernels cannot be used on a device; "" if they can.

    The smallest kernel is launched to find out: an installed Triton may lack a C compiler, Python's headers or a folder to
    write to, and reports it only at its first launch."""
    if triton_kernels is None:
        return "Triton is not installed"
    if os.environ.get("ALEXNET_COMPILED") == "0":
        return "ALEXNET_COMPILED=0"
    try:
        w, v, g = (torch.full((2,), value, device=device) for value in (1.0, 2.0, 3.0))
        update(w, v, g, 0.5, 0.0, 2.0)
        return "" if w.tolist() == [8.0, 8.0] else f"Triton computes {w.tolist()} for 1 + 0.5 * 2 + 2 * 3"
    except Exception as error:  # any error that compilers, linkers and drivers cause in Triton
        return f"Triton does not work here ({type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]})"


def in_words() -> str:
    """Return what computes normalization, pools, dropout and update on this machine's GPU, for a run's result."""
    why = why_not()
    if why:
        return f"torch: {why}"
    import triton

    return f"Triton {triton.__version__}"


def _launched_on(tensor: Tensor) -> contextlib.AbstractContextManager:
    """Make the tensor's device the current one. Unlike torch, Triton launches on the current device, wherever its tensors
    are."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()


def _programs(count: int) -> tuple[int]:
    return (-(-count // BLOCK),)


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is not less than `count`."""
    return 1 << max(0, count - 1).bit_length()


def cross_map(
    out: Tensor,
    maps: Tensor,
    upstream: Tensor | None,
    columns: int,
    size: int,
    k: float,
    alpha: float,
    beta: float,
    relu: bool = False,
) -> None:
    """Compute response normalization across maps into `out`: forward, or backward of `upstream`. With `relu`, normalize the
    ReLU of `maps`. All are [n, maps, height, width] in channels_last memory and of one type."""
    channels, given = maps.shape[1] // columns, maps if upstream is None else upstream
    rows, width = maps.numel() // channels, _power_of_two(channels)
    size = min(size, 2 * channels - 1)  # a larger window sums no more maps
    tile_rows = max(1, TILE // width)
    with _launched_on(out):
        triton_kernels.cross_map[(-(-rows // tile_rows),)](
            out, maps, given, rows, channels, float(k), float(alpha), float(beta), 2.0 * alpha * beta,
            SIZE=size, ROOTS=beta == 0.75, BACKWARD=upstream is not None, RELU=relu, ROWS=tile_rows, WIDTH=width,
            WRAPS=channels + size // 2 <= width, **LAUNCH,
        )  # fmt: skip


def within_map(out: Tensor, maps: Tensor, upstream: Tensor | None, size: int, k: float, alpha: float, beta: float) -> None:
    """Do as `cross_map`, over pixels of the same map."""
    count, (_, channels, height, width) = maps.numel(), maps.shape
    settings = count, height, width, channels, float(k), float(alpha), float(beta), 2.0 * alpha * beta
    grid, fixed = _programs(count), {"SIZE": size, "BLOCK": BLOCK, **LAUNCH}
    with _launched_on(out):
        if upstream is None:
            triton_kernels.within_map[grid](out, maps, maps, maps, *settings, STEP=0, **fixed)
            return
        inner = torch.empty_like(maps, dtype=torch.float32)
        triton_kernels.within_map[grid](inner, maps, upstream, inner, *settings, STEP=1, **fixed)
        triton_kernels.within_map[grid](out, maps, upstream, inner, *settings, STEP=2, **fixed)


def max_pool(out: Tensor, positions: Tensor, maps: Tensor, window: int, stride: int, relu: bool) -> None:
    """Write the maxima of windows of `maps` into `out`, with `relu` their ReLU, and where each was found into `positions`.

    All are [n, maps, height, width] in channels_last memory. `out` has the shape of torch's max_pool2d in ceil mode, and so has
    `positions`, uint8. `window` is at most LARGEST_WINDOW."""
    grid, rows, width = _tiles(out)
    with _launched_on(out):
        triton_kernels.max_pool[grid](
            out, positions, maps, out.numel() // out.shape[1], out.shape[1], *maps.shape[2:], *out.shape[2:],
            WINDOW=window, STRIDE=stride, RELU=relu, ROWS=rows, WIDTH=width, **LAUNCH,
        )  # fmt: skip


def max_unpool(out: Tensor, positions: Tensor, upstream: Tensor, window: int, stride: int) -> None:
    """Write the gradient of `max_pool`'s input into `out`, from `upstream`, that of its output."""
    grid, rows, width = _tiles(out)
    with _launched_on(out):
        triton_kernels.max_unpool[grid](
            out, positions, upstream, out.numel() // out.shape[1], out.shape[1], *out.shape[2:], *upstream.shape[2:],
            WINDOW=window, STRIDE=stride, REACH=-(-window // stride), ROWS=rows, WIDTH=width, **LAUNCH,
        )  # fmt: skip


def _tiles(maps: Tensor) -> tuple[tuple[int, int], int, int]:
    """Return the grid of programs, and the rows and columns of each program's tile. A row is a pixel, a column a channel.

    The width is chosen to need the fewest padding channels."""
    channels = maps.shape[1]
    width = min((32, 64, 128), key=lambda width: (-(-channels // width) * width, -width))
    rows = TILE // width // 2  # two tiles are in use at a time
    return (-(-(maps.numel() // channels) // rows), -(-channels // width)), rows, width


def update(
    parameter: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    momentum: float,
    decay: float,
    rate: float,
    copy: Tensor | None = None,
) -> None:
    """Compute v := momentum v + decay w + rate gradient, w := w + v, in place, and `copy` := w. All have one memory format.

    Parameter and velocity are float32; gradient and copy may be bfloat16.
    """
    kept = [tensor for tensor in (parameter, velocity, gradient, copy) if tensor is not None]
    assert all(_layout(tensor) == _layout(parameter) for tensor in kept), "one memory format for all"
    count = parameter.numel()
    with _launched_on(parameter):
        triton_kernels.update[_programs(count)](
            parameter, velocity, gradient, parameter if copy is None else copy, count, float(momentum), float(decay),
            float(rate), COPIES=copy is not None, BLOCK=BLOCK, **LAUNCH,
        )  # fmt: skip


def _layout(tensor: Tensor) -> list[tuple[int, int]]:
    """Return sizes and strides of the dimensions with more than one value. The strides of the others have no meaning, and torch
    may give a gradient other ones than its weight."""
    return [(size, stride) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


def hashed_draws(key: int, step: Tensor, count: int) -> Tensor:
    """Return the same numbers as `rng.hashed_draws`."""
    with _launched_on(step):
        out = torch.empty(count, dtype=torch.int16, device=step.device)
        triton_kernels.hashed_draws[_programs(count)](out, step, key, count, -(-count // 4), BLOCK=BLOCK, **LAUNCH)
    return out
