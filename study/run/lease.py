"""Leases: only one process at a time trains a run, among all that share a directory of runs, on one machine or on many.

A lease is a file in the run's folder that its holder touches every few seconds. On the same machine, the process itself shows
whether the holder died. On another machine, the holder counts as dead if the lease was not renewed for LEASE_SECONDS. A lease
that is dated more than AHEAD_SECONDS ahead is free too: its machine's clock was wrong, and its holder may have died. A holder
that only slept (a stopped process, a suspended laptop) finds another name in the file when it wakes, and may no longer write:
every write of a run goes through `held`.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from alexnet.errors import Refused
from alexnet.files import clear_unfinished, locked, new_file_beside, write_atomically
from alexnet.system import boot, born
from study.run.small_files import Unreadable, fields_of, whose

LEASE_SECONDS = 60.0
RENEWALS = 6  # while a lease lasts
AHEAD_SECONDS = 60.0  # clocks may differ by this much
FILE, LOCK = "lease.json", ".lock"


class Busy(Exception):
    """Another process trains this run. Its text says which."""


class LeaseLost(Exception):
    """Another process took the run over while this one slept. This one has written nothing since."""


@dataclass(frozen=True)
class Holder:
    """The process that a lease names."""

    host: str
    pid: int
    born: str  # when the process started, see alexnet/system.py
    token: str  # new for each lease: a process may hold the same run twice, one after the other

    @property
    def words(self) -> str:
        return f"process {self.pid} on {self.host.split('/')[0]}"


class Lease:
    """`with Lease(folder) as lease:` holds the run and renews the lease in a thread. Raises Busy if another process holds
    it."""

    def __init__(self, folder: Path, seconds: float = LEASE_SECONDS):
        self.folder, self.seconds = folder, seconds
        self.name = Holder(_host(), os.getpid(), born(os.getpid()), os.urandom(8).hex())
        self.over = threading.Event()

    def __enter__(self) -> "Lease":
        try:
            self._take()
        except TimeoutError as error:  # its holder was stopped in the middle of a write
            raise Busy(str(error)) from None
        except PermissionError as error:
            raise Refused(f"{self.folder}: cannot write there ({error.strerror}{whose(self.folder)})") from None
        threading.Thread(target=self._renew, daemon=True).start()
        return self

    def _take(self) -> None:
        with locked(self.folder / LOCK, self.seconds):
            holder = _named_in(self.folder)
            if holder and _alive(self.folder, holder, self.seconds, _now(self.folder)):
                raise Busy(f"{holder.words} is training it")
            clear_unfinished(self.folder)
            write_atomically(self.folder / FILE, json.dumps(asdict(self.name)).encode())

    def __exit__(self, *_) -> None:
        self.over.set()
        with contextlib.suppress(OSError, Refused), locked(self.folder / LOCK, self.seconds):  # otherwise the lease expires
            if _named_in(self.folder) == self.name:
                (self.folder / FILE).unlink()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Guard a write: inside the block this process holds the lease, and no other can take it. Raises LeaseLost."""
        with locked(self.folder / LOCK):
            if _named_in(self.folder) != self.name:
                raise LeaseLost("another process took it over while this one slept")
            yield
            os.utime(self.folder / FILE)  # during a long write the renewing thread has to wait

    def _renew(self) -> None:
        while not self.over.wait(self.seconds / RENEWALS):
            with contextlib.suppress(OSError, Refused), locked(self.folder / LOCK):
                if _named_in(self.folder) != self.name:
                    return
                os.utime(self.folder / FILE)


def holder_of(folder: Path, seconds: float = LEASE_SECONDS) -> Holder | None:
    """Return the process that trains the run of `folder` now, or None."""
    try:
        holder = holder_in(folder)
    except Refused:
        return None
    return holder if holder and is_held(folder, holder, seconds) else None


def holder_in(folder: Path) -> Holder | None:
    """Return the holder that the lease names, dead or alive; None if there is no lease. Raises Refused for a damaged lease."""
    content = fields_of(folder / FILE, {"host": (str,), "pid": (int,), "born": (str,), "token": (str,)})
    return Holder(**content) if content else None


def is_held(folder: Path, holder: Holder, seconds: float = LEASE_SECONDS) -> bool:
    """Return whether the process that the lease names trains the run now."""
    try:
        return _alive(folder, holder, seconds, _now(folder))
    except FileNotFoundError:  # it has just ended
        return False


def _named_in(folder: Path) -> Holder | None:
    """Return the holder that the lease names. None if there is no lease or a damaged one: then the run is free, and the former
    holder may no longer write."""
    try:
        return holder_in(folder)
    except Unreadable:
        raise
    except Refused:
        return None


def _alive(folder: Path, holder: Holder, seconds: float, now: float) -> bool:
    if holder.host == _host() and born(holder.pid) != holder.born:
        return False
    age = now - (folder / FILE).stat().st_mtime
    return -AHEAD_SECONDS <= age < seconds


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system. The times of all leases are by this clock, on every machine."""
    try:
        handle, probe = new_file_beside(folder / "now")
    except FileNotFoundError:  # the run's folder is gone
        raise
    except OSError:  # a user who may only read, a full disk, a read-only mount
        return time.time()
    try:
        return os.stat(handle).st_mtime
    finally:
        os.close(handle)
        probe.unlink(missing_ok=True)  # it may be gone: a process that takes the run clears its folder


def _host() -> str:
    """Return a name for this machine, its current boot and this container. Within it a process number names one process."""
    return "/".join([socket.gethostname(), *boot()])
