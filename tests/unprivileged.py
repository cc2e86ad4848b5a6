"""Run code as a user without privileges, and on a disk that is really full.

Tests often run as root, whom folder permissions do not stop. Only root can become another user, or mount."""

import multiprocessing
import os
import shutil
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534
DISK_BYTES = 2**23
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="two users: only root can become another")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return an empty folder that everybody can reach and write to: pytest's own folders belong to root alone."""
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[Path, int], Path]]:
    """small_disk(folder, left): mounts a disk of 8 MB at `folder` with `left` bytes free, and returns the file that fills
    it."""
    mounted = []

    def mount(folder: Path, left: int) -> Path:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "small", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small tmpfs needs root")
        mounted.append(folder)
        ballast = folder / ".ballast"
        ballast.write_bytes(bytes(DISK_BYTES - left))
        return ballast

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    """Mount a disk again, "ro" to be read only, or "rw"."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def as_nobody(function: Callable[[], object]) -> object:
    """Return what `function` returns in a process of user nobody, without groups, and with the usual umask."""
    here, there = multiprocessing.Pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.umask(0o022)
            there.send((True, function()))
        except BaseException:
            there.send((False, traceback.format_exc()))
        finally:
            os._exit(0)
    there.close()
    try:
        went_well, message = here.recv()
    finally:
        os.waitpid(child, 0)
    assert went_well, message
    return message
