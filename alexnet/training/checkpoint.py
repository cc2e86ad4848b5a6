"""A run's folder with its last two checkpoints and, at the end, its weights. A kill at any point damages none of them."""

import contextlib
import hashlib
import io
import os
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.errors import Refused
from alexnet.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
WEIGHTS = "weights.pt"
SAVING_SHARE = 20
"""Training continues for at least this many times as long as the last save took: AlexNet's checkpoint has half a gigabyte."""


def sha256_of(weights: Mapping[str, "Tensor"]) -> str:
    """Return a digest of every parameter and its name: equal digests mean equal bits."""
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def kept_weights(folder: Path, digest: str) -> dict[str, "Tensor"]:
    """Return the weights that `Checkpoints.keep_weights` stored in a run's folder, on the CPU. Nothing in the file is executed.

    Raises Refused if the file is missing or cannot be read, and if `sha256_of` its weights is not `digest`.
    """
    import torch

    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: is not there; copy the run's folder with it from where it was trained") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None
    with contextlib.suppress(Exception):  # torch.load may raise any error for a damaged file
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if sha256_of(weights) == digest:
            return weights
    raise Refused(f"{path}: is damaged, these are not the weights that were trained; delete {folder} and train the run again")


class Interrupted(Exception):
    """Raised by a run that was asked to stop and did. If it keeps checkpoints, it can continue from the last one."""


class Checkpoints:
    """Checkpoints of one run in a folder, at most every `every_seconds`, and less often if saving takes long.

    A file begins with the digest of the bytes after it.
    """

    def __init__(
        self,
        folder: Path | str,
        every_seconds: float = 10.0,
        guard: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
        writes: bool = True,
    ):
        """`writes` is False for processes of a run that only read.

        `guard` is entered around the writing of a checkpoint, and forbids it by raising: there the caller checks that it still
        owns the run. `keep_weights` and `clear` do not enter it: their caller must own the run from one to the other, and while
        it writes the result between them."""
        self.folder, self.every_seconds, self.guard, self.writes = Path(folder), every_seconds, guard, writes
        self.saved_at, self.saving_seconds = time.monotonic(), 0.0
        self.newest_is_damaged = False

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        wait = self.every_seconds and max(self.every_seconds, SAVING_SHARE * self.saving_seconds)  # 0: whenever asked
        return self.writes and time.monotonic() - self.saved_at >= wait

    def save(self, state: dict[str, Any]) -> None:
        """Save `state` (tensors and plain values). The checkpoint before it stays as a second generation."""
        import torch

        if not self.writes:
            return
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        with self.guard():
            if not self.newest_is_damaged:  # if it is, the previous one is the only whole one
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.folder / CHECKPOINT, self.folder / PREVIOUS)
            write_atomically(self.folder / CHECKPOINT, hashlib.sha256(payload).digest() + payload)
        self.saved_at, self.newest_is_damaged = time.monotonic(), False
        self.saving_seconds = self.saved_at - started

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole checkpoint, or None.

        A file that is cut short, was altered, or holds more than tensors and plain values is skipped. Nothing in it is
        executed."""
        import torch

        self.newest_is_damaged = False
        for name in (CHECKPOINT, PREVIOUS):
            with contextlib.suppress(FileNotFoundError, pickle.UnpicklingError):
                content = (self.folder / name).read_bytes()
                self.newest_is_damaged |= name == CHECKPOINT
                if hashlib.sha256(content[32:]).digest() == content[:32]:
                    state = torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
                    self.newest_is_damaged &= name != CHECKPOINT
                    return state
        return None

    def keep_weights(self, digest: str) -> None:
        """After the end of a run, store the network of its last checkpoint in a separate file.

        Raises RuntimeError if its weights do not have the `digest` of the trained ones: it was damaged on disk.
        """
        import torch

        if not self.writes:
            return
        state = self.load()
        if state is None or sha256_of(state["network"]) != digest:
            raise RuntimeError(
                f"{self.folder / CHECKPOINT} was damaged on disk; when called again, the run continues from the one before"
            )
        buffer = io.BytesIO()
        torch.save(state["network"], buffer)
        write_atomically(self.folder / WEIGHTS, buffer.getvalue())

    def clear(self) -> None:
        """Delete the checkpoints of a run whose result is written, and unfinished checkpoint files that a kill left."""
        if not self.writes:
            return
        for path in (self.folder / CHECKPOINT, self.folder / PREVIOUS, *self.folder.glob(f".{CHECKPOINT}.*")):
            path.unlink(missing_ok=True)
