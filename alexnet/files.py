"""Atomic writes of files, and locks between processes.

Folders of runs and results may be shared, and others may write to them. So new files get names that nobody can predict, and no
file is opened through a link that someone put in its place.
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
"""How long to wait for a lock that others hold for seconds at a time."""
NOTICE_AFTER_SECONDS = 5.0
UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}")
"""Matches the names that `new_file_beside` makes."""
SIGNED = "held by "
"""How the text in a lock file begins."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file's content so that, whatever happens, it holds either the old content or the new, whole.

    The steps: a temporary file in the same folder, fsync, rename, fsync of the folder."""
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
    """Create an empty file in the folder of `path`, and return its open handle and its name.

    The name is a dot, the name of `path`, a dot and random digits. Unlike tempfile's, the file's permissions follow the user's
    umask: it becomes a file that a team shares.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def clear_unfinished(folder: Path, names: Container[str] | None = None) -> None:
    """Delete the unfinished files that killed processes left in `folder`: those of `names`, or all.

    Call it while holding the lock that the writers of these files hold, so that nobody is writing one."""
    for path in list(folder.iterdir()):
        found = UNFINISHED.fullmatch(path.name)
        if found and (names is None or found["name"] in names):
            path.unlink(missing_ok=True)


def open_no_link(path: Path, mode: int = 0o666) -> int:
    """Open a file for reading and writing, and create it if it is missing. Its content stays. Raises Refused if `path` is a
    link."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused(f"{path}: is a link to another file, which would be overwritten; delete the link") from None


@contextlib.contextmanager
def locked(path: Path, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Wait for the lock file `path` and hold it against other processes. The kernel frees it when a process dies.

    After NOTICE_AFTER_SECONDS of waiting, a line on standard error says who holds the lock. Raises TimeoutError, which says it
    too, after `patience_seconds`: the holder may be suspended. Raises Refused if `path` is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(open_no_link(path), "rb") as file:
        _lock_within(file.fileno(), path, patience_seconds)
        _sign(file.fileno())
        yield


def _lock_within(handle: int, path: Path, seconds: float) -> None:
    began, notice_printed = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - began
            if waited > seconds:
                raise TimeoutError(f"{path} has been held for {seconds:.0f} seconds {_holder(handle)}") from None
            if waited > NOTICE_AFTER_SECONDS and not notice_printed:
                notice_printed = True
                words = f"waiting for {path}, held {_holder(handle)}; given up after {seconds:.0f} seconds"
                print(words, file=sys.stderr, flush=True)
        time.sleep(0.05)


def _sign(handle: int) -> None:
    """Write into a lock file who holds it, for those who wait. A file with other content stays as it is."""
    own = f"{SIGNED}process {os.getpid()} on {socket.gethostname()}\n".encode()
    with contextlib.suppress(OSError):  # on a full disk nobody learns it, but the lock is still held
        there = os.pread(handle, 512, 0)
        if there != own and (not there or there.startswith(SIGNED.encode())):
            os.pwrite(handle, own, 0)
            os.ftruncate(handle, len(own))


def _holder(handle: int) -> str:
    """Return who holds a lock, according to its file."""
    line = os.pread(handle, 512, 0).decode(errors="replace").partition("\n")[0]
    return f"by {line.removeprefix(SIGNED)}" if line.startswith(SIGNED) and line.isprintable() else "by an unknown process"
