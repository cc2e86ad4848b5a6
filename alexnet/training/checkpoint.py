"""A run's folder: its last two checkpoints and, when it is over, its result. Killed at any point, nothing is lost."""

import contextlib
import hashlib
import io
import os
import pickle
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
WEIGHTS = "weights.pt"
SAVING_SHARE = 20
"""Training goes on at least so many times as long as the last checkpoint took: AlexNet's is half a gigabyte."""


STOP = threading.Event()
"""Set where this process was asked to stop (SIGTERM): the run in hand keeps a checkpoint at its next step and ends."""


def sha256_of(weights: Mapping[str, "Tensor"]) -> str:
    """Digest of every parameter, by name: equal digests are equal bits."""
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Interrupted(Exception):
    """A run that was asked to stop, with a checkpoint from which it goes on."""


class Checkpoints:
    """Checkpoints of one run, at most every `every_seconds`, and less often where saving itself takes long. The digest stands in the file, before the bytes it vouches for."""

    def __init__(
        self,
        folder: Path,
        every_seconds: float = 10.0,
        guard: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
        writes: bool = True,
    ):
        """`writes` False: of the processes that share a run, one that reads alone. `guard` is entered around every write and may forbid it by raising: whoever leases runs says there whose this is."""
        self.folder, self.every_seconds, self.guard, self.writes = folder, every_seconds, guard, writes
        self.saved_at, self.saving_seconds = time.monotonic(), 0.0

    def due(self) -> bool:
        if STOP.is_set():
            return True
        wait = self.every_seconds and max(self.every_seconds, SAVING_SHARE * self.saving_seconds)  # 0: whenever asked
        return self.writes and time.monotonic() - self.saved_at >= wait

    def save(self, state: dict[str, Any]) -> None:
        """Keep `state` (tensors and plain values); the checkpoint before it stays as a second generation.

        Raises Interrupted, when it is kept, if this process was asked to stop.
        """
        import torch

        if self.writes:
            started = time.monotonic()
            self.folder.mkdir(parents=True, exist_ok=True)
            buffer = io.BytesIO()
            torch.save(state, buffer)
            payload = buffer.getvalue()
            with self.guard():
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.folder / CHECKPOINT, self.folder / PREVIOUS)
                write_atomically(self.folder / CHECKPOINT, hashlib.sha256(payload).digest() + payload)
            self.saved_at = time.monotonic()
            self.saving_seconds = self.saved_at - started
        if STOP.is_set():
            raise Interrupted("asked to stop; its checkpoint is kept")

    def load(self) -> dict[str, Any] | None:
        """The newest whole checkpoint, or None. One that is torn, altered or holds more than tensors and plain values is passed
        over; nothing in it is executed."""
        import torch

        for name in (CHECKPOINT, PREVIOUS):
            with contextlib.suppress(FileNotFoundError, pickle.UnpicklingError):
                content = (self.folder / name).read_bytes()
                if hashlib.sha256(content[32:]).digest() == content[:32]:
                    return torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
        return None

    def keep_weights(self, digest: str) -> None:
        """Keep the network of the last checkpoint, that of a run that is over with weights of this digest, as a file of its own.

        Raises RuntimeError where the checkpoint is not what was trained.
        """
        import torch

        state = self.load()
        if state is None or sha256_of(state["network"]) != digest:
            raise RuntimeError(f"{self.folder / CHECKPOINT} was damaged on disk; the same command goes on from the one before")
        buffer = io.BytesIO()
        torch.save(state["network"], buffer)
        write_atomically(self.folder / WEIGHTS, buffer.getvalue())

    def clear(self) -> None:
        """Delete the checkpoints of a run whose result is written, and what a kill left of one that was being written."""
        for path in (self.folder / CHECKPOINT, self.folder / PREVIOUS, *self.folder.glob(f".{CHECKPOINT}.*")):
            path.unlink(missing_ok=True)
