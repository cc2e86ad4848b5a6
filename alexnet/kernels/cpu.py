"""Kernels for a CPU, in C (cpu.c): response normalization, pooling, the update rule.

They are built with the machine's own compiler at their first use (compiled.py). This takes about two seconds, and a line on
stderr says so. Without a compiler, or with ALEXNET_COMPILED=0, `kernels()` is None, and torch operations compute the same bits
several times slower. In every kernel, rows and images are independent of one another, so threads change no bit. On a Mac the
kernels use one thread."""

import ctypes
import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

from alexnet.errors import Refused
from alexnet.kernels import compiled
from alexnet.system import IS_MAC

SOURCE = Path(__file__).with_name("cpu.c")
FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-tree-loop-distribute-patterns",
    "-fopenmp",
    "-fPIC",
    "-shared",
    "-std=gnu11",
)
# torch ships an OpenMP library with the same name and has already loaded it, so its threads are used here. On a Mac the two are
# not the same, and a process with both may be ended by one of them. Apple's clang knows none of the three flags anyway.
NOT_ON_A_MAC = {"-march=native", "-fno-tree-loop-distribute-patterns", "-fopenmp"}
if IS_MAC:
    FLAGS = tuple(flag for flag in FLAGS if flag not in NOT_ON_A_MAC)

NO_ROOM = "response normalization: no memory for its sums"

VALUES_PER_THREAD = 50_000
"""For fewer values, another thread is not worth its cost."""


def threads_for(values: int, parts: int) -> int:
    """Return how many of torch's threads are worth using for `values` values in `parts` independent parts."""
    return max(1, min(torch.get_num_threads(), parts, values // VALUES_PER_THREAD))


def cross_map(
    out: Tensor, maps: Tensor, upstream: Tensor | None, columns: int, size: int, k: float, alpha: float, beta: float
) -> None:
    """Compute response normalization over neighbouring maps into `out`: forward, or backward of `upstream`.

    All are [n, maps, height, width] in channels_last memory and of one type. `beta` is 0.75, for which the kernel uses roots.
    Raises MemoryError if there is no room for its sums.
    """
    assert beta == 0.75
    n, count, height, width = maps.shape
    rows, threads = n * height * width * columns, threads_for(maps.numel(), n)
    within = min(size, 2 * (count // columns) - 1)  # a larger window sums no more maps
    settings = within, k, alpha, 2 * alpha * beta, maps.dtype == torch.bfloat16, threads
    if _library().cross_map(*_pointers(out, maps, upstream), rows, count // columns, *settings):
        raise MemoryError(NO_ROOM)


def within_map(out: Tensor, maps: Tensor, upstream: Tensor | None, size: int, k: float, alpha: float, beta: float) -> None:
    """Do as `cross_map`, over neighbouring pixels of one map. Raises MemoryError if there is no room for its sums."""
    assert beta == 0.75
    n, count, height, width = maps.shape
    within = min(size, 2 * max(height, width) - 1)
    settings = within, k, alpha, 2 * alpha * beta, maps.dtype == torch.bfloat16, threads_for(maps.numel(), n)
    if _library().within_map(*_pointers(out, maps, upstream), n, height, width, count, *settings):
        raise MemoryError(NO_ROOM)


def pool(out: Tensor, positions: Tensor | None, maps: Tensor, window: int, stride: int) -> None:
    """Write the maxima of windows of `maps` into `out`, and each one's position in its window into `positions`. If `positions`
    is None, write averages.

    All are [n, maps, height, width] in channels_last memory. `window` is at most 15, so that a position fits in a byte.
    """
    settings = window, stride, maps.dtype == torch.bfloat16, threads_for(maps.numel(), len(maps))
    _library().pool(*_pointers(out, positions, maps), *_sizes(maps, out), *settings)


def unpool(out: Tensor, positions: Tensor | None, upstream: Tensor, window: int, stride: int) -> None:
    """Write the gradient of `pool`'s input into `out`, from `upstream`, that of its output."""
    threads = threads_for(out.numel(), len(out))
    shares = torch.empty(threads * upstream[0].numel() if positions is None else 0, dtype=torch.float32)
    settings = window, stride, out.dtype == torch.bfloat16, threads
    _library().unpool(*_pointers(out, positions, upstream, shares), *_sizes(out, upstream), *settings)


def update(parameter: Tensor, velocity: Tensor, gradient: Tensor, momentum: float, decay: float, rate: float) -> None:
    """Compute v := momentum v + decay w + rate gradient, w := w + v, in place. All are float32 with the same layout."""
    count = parameter.numel()
    pointers = _pointers(parameter, velocity, gradient)
    _library().paper_sgd(*pointers, count, momentum, decay, rate, threads_for(count, count))


def _pointers(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


def _sizes(large: Tensor, small: Tensor) -> tuple[int, ...]:
    n, maps, height, width = large.shape
    return n, height, width, maps, *small.shape[2:]


def _library() -> ctypes.CDLL:
    library = kernels()
    assert library is not None, "only where `supported` says so"
    return library


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """Return the library, built if it is not there yet; None if it cannot be built, or if its numbers differ from torch's."""
    if os.environ.get("ALEXNET_COMPILED") == "0" or platform.machine() not in ("x86_64", "aarch64", "arm64"):
        return None
    try:
        compiler = compiled.compiler()
        return compiled.library(SOURCE, FLAGS, compiler, _typed_and_right) if compiler else None
    except (OSError, subprocess.SubprocessError, Refused) as error:
        print(
            f"the CPU kernels are not compiled, torch operations replace them: {type(error).__name__}: {error}", file=sys.stderr
        )
        return None


def _typed_and_right(library: ctypes.CDLL) -> bool:
    """Declare the types of the library's functions. Return whether it gives torch's bits for a small normalization."""
    pointer, count, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    try:
        library.cross_map.argtypes = [pointer] * 3 + [count] * 3 + [real] * 3 + [ctypes.c_int] * 2
        library.within_map.argtypes = [pointer] * 3 + [count] * 5 + [real] * 3 + [ctypes.c_int] * 2
        library.paper_sgd.argtypes = [pointer] * 3 + [count] + [real] * 3 + [ctypes.c_int]
        library.powers.argtypes = [pointer] * 2 + [count, real]
        library.pool.argtypes = [pointer] * 3 + [count] * 8 + [ctypes.c_int] * 2
        library.unpool.argtypes = [pointer] * 4 + [count] * 8 + [ctypes.c_int] * 2
        for function in (library.paper_sgd, library.powers, library.pool, library.unpool):
            function.restype = None
        library.cross_map.restype = library.within_map.restype = ctypes.c_int
    except AttributeError:  # the library lacks one of them
        return False
    return _normalizes(library)


def _normalizes(library: ctypes.CDLL) -> bool:
    """Whether the library gives the bits of torch's operations when it normalizes three rows of 24 maps over windows of 5."""
    rows, maps, size, k, alpha = 3, 24, 5, 1.5, 0.01
    values = torch.linspace(-30, 30, rows * maps, dtype=torch.float32, device="cpu").view(rows, maps)
    out = torch.empty_like(values)
    library.cross_map(*_pointers(out, values, None), rows, maps, size, k, alpha, 2 * alpha * 0.75, False, 1)
    squares = torch.nn.functional.pad(values * values, (size // 2, size // 2))
    total = squares[:, :maps].clone()
    for shift in range(1, size):
        total += squares[:, shift : shift + maps]
    root = total.mul(alpha).add(k).rsqrt()
    return torch.equal(out, root.rsqrt().mul(root).mul(root).mul(values))
