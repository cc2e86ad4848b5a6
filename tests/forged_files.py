"""Checkpoints that would do harm if they were executed."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import torch


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def forged(path: Path, with_torch: bool) -> bytes:
    buffer = io.BytesIO()
    content = {"step": 9, "network": Hostile(path)}
    torch.save(content, buffer) if with_torch else pickle.dump(content, buffer, protocol=2)
    payload = buffer.getvalue()
    return hashlib.sha256(payload).digest() + payload
