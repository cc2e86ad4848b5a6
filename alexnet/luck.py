"""Every random draw of a run comes from a generator named by (seed, purpose, index).

So workers, batching, a resume or another device change nothing in what is drawn. The draws are made on the CPU.
"""

import hashlib

import torch


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A fresh CPU generator for one purpose ("init", "order", "shift", ...) at one epoch or step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
