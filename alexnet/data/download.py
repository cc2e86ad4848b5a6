"""Download a large file over HTTP: it shows its progress, resumes after a break, and leaves the file whole or not at all."""

import contextlib
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.request import Request, urlopen

from alexnet.files import new_file_beside

PATIENCE_SECONDS = 10
"""If a server sends nothing for this long, it is asked again."""
PAUSE_SECONDS = 1.0
TRIES = 3
"""The number of tries in a row without a new byte after which the download fails."""
SLOW_AFTER_SECONDS = 60.0
BLOCK_BYTES = 2**16


@dataclass(frozen=True)
class Published:
    """A file as its authors publish it."""

    title: str
    url: str
    size: int  # bytes
    md5: str

    @property
    def by_hand(self) -> str:
        """What a user needs to know to fetch the file by hand."""
        return f"{self.url.rpartition('/')[2]} ({self.size:,} bytes, MD5 {self.md5}) can be copied there by hand"


class DownloadProgress:
    """Prints how much of a file is there, at each tenth and each minute. After SLOW_AFTER_SECONDS it also prints, once, how to
    put the file into `folder` by hand."""

    def __init__(self, file: Published, folder: Path, had: int, clock: Callable[[], float] = time.monotonic):
        self.file, self.folder, self.had, self.clock = file, folder, had, clock
        self.began = self.printed_at = clock()
        self.tenths = 10 * had // file.size
        self.printed_by_hand = False
        from_where = f", of which {_megabytes(had)} are there already" if had else ""
        _say(f"downloading {file.title}, {_megabytes(file.size)}{from_where}, from {file.url} to {folder}")

    def at(self, have: int) -> None:
        """Report that `have` bytes are there now."""
        now, tenths = self.clock(), 10 * have // self.file.size
        if tenths > self.tenths or now - self.printed_at >= 60:
            seconds = max(now - self.began, 1e-9)
            rate = (have - self.had) / seconds
            left = f", about {max(0, self.file.size - have) / rate / 60:.0f} min left" if rate > 0 else ""
            _say(f"{self.file.title}: {have / 1e6:.1f} of {_megabytes(self.file.size)}, {rate / 1e6:.2f} MB/s{left}")
            self.tenths, self.printed_at = max(tenths, self.tenths), now
        if now - self.began >= SLOW_AFTER_SECONDS and not self.printed_by_hand:
            _say(f"this is slow: {self.file.by_hand} ({self.folder}); if stopped, the same command continues from here")
            self.printed_by_hand = True


def bring(file: Published, path: Path) -> None:
    """Download `file` to `path`, whole or not at all. A broken download keeps what arrived, and the next call continues it.

    Raises ValueError if the server sends other bytes; OSError or HTTPException if the server, the network or the disk fails.
    """
    with _part_of(path) as (name, part):
        if (had := os.path.getsize(name)) > file.size:
            part.truncate(had := 0)
        progress = DownloadProgress(file, path.parent, had)
        _receive_all(file, part, progress)
        if had and not has_md5(name, file.md5):
            _say(f"{file.title}: the rest of an earlier download is damaged; starting again")
            part.truncate(0)
            _receive_all(file, part, progress)
        if not has_md5(name, file.md5):
            part.truncate(0)
            raise ValueError(f"the file from {file.url} is damaged: its MD5 is not {file.md5}")
        os.fsync(part.fileno())
        os.replace(name, path)


def kept_of(path: Path) -> int:
    """Return how many bytes of `path` earlier downloads left."""
    return max((part.stat().st_size for part in _parts(path)), default=0)


def has_md5(path: Path, md5: str) -> bool:
    """Whether `path` is a file with this MD5."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5


# ---- The part that is there ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open the largest part of `path` that an earlier download left and that no process writes to now, or else a new one.

    No other process can write to it meanwhile. A part that is still empty at the end is deleted."""
    name, handle = _held_part(path)
    with open(handle, "wb", buffering=0) as part:
        try:
            yield name, part
        finally:
            if os.fstat(handle).st_size == 0:
                name.unlink(missing_ok=True)


def _held_part(path: Path) -> tuple[Path, int]:
    for part in _parts(path):
        with contextlib.suppress(OSError):  # another user's, a link, or gone meanwhile
            handle = os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if _taken(part, handle):
                return part, handle
            os.close(handle)
    while True:
        handle, part = new_file_beside(_base(path))
        if _taken(part, handle):
            return part, handle
        os.close(handle)


def _taken(part: Path, handle: int) -> bool:
    """Lock a part against other processes until `handle` is closed. False if another process has it, or has just finished
    it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), os.lstat(part))
    except OSError:
        return False


def _base(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _parts(path: Path) -> list[Path]:
    """Return the parts that are there, the largest first."""
    parts = [part for part in path.parent.glob(f".{_base(path).name}.*") if part.is_file()]
    return sorted(parts, key=lambda part: part.stat().st_size, reverse=True)


# ---- What the server sends -------------------------------------------------------------------------------------------


def _receive_all(file: Published, part: BinaryIO, progress: DownloadProgress) -> None:
    """Ask the server until all bytes are there. If nothing has arrived in this call, the first failure is raised at once;
    otherwise, after TRIES in a row that brought nothing."""
    most = have = part.seek(0, os.SEEK_END)
    came, in_vain = False, 0
    while have != file.size:
        failure: Exception = ConnectionError(f"{file.url}: the download ended too early")
        try:
            _receive(file, part, have, progress)
        except (OSError, HTTPException) as error:
            failure = error
        have = part.seek(0, os.SEEK_END)
        came, in_vain = came or have > most, 0 if have > most else in_vain + 1
        most = max(most, have)
        if not came or in_vain == TRIES:
            raise failure
        if have != file.size:
            time.sleep(PAUSE_SECONDS)


def _receive(file: Published, part: BinaryIO, start: int, progress: DownloadProgress) -> None:
    """Receive the bytes from `start` on, or from the first if the server cannot begin in the middle."""
    request = Request(file.url, headers={"Range": f"bytes={start}-"} if start else {})
    with urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        if answer.status != 206:
            start = 0
        sent = answer.headers["Content-Length"]
        if sent is not None and start + int(sent) != file.size:
            raise ValueError(f"{file.url} sends {start + int(sent):,} bytes, not {file.size:,}")
        have = start
        part.truncate(start)
        part.seek(start)
        while (block := answer.read1(BLOCK_BYTES)) and have <= file.size:
            rest = memoryview(block)
            while rest:  # a nearly full disk takes only a part
                rest = rest[part.write(rest) :]
            have += len(block)
            progress.at(have)
    if have > file.size:
        part.truncate(0)
        raise ValueError(f"{file.url} sends more than {file.size:,} bytes")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # stderr is closed: the download goes on
        print(text, file=sys.stderr, flush=True)
