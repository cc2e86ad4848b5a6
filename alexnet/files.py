"""Writing a file whole or not at all, and locks between processes.

Folders of runs and results may be shared, and others may write to them. So no file is made under a name that can be known
beforehand, and none is opened through a link that someone laid in its place.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Container, Iterator
from pathlib import Path

from alexnet.errors import Refused

PATIENCE_SECONDS = 600.0
"""How long a lock is waited for that is held for seconds at a time."""
TOLD_AFTER_SECONDS = 5.0
UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}")
"""The names of `new_file_beside`."""
SIGNED = "held by "
"""How the words in a lock file begin."""


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


def clear_unfinished(folder: Path, names: Container[str] | None = None) -> None:
    """Delete what kills left of files of these names, or of any, that were being written in `folder`. To be called under the
    lock that whoever writes them holds: nobody is writing one then."""
    for path in list(folder.iterdir()):
        found = UNFINISHED.fullmatch(path.name)
        if found and (names is None or found["name"] in names):
            path.unlink(missing_ok=True)


def open_no_link(path: Path, mode: int = 0o666) -> int:
    """Open a file to read and write, made where it is not there; its content stays. Raises Refused where `path` is a link."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused(f"{path}: is a link to another file, which would be written to; delete the link") from None


@contextlib.contextmanager
def locked(path: Path, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock file `path` against other processes, waiting for it; the kernel lets go when a process dies.

    After TOLD_AFTER_SECONDS of waiting a line on standard error says for whom. Raises TimeoutError, which says it too, where it
    is not to be had in time: whoever holds it may have been stopped. Raises Refused for a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(open_no_link(path), "rb") as file:
        _lock_within(file.fileno(), path, patience_seconds)
        _sign(file.fileno())
        yield


def _lock_within(handle: int, path: Path, seconds: float) -> None:
    began, told = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - began
            if waited > seconds:
                raise TimeoutError(f"{path} has been held for {seconds:.0f} seconds {_holder(handle)}") from None
            if waited > TOLD_AFTER_SECONDS and not told:
                told = True
                words = f"waiting for {path}, held {_holder(handle)}; given up after {seconds:.0f} seconds"
                print(words, file=sys.stderr, flush=True)
        time.sleep(0.05)


def _sign(handle: int) -> None:
    """Say in a lock file who holds it, for those who wait. What is not of such words stays as it is."""
    own = f"{SIGNED}process {os.getpid()} on {socket.gethostname()}\n".encode()
    with contextlib.suppress(OSError):  # a full disk: nobody is told, and the lock is held all the same
        there = os.pread(handle, 512, 0)
        if there != own and (not there or there.startswith(SIGNED.encode())):
            os.pwrite(handle, own, 0)
            os.ftruncate(handle, len(own))


def _holder(handle: int) -> str:
    """By whom a lock is held, as its file says it."""
    line = os.pread(handle, 512, 0).decode(errors="replace").partition("\n")[0]
    return (
        f"by {line.removeprefix(SIGNED)}"
        if line.startswith(SIGNED) and line.isprintable()
        else "by a process that is not named"
    )
