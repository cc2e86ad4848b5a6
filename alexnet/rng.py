"""Random draws of a run: each comes from a generator that seed, purpose and index decide.

So workers, batching and a resume do not change what is drawn. The draws are made on the CPU and are the same for every device.
The exception is dropout: a GPU needs millions of its draws at every step and makes them itself (`hashed_draws`)."""

import hashlib
import operator

import torch

from alexnet.errors import Refused
from alexnet.kernels import gpu


def checked_seed(seed: int) -> int:
    """Return `seed` as a Python int, so that numpy's 3 gives the same draws as 3. Raises Refused if it is not a whole
    number."""
    try:
        if isinstance(seed, bool):
            raise TypeError
        return operator.index(seed)
    except TypeError:
        raise Refused(f"seed: {seed!r} is not a whole number") from None


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Return a fresh CPU generator for one purpose ("init", "order", "shift", ...) at one epoch or step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def key_of(seed: int, purpose: str) -> int:
    """Return a signed 64-bit number for one purpose of a run: the `key` of `hashed_draws`."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "little", signed=True)


WEYL, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""


def hashed_draws(key: int, step: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` uniform whole numbers from -32768 to 32767, as int16 on the device of `step` (int64, one value).

    They are made on that device from key, step and position alone. So a step on a GPU neither waits for draws of the CPU nor
    keeps a state. The outputs number step * words + 1, 2, ... of SplitMix64 give four draws each."""
    if step.is_cuda and not torch.compiler.is_compiling() and gpu.has_triton():  # torch.compile makes its own kernel
        return gpu.hashed_draws(key, step, count)
    words = -(-count // 4)
    x = torch.arange(1, words + 1, device=step.device) + step * words
    x = x * _signed(WEYL) + key
    x = (x ^ _shifted(x, 30)) * _signed(FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(SECOND)
    return (x ^ _shifted(x, 31)).view(torch.int16)[:count]


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """x >> by, filled with zeros. Torch's own shift of signed numbers fills with the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >= 1 << 63 else bits
