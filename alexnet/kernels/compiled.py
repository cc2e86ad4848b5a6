"""Compile a C library once on each machine, keep it in the user's cache, and check it before each use.

The name of a kept file holds the digest of its bytes, so that file and digest appear together, even if several processes build
it. A file that is cut short, empty or changed by a bit is reported and built again before it is opened, since opening it could
kill the process."""

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from alexnet.errors import Refused
from alexnet.files import write_atomically
from alexnet.system import processor


def compiler() -> list[str]:
    """Return the compiler's command: CC, split as a shell does ("ccache gcc"), or else cc. Empty if there is no such program.

    Raises Refused if CC cannot be split."""
    try:
        command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise Refused(f"CC: {os.environ['CC']!r} is not a shell command ({error})") from None
    program = shutil.which(command[0])
    return [program, *command[1:]] if program else []


def library(
    source: Path, flags: Sequence[str], compiler: Sequence[str], is_right: Callable[[ctypes.CDLL], bool]
) -> ctypes.CDLL:
    """Return the library of a C file, from the cache or newly built. `is_right` checks a loaded library.

    Raises OSError, SubprocessError or Refused if it cannot be built, kept or loaded, or is not right even when newly built.
    """
    folder = own_folder()
    name = f"kernels-{_made_from(source, flags, compiler)}"
    for path in sorted(folder.glob(f"{name}-*.so")):
        if (loaded := _kept(path, is_right)) is not None:
            return loaded
        path.unlink(missing_ok=True)
    print(f"compiling the CPU kernels once, about two seconds ({folder})", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "made.so"
        subprocess.run([*compiler, *flags, str(source), "-o", str(made), "-lm"], check=True, capture_output=True)
        content = made.read_bytes()
        loaded = ctypes.CDLL(str(made))  # stays loaded after its file is deleted
    if not is_right(loaded):
        raise Refused(
            f"{' '.join(compiler)}: {source.name} compiled by it computes other numbers than torch; set CC to another compiler"
        )
    write_atomically(folder / f"{name}-{_digest(content)}.so", content)
    return loaded


def own_folder() -> Path:
    """Return the user's cache folder of this project. Nobody else may write to it, because its content is executed.

    Raises Refused if it belongs to someone else, and if there is no place for one."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet-study"
    except RuntimeError:  # the user has no home, as in some containers
        raise Refused("XDG_CACHE_HOME: is not set, and this user has no home; set it to a folder of yours") from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise Refused(
            f"{folder}: belongs to another user, who could change what is run here; set XDG_CACHE_HOME to a folder of yours"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _made_from(source: Path, flags: Sequence[str], compiler: Sequence[str]) -> str:
    """Return a digest of everything that a library is made from. It differs for another processor or source."""
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
    return _digest(b"\0".join([source.read_bytes(), version, " ".join([*flags, *compiler[1:]]).encode(), processor().encode()]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _kept(path: Path, is_right: Callable[[ctypes.CDLL], bool]) -> ctypes.CDLL | None:
    """Return the library in a file of the cache; None, with a line on stderr, if the file was changed or the library is
    wrong."""
    try:
        if _digest(path.read_bytes()) != path.stem.rpartition("-")[2]:
            why = "has changed since it was written"
        elif is_right(loaded := ctypes.CDLL(str(path))):
            return loaded
        else:
            why = "computes other numbers than torch"
    except OSError as error:
        why = f"cannot be loaded ({error.strerror or error})"
    print(f"{path} {why}; the CPU kernels are compiled again", file=sys.stderr)
    return None
