"""Every random draw of a run comes from a generator that is named by seed, purpose and index.

So workers, batching and a resume change nothing in what is drawn. The draws are made on the CPU, and are the same for every
device. Only those of dropout, of which a GPU needs millions at every step, are made on it (`hashed_draws`)."""

import hashlib
import operator

import torch

from alexnet.errors import Refused
from alexnet.kernels import gpu


def checked_seed(seed: int) -> int:
    """`seed` as an int of Python: numpy's 3 names the draws that 3 names. Raises Refused for what is no whole number."""
    try:
        if isinstance(seed, bool):
            raise TypeError
        return operator.index(seed)
    except TypeError:
        raise Refused(f"seed: {seed!r} is not a whole number") from None


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A fresh CPU generator for one purpose ("init", "order", "shift", ...) at one epoch or step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def key_of(seed: int, purpose: str) -> int:
    """A signed 64-bit number for one purpose of a run: the `key` of `hashed_draws`."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "little", signed=True)


WEYL, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""


def hashed_draws(key: int, step: torch.Tensor, count: int) -> torch.Tensor:
    """`count` whole numbers from -32768 to 32767, each as likely as the others: int16 on the device of `step` (int64, one
    value).

    They are made where they are used, and from nothing but key, step and place, so that a step on a GPU neither waits for draws
    of the CPU nor keeps a state. The outputs of SplitMix64 with numbers step * words + 1, 2, ... give four draws each."""
    if step.is_cuda and not torch.compiler.is_compiling() and gpu.has_triton():  # when it compiles, torch makes a kernel of it
        return gpu.hashed_draws(key, step, count)
    words = -(-count // 4)
    x = torch.arange(1, words + 1, device=step.device) + step * words
    x = x * _signed(WEYL) + key
    x = (x ^ _shifted(x, 30)) * _signed(FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(SECOND)
    return (x ^ _shifted(x, 31)).view(torch.int16)[:count]


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """x >> by with zeros coming in, which torch's own shift of signed numbers does not do."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >= 1 << 63 else bits
