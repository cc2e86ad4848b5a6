"""Writing a file whole or not at all, and locks between processes.

Folders of runs and results may be shared, and others may write to them. So no file is made under a name that can be known
beforehand, and none is opened through a link that someone laid in its place.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from alexnet.errors import Refused


def write_atomically(path: Path, content: bytes) -> None:
    """The old content or the new, whole, whatever happens: temporary file beside it, fsync, rename, fsync of the folder."""
    handle, temporary = new_file_beside(path)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_file_beside(path: Path) -> tuple[int, Path]:
    """An empty file that was not there before, open for writing, and its name: a dot, the name of `path`, a dot and chance.

    Unlike tempfile's it may be read by whomever the user's umask lets: it becomes a file that a team shares.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def open_no_link(path: Path, mode: int = 0o666) -> int:
    """Open a file to read and write, made where it is not there; its content stays. Raises Refused where `path` is a link."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused(f"{path}: is a link to another file, which would be written to; delete the link") from None


@contextlib.contextmanager
def locked(path: Path, patience_seconds: float | None = None) -> Iterator[None]:
    """Hold the lock file `path` against other processes, waiting for it; the kernel lets go when a process dies.

    Raises TimeoutError where it is not to be had in time: whoever holds it may have been stopped. Raises Refused for a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(open_no_link(path), "rb") as file:
        if patience_seconds is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _lock_within(file.fileno(), path, patience_seconds)
        yield


def _lock_within(handle: int, path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} has been held for {seconds:.0f} seconds") from None
        time.sleep(0.05)
